"""Full and half width: one form of each letter and digit."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from luthier.data.cleaning import TextRepair
from luthier.data.texts import Change
from luthier.registry import Options

_FULL = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_LETTERS = {code: half for code, half in _FULL.items() if chr(half).isalnum() or chr(half) in "%+-./@#$&"}
_HALF_KANA = re.compile("[\uff65-\uff9f]+")


class WidthOptions(Options):
    """Full-width letters and digits (ＡＢＣ１２３) become half-width ones, half-width katakana full-width ones."""

    name: Literal["width"] = "width"
    punctuation: Literal["keep", "half"] = Field(
        "keep", description="keep (，。！ belong to Chinese) | half (，！ become ,! and an ideographic space a space)."
    )


class Width(TextRepair):
    """One form of each letter, so that the tokenizer sees one word."""

    Options = WidthOptions

    def changes(self) -> Sequence[tuple[str, Change]]:
        """See `TextRepair.changes`."""
        table = _LETTERS if self.options.punctuation == "keep" else _FULL

        def one_width(text: str) -> str:
            if text.isascii():
                return text
            return _HALF_KANA.sub(lambda kana: unicodedata.normalize("NFKC", kana[0]), text.translate(table))

        return (("full and half width made one", one_width),)
