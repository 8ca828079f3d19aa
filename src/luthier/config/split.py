"""How rows are split, by time above all."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field, model_validator

from luthier.config.part import Part, Seed
from luthier.config.times import Duration, Moment, seconds, timestamp


class WindowsConfig(Part):
    """Windows of time that follow each other, for `luthier walk-forward`: trained before each test, tested after."""

    count: int = Field(3, ge=1, description="How many windows; the last one ends with the latest row.")
    test: Duration = Field(description="Length of each test, such as 60d.")
    train: Duration | None = Field(
        None,
        description="Length of the time before each test that is trained on (rolling); null = all of it (expanding).",
    )
    step: Duration | None = Field(
        None, description="From one test to the next, at least its length; null = its length."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> WindowsConfig:
        if self.step is not None and seconds(self.step) < seconds(self.test):
            raise ValueError(f"step must be at least test ({self.test}): no row is tested twice")
        if not seconds(self.test):
            raise ValueError("test must be longer than nothing")
        return self


class SplitConfig(Part):
    """How validation and test rows are carved out of the training rows."""

    test: float = Field(0.1, ge=0, lt=1, description="Share of rows for the test split, when no test source is given.")
    validation: float = Field(0.1, ge=0, lt=1, description="Share for validation, when no validation source is given.")
    by: str = Field(
        "label",
        pattern=r"^(random|label|group:.+|time:.+)$",
        description="random | label (stratified) | group:COLUMN (a group never crosses) | "
        "time:COLUMN (the latest rows are the test).",
    )
    seed: Seed = Field(42, description="Seed of the split.")
    embargo: Duration | Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="By time: kept free before each later split. Rows of an earlier split that lie less than this "
        "before its first row are dropped: a duration (5d, 12h, 30m), or a number of rows.",
    )
    label_time: str | None = Field(
        None,
        description="By time: the column that says when a row's label became known, as `luthier data join` writes it. "
        "Rows whose label became known only after a later split began are dropped.",
    )
    known_at: list[str] = Field(
        default_factory=list,
        description="By time: columns that say when something that a row tells was known, such as price_time. A row "
        "that knows something from after its own time is quarantined.",
    )
    train_from: Moment | None = Field(None, description="By time: rows before it are left out (ISO 8601).")
    validation_from: Moment | None = Field(
        None, description="By time: validation begins here, in place of a share (ISO 8601)."
    )
    test_from: Moment | None = Field(None, description="By time: the test begins here, in place of a share (ISO 8601).")
    until: Moment | None = Field(None, description="By time: rows from here on are left out (ISO 8601).")
    windows: WindowsConfig | None = Field(
        None, description="By time: the windows of `luthier walk-forward`; other commands do not look at them."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> SplitConfig:
        if not self.by.startswith("time:") and (wrong := [name for name in _BY_TIME if getattr(self, name)]):
            raise ValueError(f"{wrong[0]} needs by: time:COLUMN")
        dates = [name for name in ("train_from", "validation_from", "test_from", "until") if getattr(self, name)]
        for earlier, later in pairwise(dates):
            if timestamp(getattr(self, earlier)) >= timestamp(getattr(self, later)):
                raise ValueError(f"{earlier} must be before {later}")
        if self.windows and dates:
            raise ValueError(f"windows and {dates[0]} do not go together: windows have dates of their own")
        return self


_BY_TIME = ("embargo", "label_time", "known_at", "train_from", "validation_from", "test_from", "until", "windows")
"""Keys that mean something only when rows are split by time."""
