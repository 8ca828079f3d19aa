"""The part of a run's configuration that says where rows come from and what becomes of them before training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from luthier.config.part import Part
from luthier.config.plugins import default_options, plugin_field, plugin_name
from luthier.config.split import SplitConfig
from luthier.registry import Options

if TYPE_CHECKING:
    CleaningOptions = Options
    AugmentationOptions = Options
    FormatName = str
else:
    CleaningOptions = plugin_field("cleaning")
    AugmentationOptions = plugin_field("augmentation")
    FormatName = plugin_name("format", also="auto")


class SourceConfig(Part):
    """Where rows come from."""

    path: str = Field(
        description="A file or a folder, also as an archive; NAME.{en,zh} for two parallel files; a database file or "
        "address; hub:OWNER/NAME[@REVISION]."
    )
    format: FormatName = Field(
        "auto", description="Name of the row format; auto looks at the rows and says what it found."
    )
    columns: dict[str, str] = Field(
        default_factory=dict, description="Which column plays which role, such as {text: sentence, label: sentiment}."
    )
    encoding: str = Field("auto", description="Text encoding, such as utf-8, latin-1, gb18030; auto detects it.")
    files: str | None = Field(
        None,
        description="Which files of a folder or archive, such as news/*.csv; * also stands for folders. null = all.",
    )
    documents: bool = Field(
        False,
        description="Every file is one document, TXT included. Markdown, HTML, DOCX and PDF always are; the last three "
        "need the extra `documents`.",
    )
    query: str | None = Field(
        None,
        description="SQL whose result is the rows: of SQLite and DuckDB files, of addresses such as postgresql://..., "
        "of Parquet files, which are its table `data`. All but SQLite need the extra `sql`.",
    )
    subset: str | None = Field(None, description="Configuration of a data set of the hub; null = its default.")
    split: str | None = Field(None, description="Split of a data set of the hub; null = train.")
    weight: float = Field(
        1.0,
        gt=0,
        description="How often the source's rows are drawn, of a training source: 2 = twice an epoch, 0.5 = every "
        "other row. With balance by source, its share beside the other sources.",
    )

    @model_validator(mode="after")
    def _only_where_it_means_something(self) -> SourceConfig:
        if (self.subset or self.split) and not self.path.startswith("hub:"):
            raise ValueError("subset and split belong to data sets of the hub: path: hub:OWNER/NAME")
        return self


class BalanceConfig(Part):
    """How often rows are seen: groups share an epoch by their sizes to the power of 1/temperature."""

    by: Literal["label", "source"] = Field("label", description="What the groups are: labels, or training sources.")
    how: Literal["oversample", "weighted"] = Field(
        "oversample",
        description="oversample (an epoch has every row, and rows of rare groups several times) | weighted (an epoch "
        "has as many rows as there are: those of common groups are not all in it).",
    )
    temperature: float | None = Field(
        None,
        ge=1,
        description="A group of n rows gets a share of n^(1/temperature): 1 = as they are, 2 = by square roots, "
        "null = all groups equally often (https://arxiv.org/abs/1907.05019).",
    )
    cap: float | None = Field(
        None, ge=1, description="No row is seen more often than this in an epoch; null = no limit."
    )


def _as_balance(value: Any) -> Any:
    if value == "none":
        return None
    return {"how": value} if isinstance(value, str) else value


Balance = Annotated[
    BalanceConfig | None,
    BeforeValidator(
        _as_balance, json_schema_input_type=Literal["none", "oversample", "weighted"] | BalanceConfig | None
    ),
]
"""none, oversample, weighted, or {how: ..., by: ..., temperature: ..., cap: ...}."""


def _as_sources(value: Any) -> Any:
    items = value if isinstance(value, list) else [value]
    return [{"path": item} if isinstance(item, str) else item for item in items]


_SourceInput = str | SourceConfig
Sources = Annotated[
    list[SourceConfig],
    BeforeValidator(_as_sources, json_schema_input_type=_SourceInput | list[_SourceInput]),
]
"""A path, {path: ..., its options}, or a list of these."""


class DataConfig(Part):
    """Where rows come from and what is done with them before training."""

    train: Annotated[Sources, Field(min_length=1)] = Field(description="Sources of the training rows.")
    validation: Sources = Field(
        default_factory=list, description="Sources of validation rows; empty = carved out by split."
    )
    test: Sources = Field(default_factory=list, description="Sources of test rows; empty = carved out by split.")
    tolerance: float = Field(0.01, ge=0, le=1, description="Share of unreadable rows that is still allowed.")
    split: SplitConfig = Field(default_factory=lambda: SplitConfig(), description="How splits are carved out.")
    clean: list[CleaningOptions] = Field(
        default_factory=lambda: [default_options("cleaning")], description="Cleaning steps, in order."
    )
    labels: list[str] | None = Field(
        None,
        description="The allowed labels, in order; rows with others are quarantined. "
        "null = those seen in the training rows.",
    )
    limit: int | None = Field(None, ge=1, description="Use at most so many training rows (chosen by the split's seed).")
    template: str = Field(
        "chat", description="chat (the model's own chat template), a named template, or an inline Jinja template."
    )
    system: str | None = Field(None, description="System message; null = what the template does by itself.")
    instruction: str | None = Field(
        None,
        description="What labelled text, or the source of a pair, is asked, before the text; {labels} stands for the "
        "allowed labels.",
    )
    max_length: int = Field(512, ge=8, description="Longest row in tokens.")
    too_long: Literal["drop", "truncate", "split", "fail"] = Field(
        "drop",
        description="What happens to longer rows: drop, truncate (the user's text is cut, the answer kept), "
        "split (documents), fail.",
    )
    overlap: int = Field(
        0,
        ge=0,
        description="Tokens that a piece of a split document repeats from the one before it: they are context, and "
        "learned only there. At most half of max_length.",
    )
    pack: bool = Field(
        False,
        description="Fill rows of max_length with whole documents: training.batch_size then counts full rows. The "
        "documents in a row do not see each other.",
    )
    hindsight: Literal["auto", "note", "drop", "off"] = Field(
        "auto",
        description="Answers that name a date after their row's time, or else after the latest date in their prompt: "
        "note (in the ledger, and aloud), drop, off; auto = note where rows are split by time.",
    )
    augment: list[AugmentationOptions] = Field(
        default_factory=list, description="Ways of making new training rows from those there are."
    )
    balance: Balance = Field(
        None,
        description="none | oversample (rows of rare labels are repeated) | weighted (an epoch of the same size, all "
        "labels equally often), or its keys.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> DataConfig:
        if self.overlap > self.max_length // 2:
            raise ValueError(f"overlap must be at most half of max_length, which is {self.max_length}")
        if self.pack and self.balance is not None:
            raise ValueError("pack and balance do not go together: a packed row has no label")
        if self.pack and any(source.weight != 1 for source in self.train):
            raise ValueError("pack and weights do not go together: a packed row may come from several sources")
        if any(source.weight != 1 for source in (*self.validation, *self.test)):
            raise ValueError("weight is for training sources: every row of the others is asked once")
        for name in ("embargo", "label_time", "test_from", "windows"):
            if self.test and getattr(self.split, name):
                raise ValueError(f"split.{name} is for a test that is carved by time; data.test brings its own")
        if self.validation and self.split.validation_from:
            raise ValueError("split.validation_from carves validation rows; data.validation brings them")
        return self
