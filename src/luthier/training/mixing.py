"""How often each training row is seen: balance by label or by source, and the weights of sources.

Rows that are seen equally often are a group. A group of n rows gets a share of n^(1/T) of an epoch (Arivazhagan et al.
2019, https://arxiv.org/abs/1907.05019); T = 1 leaves groups as they are, without T all are drawn equally often.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from luthier.errors import ConfigError

if TYPE_CHECKING:
    from luthier.config import BalanceConfig, RunConfig
    from luthier.data.store import Records

MOST_LABELS = 1000
"""Answers beyond are no labels: balancing them would mean nothing."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Group:
    """Rows that are seen equally often.

    Attributes:
        name: the label, or the source's path.
        rows: row numbers, ascending.
        repeats: how often each of them is seen in an epoch; a fraction means that it is in some epochs only.
    """

    name: str
    rows: Rows
    repeats: float

    @property
    def draws(self) -> int:
        """Rows of the group in an epoch."""
        return max(1, round(len(self.rows) * self.repeats))

    def drawn(self, epoch: int, seed: Sequence[int]) -> Rows:
        """The group's rows in an epoch: the next stretch of an endless row of permutations, so that no row is seen
        twice more often than another."""
        size, first = len(self.rows), epoch * self.draws
        rounds = range(first // size, -(-(first + self.draws) // size))
        # counted from 1: a trailing 0 would not change the seed
        endless = np.concatenate([np.random.default_rng([*seed, 1 + n]).permutation(self.rows) for n in rounds])
        return endless[first - rounds[0] * size :][: self.draws]


@dataclass(frozen=True)
class Share:
    """What a run sees of a group.

    Attributes:
        name: the label, or the source's path.
        rows: different rows.
        repeats: how often each is seen in an epoch.
        epochs: how often each is seen in the whole run.
    """

    name: str
    rows: int
    repeats: float
    epochs: float

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Mix:
    """All groups of the training rows; every row is in one."""

    groups: list[Group]

    @classmethod
    def for_run(cls, config: RunConfig, rows: Records) -> Mix | None:
        """The mix that a configuration asks for; None when every row is seen once an epoch.

        Raises:
            ConfigError: balance goes by label, and the rows have none.
        """
        balance = config.data.balance
        weights = np.array([source.weight for source in config.data.train])
        if balance is None and (weights == 1).all():
            return None
        if balance is not None and balance.by == "label":
            names, codes = _label_codes(rows.labels)
        else:
            names, codes = [source.path for source in config.data.train], rows.sources.astype(np.int64)
        return cls.of(names, codes, weights[rows.sources], balance)

    @classmethod
    def of(
        cls, names: Sequence[str], codes: Rows, weights: npt.NDArray[np.float64], balance: BalanceConfig | None
    ) -> Self:
        """Groups rows and says how often each is seen.

        Args:
            names: what the rows may belong to, by code.
            codes: of every row.
            weights: of every row's source.
            balance: how the groups share an epoch; None = by the weights alone.
        """
        order = np.lexsort((weights, codes))
        changes = (np.diff(codes[order]) != 0) | (np.diff(weights[order]) != 0)
        parts = np.split(order, 1 + np.flatnonzero(changes))
        groups = [Group(names[codes[part[0]]], part, float(weights[part[0]])) for part in parts]
        names_once = Counter(group.name for group in groups)
        balanced = groups if balance is None else _balanced(groups, balance)
        return cls(
            [
                replace(group, name=f"{group.name} (weight {weight:g})") if names_once[group.name] > 1 else group
                for group, weight in zip(balanced, (group.repeats for group in groups), strict=True)
            ]
        )

    @cached_property
    def draws(self) -> int:
        """Rows of an epoch."""
        return sum(group.draws for group in self.groups)

    def epoch(self, number: int, seed: int) -> Rows:
        """The rows of an epoch in a random order."""
        drawn = [group.drawn(number, (seed, place)) for place, group in enumerate(self.groups)]
        return np.random.default_rng([seed, number]).permutation(np.concatenate(drawn))

    def shares(self, epochs: float) -> list[Share]:
        """What a run of so many epochs sees of each group."""
        exact = [(group, group.draws / len(group.rows)) for group in self.groups]
        return [Share(g.name, len(g.rows), round(often, 4), round(often * epochs, 4)) for g, often in exact]


def _label_codes(labels: Sequence[str | None]) -> tuple[list[str], Rows]:
    """(names, the name's number of every row)."""
    if all(label is None for label in labels):
        raise ConfigError("data.balance goes by label, and these rows have none", hint="data.balance: {by: source}")
    names, codes = np.unique(["no label" if label is None else label for label in labels], return_inverse=True)
    if len(names) > MOST_LABELS:
        raise ConfigError(
            f"data.balance goes by label, and these rows have {len(names)} different answers: they are no labels",
            hint="data.balance: {by: source}",
        )
    return names.tolist(), codes.astype(np.int64)


def _balanced(groups: Sequence[Group], balance: BalanceConfig) -> list[Group]:
    """How often each group's rows are seen, from the weights that stand in `repeats`."""
    sizes = np.array([len(group.rows) for group in groups], float)
    weights = np.array([group.repeats for group in groups])
    masses: Counter[str] = Counter()
    for group, size, weight in zip(groups, sizes, weights, strict=True):
        masses[group.name] += size * weight if balance.by == "label" else size  # a label's rows mix by weight
    power = (1 / balance.temperature if balance.temperature else 0.0) - 1
    wanted = weights * np.array([masses[group.name] ** power for group in groups])
    cap = balance.cap or np.inf
    repeats = np.minimum(wanted / wanted.min(), cap) if balance.how == "oversample" else _filling(sizes, wanted, cap)
    return [replace(group, repeats=float(often)) for group, often in zip(groups, repeats, strict=True)]


def _filling(sizes: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64], cap: float) -> npt.NDArray[np.float64]:
    """Repeats in proportion to `wanted` that fill an epoch of as many rows as there are; what the cap takes from one
    group goes to the others."""
    capped = np.zeros(len(sizes), bool)
    while True:
        room = sizes.sum() - (sizes[capped] * cap).sum() if capped.any() else sizes.sum()
        scale = room / (sizes * wanted)[~capped].sum() if not capped.all() else 0.0
        repeats = np.where(capped, cap, wanted * scale)
        over = ~capped & (repeats > cap)
        if not over.any():
            return repeats
        capped |= over
