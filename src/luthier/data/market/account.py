"""What became of every row of the news and the prices, whatever is made of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import IO, Any, Protocol

from luthier.data.market.asof import Clock, Prices
from luthier.runs.files import replacing

FIRST = 10
"""Cases of each kind that are named."""

_LEFT_OUT = ".left-out.jsonl"
"""Behind the output's name: the file of what was left out."""


class LeftOut(Exception):
    """News that are left out: what kind of case it is, and the whole reason."""

    def __init__(self, kind: str, reason: str) -> None:
        self.kind = kind
        super().__init__(reason)


class Placed(Protocol):
    """Anything that stands on a line of a file."""

    @property
    def file(self) -> str:
        """The file's path."""
        ...

    @property
    def line(self) -> int:
        """From 1 on."""
        ...


@dataclass
class Account:
    """What was read, what was made of it, and what was left out.

    Attributes:
        output: the rows that were made, a line of JSON each.
        news: rows of the news.
        left_out: kind -> rows of the news that nothing was made of.
        first_left_out: the first ten of them.
        prices: rows of the prices.
        refused_prices: those that are not used at all.
        first_refused_prices: the first ten of them.
        labels: label -> rows that were made.
        notes: what was noticed, as sentences to say aloud.
    """

    output: Path
    news: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    first_left_out: list[str] = field(default_factory=list)
    prices: int = 0
    refused_prices: int = 0
    first_refused_prices: list[str] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    @property
    def left_out_file(self) -> Path:
        """The rows of the news that were left out, each with its place and the reason."""
        return self.output.with_name(self.output.name + _LEFT_OUT)

    @contextmanager
    def files(self) -> Iterator[tuple[IO[str], IO[str]]]:
        """The output and the file of what was left out, both written whole or not at all."""
        with ExitStack() as stack:
            rows, left_out = (
                stack.enter_context(stack.enter_context(replacing(path)).open("w", encoding="utf-8"))
                for path in (self.output, self.left_out_file)
            )
            yield rows, left_out

    def count_prices(self, prices: Prices, clock: Clock) -> None:
        """Counts the prices, those that are refused, and those whose midnight the clock reads as a day."""
        self.prices, self.refused_prices = prices.rows, len(prices.refused)
        self.first_refused_prices = prices.refused[:FIRST]
        if prices.midnights:
            self.notes.append(
                f"{prices.midnights:,} prices are stamped with midnight, which is taken for their day: "
                f"each is known {clock}"
            )

    def leave_out(self, place: Placed, why: LeftOut, file: IO[str]) -> None:
        """Counts news that are left out, and writes them down."""
        self.left_out[why.kind] += 1
        if len(self.first_left_out) < FIRST:
            self.first_left_out.append(f"{place.file}:{place.line} {why}")
        file.write(json_line({"file": place.file, "line": place.line, "reason": str(why)}))

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        counts = {"left_out": dict(self.left_out.most_common()), "labels": dict(self.labels.most_common())}
        return values | counts | {"left_out_file": self.left_out_file}


def json_line(values: Mapping[str, Any]) -> str:
    """A row as a line of JSON."""
    return json.dumps(values, ensure_ascii=False, default=str) + "\n"
