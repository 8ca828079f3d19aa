"""Labels that are far from equally frequent, by name."""

from __future__ import annotations

from collections.abc import Mapping

UNEVEN = 4
"""The commonest label may have this many times the rows of the rarest without a word."""


def uneven(counts: Mapping[str, int]) -> list[str]:
    """What to say about labels with so many rows each: nothing, or one sentence that names the commonest and rarest."""
    if len(counts) < 2:
        return []
    most, least = max(counts, key=lambda label: counts[label]), min(counts, key=lambda label: counts[label])
    if counts[most] < UNEVEN * counts[least]:
        return []
    share = counts[most] / sum(counts.values())
    return [f"uneven labels: '{most}' has {counts[most]} rows ({share:.0%}), '{least}' only {counts[least]}"]
