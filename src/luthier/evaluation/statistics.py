"""How sure a score is: bootstrap intervals, the paired difference of two models, McNemar's test.

Sources: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13 for percentile intervals; Koehn,
"Statistical Significance Tests for Machine Translation Evaluation" (2004), for resampling two systems together;
Davison and Hinkley, "Bootstrap Methods and their Application" (1997), section 4.2, for the added one in the p-value;
McNemar (1947) in its exact, binomial form.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Literal, TypedDict, TypeVar

import numpy as np
import numpy.typing as npt

from luthier.evaluation.metrics import Floats

RESAMPLES = 1000
_CHUNK = 4_000_000
"""Numbers of a block of resamples held at once (32 MB), however many rows there are."""

Key = TypeVar("Key", bound=Hashable)


class Interval(TypedDict):
    """A score with its 95 % interval."""

    value: float
    low: float
    high: float


class Difference(Interval):
    """A difference with its 95 % interval and the two-sided p-value that it is zero."""

    p: float


class McNemar(TypedDict):
    """Rows that one of two models alone gets right, and the two-sided p-value that they are as good."""

    only_base: int
    only_tuned: int
    p: float


def bootstrap_totals(counts: Mapping[Key, Floats], seed: int, resamples: int = RESAMPLES) -> dict[Key, Floats]:
    """Totals of counts over resampled rows, the same resamples for all: [n, k] -> [resamples, k].

    A resample draws n rows with replacement; its totals are the rows' counts weighted by how often each was drawn.
    Because all entries see the same draws, differences between them are paired.

    Args:
        counts: per-row counts of several metrics and models over the same rows, each [n, k].
        seed: seed of the draws.
        resamples: how many resamples.
    """
    rows = len(next(iter(counts.values())))
    generator = np.random.default_rng(seed)
    parts: dict[Key, list[Floats]] = {key: [] for key in counts}
    block = max(1, _CHUNK // rows)
    for start in range(0, resamples, block):
        drawn = generator.integers(rows, size=(min(block, resamples - start), rows))
        weights = np.stack([np.bincount(draw, minlength=rows) for draw in drawn]).astype(np.float64)
        for key, counts_nk in counts.items():
            parts[key].append(weights @ counts_nk)
    return {key: np.concatenate(blocks) for key, blocks in parts.items()}


def interval(value: float, resampled: Floats) -> Interval:
    """The percentile interval: between the 2.5 % and 97.5 % quantiles of the resampled values, [resamples]."""
    low, high = np.quantile(resampled, [0.025, 0.975])
    return {"value": float(value), "low": float(low), "high": float(high)}


def paired_difference(value: float, resampled: Floats) -> Difference:
    """A difference of two models on the same rows, with its percentile interval and p-value.

    p = 2 min(#{d <= 0} + 1, #{d >= 0} + 1) / (resamples + 1), at most 1: how far out zero lies among the resampled
    differences d. A thousand resamples cannot show less than 0.002.

    Args:
        value: the difference on all rows.
        resampled: the difference on each resample, [resamples].
    """
    tail = min(int((resampled <= 0).sum()), int((resampled >= 0).sum())) + 1
    p = min(1.0, 2 * tail / (len(resampled) + 1))
    return {**interval(value, resampled), "p": p}


def mcnemar(base_right: npt.NDArray[np.bool_], tuned_right: npt.NDArray[np.bool_]) -> McNemar:
    """McNemar's exact test: among rows that only one model gets right, each model wins with probability a half.

    Args:
        base_right: whether the base is right on each row, [n].
        tuned_right: whether the tuned model is, [n].
    """
    from scipy.stats import binomtest

    only_base = int((base_right & ~tuned_right).sum())
    only_tuned = int((tuned_right & ~base_right).sum())
    discordant = only_base + only_tuned
    p = float(binomtest(only_tuned, discordant, 0.5).pvalue) if discordant else 1.0
    return {"only_base": only_base, "only_tuned": only_tuned, "p": p}


def outcome(difference: Mapping[str, float], higher_is_better: bool | None) -> Literal["better", "worse", "unclear"]:
    """What a difference means; unclear when its interval holds zero, or neither direction is better."""
    if higher_is_better is None or difference["low"] <= 0 <= difference["high"]:
        return "unclear"
    return "better" if (difference["value"] > 0) == higher_is_better else "worse"
