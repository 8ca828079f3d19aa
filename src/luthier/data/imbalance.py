"""Labels that are far from equally frequent."""

from __future__ import annotations

from collections.abc import Mapping

IMBALANCE = 4.0
"""The commonest label may be this many times as frequent as the rarest without a word."""


def uneven_labels(counts: Mapping[str, int]) -> str | None:
    """The commonest and the rarest label in a sentence, when they are uneven.

    Args:
        counts: label -> training rows.
    """
    if len(counts) < 2:
        return None
    most, least = max(counts, key=lambda label: counts[label]), min(counts, key=lambda label: counts[label])
    if counts[most] < IMBALANCE * counts[least]:
        return None
    return f"'{most}' has {counts[most]} training rows, '{least}' only {counts[least]}"
