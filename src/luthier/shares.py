"""Lengths within a run, given as a share of all optimiser steps or as a number of them."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BeforeValidator, Field


def _share(value: Any) -> Any:
    if isinstance(value, float) and value > 1 and not value.is_integer():
        raise ValueError("a float is a share of all steps, up to 1.0; use an integer for a number of steps")
    return value


ShareOrSteps = Annotated[int | float, Field(ge=0), BeforeValidator(_share)]
"""A float up to 1 is a share of all steps, an integer is a number of steps."""


def share_to_steps(value: int | float | None, total_steps: int) -> int | None:
    """Turns a share of all steps, or a number of steps, into steps; None stays None (never)."""
    if value is None:
        return None
    if isinstance(value, float) and value <= 1:
        return math.ceil(value * total_steps)
    return int(value)
