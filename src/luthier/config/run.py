"""RunConfig and its parts. Every field's description is the one place where its help text is written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from luthier import registry
from luthier.config.part import Part
from luthier.config.plugins import plugin_field, plugin_name
from luthier.config.split import SplitConfig
from luthier.languages import Language
from luthier.registry import Options
from luthier.shares import ShareOrSteps

DEFAULTS = {
    "task": "causal_lm",
    "method": "lora",
    "optimizer": "adamw",
    "schedule": "cosine",
    "cleaning": "deduplicate",
}
"""The plugin that is meant when a configuration names none."""

if TYPE_CHECKING:
    from luthier.tracking import TrackerOptions

    TaskOptions = Options
    MethodOptions = Options
    OptimizerOptions = Options
    ScheduleOptions = Options
    CleaningOptions = Options
    AugmentationOptions = Options
    MetricName = str
    FormatName = str
else:
    TaskOptions = plugin_field("task", default=DEFAULTS["task"])
    MethodOptions = plugin_field("method", default=DEFAULTS["method"])
    OptimizerOptions = plugin_field("optimizer", default=DEFAULTS["optimizer"])
    ScheduleOptions = plugin_field("schedule", default=DEFAULTS["schedule"])
    CleaningOptions = plugin_field("cleaning")
    AugmentationOptions = plugin_field("augmentation")
    TrackerOptions = plugin_field("tracker")
    MetricName = plugin_name("metric")
    FormatName = plugin_name("format", also="auto")


def _default(kind: str) -> Options:
    options: Options = registry.load(kind, DEFAULTS[kind]).Options()
    return options


class RopeScalingConfig(Part):
    """How rotary positions are stretched, for rows longer than the base has seen."""

    type: Literal["linear", "dynamic", "yarn"] = Field(
        description="linear (all positions closer together), dynamic (only while a row is longer than the base's; what "
        "it computes depends on the longest row beside it), yarn (each frequency by as much as it needs; "
        "https://arxiv.org/abs/2309.00071)."
    )
    factor: float = Field(gt=1, description="How many times the base's length.")


class ModelConfig(Part):
    """The base model and the numbers it computes in."""

    base: str = Field(
        description="Hub id, folder, .gguf file, or package:MODULE/FILE (a file inside a Python package)."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where to compute.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="Type of the frozen weights and of the computation; trained weights stay float32. float16 scales "
        "its loss. auto = what this device multiplies fastest with enough range.",
    )
    rope_scaling: RopeScalingConfig | None = Field(
        None,
        description="Stretches rotary positions for rows longer than the base has seen; null = as the base has them.",
    )
    quantise: Literal["none", "int8", "nf4"] = Field(
        "none",
        description="Hold the weights of frozen layers in 8 or 4 bits: less memory, less exact; needs bitsandbytes.",
    )
    trust_remote_code: bool = Field(
        False, description="Run Python code that comes with the model. Off unless you trust it."
    )
    allow_pickle: bool = Field(
        False, description="Load pickled weights (.bin, .pt), which can run code. Off unless you trust them."
    )


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
        default_factory=lambda: [_default("cleaning")], description="Cleaning steps, in order."
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


class CheckpointConfig(Part):
    """When work is saved."""

    every: ShareOrSteps | None = Field(
        0.25, description="Share of all steps (float up to 1), steps (integer), or null."
    )
    keep: int = Field(2, ge=1, description="How many checkpoints to keep besides the best one.")


class EarlyStoppingConfig(Part):
    """Stops when a metric no longer gets better."""

    metric: str = Field("loss", description="Validation metric to watch.")
    patience: int = Field(3, ge=1, description="Evaluations without improvement before stopping.")


class TrainingConfig(Part):
    """The optimisation."""

    epochs: float = Field(2.0, gt=0, description="Passes over the training rows.")
    max_steps: int | None = Field(None, ge=1, description="Stops earlier than the epochs when set.")
    batch_size: int = Field(16, ge=1, description="Examples per optimiser step, whatever the micro-batch.")
    micro_batch: int | Literal["auto"] = Field(
        "auto", description="Examples computed at once; the result does not depend on it."
    )
    learning_rate: float = Field(5e-4, gt=0, description="Peak learning rate.")
    optimizer: OptimizerOptions = Field(default_factory=lambda: _default("optimizer"), description="The optimiser.")
    schedule: ScheduleOptions = Field(
        default_factory=lambda: _default("schedule"), description="Learning rate over the steps."
    )
    max_grad_norm: float | None = Field(1.0, gt=0, description="Gradients are clipped to this norm; null = never.")
    seed: int = Field(42, description="Seed of initialisation, dropout and row order.")
    engine: Literal["auto", "reference", "fast"] = Field(
        "auto",
        description="Which engine computes: fast (no padding, shared beginnings computed once, LoRA as one operation), "
        "reference (the plain model), auto = fast wherever it gives the same numbers.",
    )
    memory: Literal["auto", "low", "balanced", "fast"] = Field(
        "auto",
        description="What is kept for the backward pass: low (whole layers are recomputed: least memory), balanced "
        "(cheap products are recomputed), fast (everything); auto = balanced, or low where memory is short.",
    )
    checkpoint: CheckpointConfig = Field(default_factory=lambda: CheckpointConfig(), description="When work is saved.")
    early_stopping: EarlyStoppingConfig | None = Field(None, description="null = train to the end.")
    time_limit: float | None = Field(
        None,
        gt=0,
        description="Minutes after which training ends where it is, with an evaluation and a checkpoint; null = never.",
    )


class GenerateConfig(Part):
    """How answers are generated during evaluation (greedily)."""

    max_new_tokens: int = Field(8, ge=1, description="Longest answer in tokens.")


GENERAL_TEXT = "package:luthier.evaluation/general.jsonl"
"""Sixty short paragraphs of English and Chinese that come with Luthier."""


class ForgettingConfig(Part):
    """Whether what the base knew is still there: general text, measured before and after tuning."""

    path: str = Field(
        GENERAL_TEXT,
        description="General text, in any format of data: what the task learns from, or running text. The default is "
        "sixty short paragraphs of English and Chinese.",
    )
    limit: int | None = Field(None, ge=1, description="At most so many rows, the first ones; null = all.")


def _as_patterns(sections: dict[str, str]) -> dict[str, str]:
    for name, heading in sections.items():
        try:
            re.compile(heading)
        except re.error as error:
            raise ValueError(f"the heading of '{name}' is no regular expression: {error}") from None
    return sections


class EvaluationConfig(Part):
    """What is measured, and when."""

    every: ShareOrSteps | None = Field(
        0.25, description="Share of all steps, steps, or null: how often validation is scored."
    )
    limit: int | None = Field(200, ge=1, description="Validation rows scored during training; null = all.")
    samples: int = Field(
        5, ge=0, description="Validation rows whose written answers are scored and shown at every evaluation."
    )
    metrics: list[MetricName] = Field(
        default_factory=lambda: ["accuracy", "f1_macro", "f1_weighted", "mcc"],
        description="Metrics of the predictions.",
    )
    best: str = Field(
        "auto",
        description="Metric that picks the best checkpoint: loss or one of metrics; auto = the first that applies.",
    )
    modes: list[str] | None = Field(
        None,
        min_length=1,
        description="Ways of asking, the deciding one first: labels, generate, likelihood, head or preference, as the "
        "task has them; null = all of them.",
    )
    few_shot: int = Field(6, ge=0, description="Examples in the prompt of the few-shot base; 0 = leave it out.")
    baselines: bool = Field(
        True,
        description="Score simple ways of answering beside the models, such as the majority class and TF-IDF with "
        "logistic regression.",
    )
    generate: GenerateConfig = Field(default_factory=lambda: GenerateConfig(), description="Generated answers.")
    sections: Annotated[dict[str, str], AfterValidator(_as_patterns)] = Field(
        default_factory=dict,
        description="Parts of a written answer that are scored by themselves: a name, and a regular expression of the "
        "heading above it, such as {analysis: '^Analysis:'}; a part ends where the next heading begins.",
    )
    forgetting: ForgettingConfig | None = Field(
        default_factory=lambda: ForgettingConfig(),
        description="Measures general text before and after tuning, where the task writes; null = never.",
    )


class RunConfig(Part):
    """A whole run."""

    name: str = Field(
        "run",
        pattern=r"^[\w.-]+$",
        description="Name of the run and of its folder: letters, digits, '.', '_' and '-'.",
    )
    model: ModelConfig = Field(description="The base model.")
    task: TaskOptions = Field(default_factory=lambda: _default("task"), description="What the model learns to do.")
    data: DataConfig = Field(description="The rows.")
    method: MethodOptions = Field(default_factory=lambda: _default("method"), description="How the base is tuned.")
    training: TrainingConfig = Field(default_factory=lambda: TrainingConfig(), description="The optimisation.")
    evaluation: EvaluationConfig = Field(
        default_factory=lambda: EvaluationConfig(), description="What is measured, and when."
    )
    tracking: list[TrackerOptions] = Field(
        default_factory=list, description="Where the run is shown besides its folder, such as [tensorboard]."
    )
    output: str = Field("runs", description="Folder of all runs.")
    language: Language = Field(
        "en", description="What the report, the end of a training and the comments of this file are written in."
    )
