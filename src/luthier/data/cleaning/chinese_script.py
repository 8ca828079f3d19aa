"""Traditional and simplified Chinese: one script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from luthier.data.cleaning import TextRepair
from luthier.data.texts import Change
from luthier.errors import ConfigError
from luthier.registry import Options

_CONVERSIONS = {"simplified": "t2s", "traditional": "s2t", "taiwan": "s2twp", "hong_kong": "s2hk"}


class ChineseScriptOptions(Options):
    """Chinese characters are brought into one script, by OpenCC (extra `chinese`)."""

    name: Literal["chinese_script"] = "chinese_script"
    to: Literal["simplified", "traditional", "taiwan", "hong_kong"] = Field(
        "simplified",
        description="simplified | traditional | taiwan (and its words: 软件 becomes 軟體) | hong_kong.",
    )


class ChineseScript(TextRepair):
    """Texts without Chinese characters stay as they are."""

    Options = ChineseScriptOptions

    def changes(self) -> Sequence[tuple[str, Change]]:
        """See `TextRepair.changes`."""
        converter = _converter(_CONVERSIONS[self.options.to])

        def converted(text: str) -> str:
            return text if text.isascii() else str(converter.convert(text))

        return ((f"brought into {self.options.to.replace('_', ' ')} Chinese", converted),)


def _converter(name: str) -> Any:
    try:
        import opencc
    except ImportError:
        raise ConfigError(
            "the cleaning step chinese_script needs OpenCC", where="data.clean", hint="pip install 'luthier[chinese]'"
        ) from None
    return opencc.OpenCC(name)
