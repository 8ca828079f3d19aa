"""Takes the markup out of texts."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Literal

from luthier.data.cleaning import TextRepair
from luthier.data.texts import Change
from luthier.registry import Options

_BLOCKS = (
    "address|article|aside|blockquote|body|br|caption|center|dd|div|dl|dt|fieldset|figcaption|figure|footer|form|h[1-6]"
    "|head|header|hr|html|li|main|nav|ol|option|p|pre|section|select|table|tbody|td|tfoot|th|thead|title|tr|ul"
)
_INLINE = (
    "a|abbr|acronym|b|base|bdi|bdo|big|button|cite|code|col|colgroup|data|del|dfn|em|font|i|iframe|img|input|ins|kbd"
    "|label|link|mark|meta|noscript|object|param|picture|q|s|samp|small|source|span|strike|strong|sub|sup|svg|textarea"
    "|time|tt|u|var|video|wbr"
)
_ATTRIBUTES = r"""(?:\s+[a-z_:@][\w:.-]*(?:\s*=\s*(?:"[^"<]*"|'[^'<]*'|[^\s"'<>=]+))?)*\s*"""
_UNSEEN = re.compile(r"<!--.*?-->|<(script|style)\b[^<>]*>.*?</\1\s*>|<!doctype[^<>]*>|<\?xml[^<>]*>", re.I | re.S)
_BLOCK = re.compile(rf"</?(?:{_BLOCKS}){_ATTRIBUTES}/?>", re.I)
_TAG = re.compile(rf"</?(?:{_INLINE}){_ATTRIBUTES}/?>", re.I)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.I)
_GAPS = re.compile(r"[ \t]*\n\s*")


class StripHtmlOptions(Options):
    """Tags, comments, scripts and entities such as `&amp;`; `<` and `&` of ordinary text stay."""

    name: Literal["strip_html"] = "strip_html"


class StripHtml(TextRepair):
    """Only tags that HTML knows are taken for markup, so `<5 %`, `a<b` and `<ticker>` are not."""

    Options = StripHtmlOptions
    calls = False

    def changes(self) -> Sequence[tuple[str, Change]]:
        """See `TextRepair.changes`."""
        return (("HTML removed", _without_html),)


def _without_html(text: str) -> str:
    """Blocks become lines of their own; what stands inside a line stays there."""
    plain = text
    if "<" in plain:
        plain = _TAG.sub("", _BLOCK.sub("\n", _UNSEEN.sub("", plain)))
    tags = plain != text
    if "&" in plain:
        plain = _ENTITY.sub(lambda entity: html.unescape(entity[0]), plain)
    return _GAPS.sub("\n", plain).strip() if tags else plain
