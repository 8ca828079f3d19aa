"""Repairs what encodings did to texts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from luthier.data.cleaning import TextRepair
from luthier.data.mojibake import undone
from luthier.data.texts import Change
from luthier.registry import Options

_CONTROL = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb]"
)
"""Control and formatting characters that nobody sees. Those that join letters and emoji (U+200C, U+200D) stay."""


class UnicodeOptions(Options):
    """Mojibake (text decoded by the wrong encoding), control characters and forms of one character."""

    name: Literal["unicode"] = "unicode"
    mojibake: bool = Field(True, description="Undo a wrong decoding, such as `â‚¬` for `€`, where it is certain.")
    control: bool = Field(True, description="Remove control characters and invisible formatting characters.")
    form: Literal["NFC", "NFKC"] | None = Field(
        "NFC", description="Unicode normal form: NFC (composed), NFKC (and compatible: ﬁ becomes fi), null (as it is)."
    )


class Unicode(TextRepair):
    """Mojibake, then control characters, then the normal form."""

    Options = UnicodeOptions

    def changes(self) -> Sequence[tuple[str, Change]]:
        """See `TextRepair.changes`."""
        form = self.options.form
        done: list[tuple[str, Change]] = []
        if self.options.mojibake:
            done.append(("mojibake repaired", undone))
        if self.options.control:
            done.append(("control characters removed", lambda text: _CONTROL.sub("", text)))
        if form is not None:
            done.append((f"Unicode brought to {form}", lambda text: unicodedata.normalize(form, text)))
        return done
