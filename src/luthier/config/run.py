"""RunConfig and its parts. Every field's description is the one place where its help text is written."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from luthier.config.data import DataConfig
from luthier.config.part import Part, Seed
from luthier.config.plugins import DEFAULTS, default_options, plugin_field, plugin_name
from luthier.languages import Language
from luthier.registry import Options
from luthier.shares import ShareOrSteps

if TYPE_CHECKING:
    from luthier.tracking import TrackerOptions

    TaskOptions = Options
    MethodOptions = Options
    OptimizerOptions = Options
    ScheduleOptions = Options
    MetricName = str
else:
    TaskOptions = plugin_field("task", default=DEFAULTS["task"])
    MethodOptions = plugin_field("method", default=DEFAULTS["method"])
    OptimizerOptions = plugin_field("optimizer", default=DEFAULTS["optimizer"])
    ScheduleOptions = plugin_field("schedule", default=DEFAULTS["schedule"])
    TrackerOptions = plugin_field("tracker")
    MetricName = plugin_name("metric")


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


class CheckpointConfig(Part):
    """When work is saved."""

    every: ShareOrSteps | None = Field(
        0.25, description="Share of all steps (float up to 1), steps (integer), or null."
    )
    keep: int = Field(2, ge=1, description="How many checkpoints to keep besides the best one.")


class EarlyStoppingConfig(Part):
    """Stops when a metric no longer gets better."""

    metric: str = Field("auto", description="Validation metric to watch; auto = the one of evaluation.best.")
    patience: int = Field(3, ge=1, description="Evaluations without improvement before stopping.")


class TrainingConfig(Part):
    """The optimisation."""

    epochs: float = Field(2.0, gt=0, description="Passes over the training rows.")
    max_steps: int | None = Field(None, ge=1, description="Stops earlier than the epochs when set.")
    batch_size: int = Field(16, ge=1, description="Examples per optimiser step, whatever the micro-batch.")
    micro_batch: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto", description="Examples computed at once; the result does not depend on it."
    )
    learning_rate: float = Field(5e-4, gt=0, description="Peak learning rate.")
    optimizer: OptimizerOptions = Field(
        default_factory=partial(default_options, "optimizer"), description="The optimiser."
    )
    schedule: ScheduleOptions = Field(
        default_factory=partial(default_options, "schedule"), description="Learning rate over the steps."
    )
    max_grad_norm: float | None = Field(1.0, gt=0, description="Gradients are clipped to this norm; null = never.")
    seed: Seed = Field(42, description="Seed of initialisation, dropout and row order.")
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
    task: TaskOptions = Field(
        default_factory=partial(default_options, "task"), description="What the model learns to do."
    )
    data: DataConfig = Field(description="The rows.")
    method: MethodOptions = Field(
        default_factory=partial(default_options, "method"), description="How the base is tuned."
    )
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
