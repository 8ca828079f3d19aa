"""What all parts of a configuration share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
"""What every generator of random numbers takes."""


class Part(BaseModel):
    """Base of every part: unknown keys are refused, values do not change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)
