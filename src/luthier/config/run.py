"""RunConfig and its parts. Every field's description is the one place where its help text is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from luthier import registry
from luthier.config.plugins import plugin_field, plugin_name
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
    TaskOptions = Options
    MethodOptions = Options
    OptimizerOptions = Options
    ScheduleOptions = Options
    CleaningOptions = Options
    MetricName = str
    FormatName = str
else:
    TaskOptions = plugin_field("task", default=DEFAULTS["task"])
    MethodOptions = plugin_field("method", default=DEFAULTS["method"])
    OptimizerOptions = plugin_field("optimizer", default=DEFAULTS["optimizer"])
    ScheduleOptions = plugin_field("schedule", default=DEFAULTS["schedule"])
    CleaningOptions = plugin_field("cleaning")
    MetricName = plugin_name("metric")
    FormatName = plugin_name("format", also="auto")


def _default(kind: str) -> Options:
    options: Options = registry.load(kind, DEFAULTS[kind]).Options()
    return options


class Part(BaseModel):
    """Base of every part: unknown keys are refused, values do not change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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

    @model_validator(mode="after")
    def _only_where_it_means_something(self) -> SourceConfig:
        if (self.subset or self.split) and not self.path.startswith("hub:"):
            raise ValueError("subset and split belong to data sets of the hub: path: hub:OWNER/NAME")
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
    seed: int = Field(42, description="Seed of the split.")


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
    balance: Literal["none", "oversample", "weighted"] = Field(
        "none", description="none | oversample (repeat rows of rare labels) | weighted (draw labels equally often)."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> DataConfig:
        if self.overlap > self.max_length // 2:
            raise ValueError(f"overlap must be at most half of max_length, which is {self.max_length}")
        if self.pack and self.balance != "none":
            raise ValueError("pack and balance do not go together: a packed row has no label")
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


class GenerateConfig(Part):
    """How answers are generated during evaluation (greedily)."""

    max_new_tokens: int = Field(8, ge=1, description="Longest answer in tokens.")


class EvaluationConfig(Part):
    """What is measured, and when."""

    every: ShareOrSteps | None = Field(
        0.25, description="Share of all steps, steps, or null: how often validation is scored."
    )
    limit: int | None = Field(200, ge=1, description="Validation rows scored during training; null = all.")
    samples: int = Field(5, ge=0, description="Validation rows whose answers are shown at every evaluation.")
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
        True, description="Score the majority class and TF-IDF with logistic regression beside the models."
    )
    generate: GenerateConfig = Field(default_factory=lambda: GenerateConfig(), description="Generated answers.")


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
    output: str = Field("runs", description="Folder of all runs.")
