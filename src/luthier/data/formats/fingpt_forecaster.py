"""FinGPT-Forecaster's rows: prompt and answer beside period, label and symbol.

`{"prompt": "[INST]<<SYS>>...", "answer": "...", "period": "2024-01-07_2024-01-14", "label": "up", "symbol": "AAPL"}`.
The marks of Llama 2 around its prompts are taken off, so that they are written in the base model's own template.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from luthier.data.examples import Conversation, Message, Row
from luthier.data.formats import find_column, readable_share, text_in

OWN = ("symbol", "period")
"""Columns that say which stock a forecast is about and for which days."""

_MARKED = re.compile(r"\s*(?:<s>)?\s*\[INST\]\s*(?:<<SYS>>(.*?)<</SYS>>)?(.*?)\[/INST\]\s*", re.DOTALL)


class FingptForecaster:
    """A prompt of news and figures, and the analysis that ends in a forecast."""

    columns: ClassVar[Mapping[str, str]] = {"prompt": "news and figures, and what is asked", "answer": "the analysis"}

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.mapping = columns

    def matches(self, rows: Sequence[Row]) -> float:
        """Fits when most rows have a prompt, an answer, a symbol and a period: more than `prompt_response` asks for."""
        own = sum(set(OWN) <= {str(column).casefold() for column in row.values} for row in rows)
        return 0.9 * readable_share(self, rows) if own >= 0.8 * len(rows) > 0 else 0.0

    def roles(self, row: Row) -> dict[str, str]:
        """The prompt's column and the answer's."""
        return {role: find_column(row, self.mapping, role, (role,)) for role in self.columns}

    def example(self, row: Row) -> Conversation:
        """System message where the prompt has one, question, analysis."""
        asked, said = (text_in(row.values[column], f"column '{column}'") for column in self.roles(row).values())
        marked = _MARKED.fullmatch(asked)
        system, question = marked.groups("") if marked else ("", asked)
        messages = [Message("system", system.strip())] if system.strip() else []
        return Conversation((*messages, Message("user", question.strip()), Message("assistant", said.strip())))
