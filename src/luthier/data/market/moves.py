"""Labels read off the future: whether a price went up or down over a horizon, and when that became known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from luthier.data.examples import UnreadableRow
from luthier.data.formats import describe
from luthier.data.market.asof import Series


@dataclass(frozen=True)
class Move:
    """What a price did.

    Attributes:
        label: up | down | flat.
        change: relative to the price before.
        known: when the later price was known, in seconds since 1970: the label did not exist before.
    """

    label: str
    change: float
    known: float


@dataclass(frozen=True)
class NextMove:
    """The move from the last known price to one a horizon later.

    Attributes:
        column: the price's column, such as Close.
        horizon: so many prices later (an integer; 1 = the next one), or the first price so many seconds after the news
            (a float).
        flat: moves smaller than this, relative to the price before, are flat.
    """

    column: str
    horizon: int | float = 1
    flat: float = 0.0

    def after(self, series: Series, number: int, moment: float) -> Move | None:
        """The move after a moment at which `number` is the last known price; None when it has not ended yet.

        Raises:
            UnreadableRow: a price is no number above zero.
        """
        if isinstance(self.horizon, int):
            later = number + self.horizon
        else:
            later = int(np.searchsorted(series.times, moment + self.horizon, "left"))
        if later >= len(series.times):
            return None
        before = price_of(series, number, self.column)
        change = price_of(series, later, self.column) / before - 1
        label = "flat" if abs(change) < self.flat or not change else "up" if change > 0 else "down"
        return Move(label, change, float(series.times[later]))


def price_of(series: Series, number: int, column: str) -> float:
    """The price in a column.

    Raises:
        UnreadableRow: it is no number above zero.
    """
    value = series.values(number).get(column)
    try:
        price = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        price = 0.0
    if not 0 < price < float("inf"):
        shown = f"'{value[:40]}'" if isinstance(value, str) else "missing" if value is None else describe(value)
        raise UnreadableRow(f"{series.places[number]}: the price in '{column}' is {shown}")
    return price
