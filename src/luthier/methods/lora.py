"""Low-rank adaptation: two thin matrices beside each chosen layer (Hu et al., https://arxiv.org/abs/2106.09685)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from luthier.methods._layers import Layers, check_layers
from luthier.methods._peft import HEADED, PeftMethod
from luthier.models.architectures import resolve_targets
from luthier.registry import Options

if TYPE_CHECKING:
    from luthier.models.base import BaseModel

LARGE = 3_000_000_000
"""Parameters from which the lower rates apply."""

GROUPS = ("attention", "mlp", "all-linear")
INITIALISATIONS = {"default": True, "gaussian": "gaussian", "orthogonal": "orthogonal", "random": False}


class LoraOptions(Options):
    """Options of LoRA and of its variants DoRA and rsLoRA."""

    name: Literal["lora"] = "lora"
    rank: int = Field(16, ge=1, description="Width of the two matrices: more learns more, and costs more.")
    alpha: float | Literal["auto"] = Field("auto", description="The update is scaled by alpha / rank. auto = 2 x rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of the adapter's inputs set to zero while training.")
    targets: str | list[str] = Field(
        "all-linear",
        description="Which modules get an adapter: attention | mlp | all-linear (all but the head), "
        "a list of names such as [q_proj, v_proj], or a regular expression over whole module paths.",
    )
    exclude: str | list[str] | None = Field(
        None, description="Modules left out of the targets: a list of names, or a regular expression over whole paths."
    )
    layers: Layers | None = Field(
        None, description="Only these layers get an adapter: 0-3, 0-3,7 or a list, from 0. null = all."
    )
    bias: Literal["none", "all", "lora_only"] = Field(
        "none",
        description="Biases trained too: none, all, or those of the adapted layers. Then switching the adapter off "
        "no longer gives the base back.",
    )
    modules_to_save: list[str] = Field(
        default_factory=list,
        description="Modules trained whole and saved beside the adapter, such as [embed_tokens]. "
        "A new classification head always is.",
    )
    rslora: bool = Field(
        False,
        description="Scale by alpha / sqrt(rank), which keeps high ranks learning (https://arxiv.org/abs/2312.03732).",
    )
    dora: bool = Field(
        False,
        description="Train a magnitude beside the direction: better at low rank, slower "
        "(https://arxiv.org/abs/2402.09353).",
    )
    init: Literal["default", "gaussian", "orthogonal", "random"] = Field(
        "default",
        description="How the matrices begin: default (Kaiming and zero), gaussian (and zero), orthogonal (both; their "
        "product is zero; even ranks), random (both; the model changes before the first step).",
    )
    rank_pattern: dict[str, int] = Field(
        default_factory=dict, description="Other ranks for some modules: {name or regular expression: rank}."
    )
    alpha_pattern: dict[str, float] = Field(
        default_factory=dict, description="Other alphas for some modules: {name or regular expression: alpha}."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> LoraOptions:
        if isinstance(self.targets, str) and self.targets not in GROUPS and self.layers is not None:
            raise ValueError(
                "layers and a regular expression in targets do not go together; put the layers into the expression"
            )
        if self.init == "orthogonal" and any(rank % 2 for rank in (self.rank, *self.rank_pattern.values())):
            raise ValueError("init: orthogonal needs an even rank")
        return self


class Lora(PeftMethod):
    """LoRA, by `peft`."""

    Options: ClassVar[type[Options]] = LoraOptions

    def __init__(self, options: LoraOptions) -> None:
        self.options = options

    def usual_learning_rates(self, parameters: int) -> tuple[float, float, str]:
        """Small models take higher rates than large ones."""
        if parameters >= LARGE:
            return 1e-5, 2e-4, "FinGPT's tutorial: 1e-5 to 1e-4; LLaMA-2 tutorials: 2e-4"
        return 1e-4, 1e-3, "LoRA-Scripts: 1e-4 to 1e-3; the mT0 tutorial: 1e-3"

    def peft_config(self, base: BaseModel, *, peft_task: str, total_steps: int) -> Any:
        """The options in the words of `peft.LoraConfig`."""
        from peft import LoraConfig

        options, architecture = self.options, base.architecture
        if options.layers is not None:
            check_layers(options.layers, base.network, architecture)
        head = architecture.head if peft_task in HEADED else ()
        alpha = 2 * options.rank if options.alpha == "auto" else options.alpha
        return LoraConfig(
            task_type=peft_task,
            r=options.rank,
            lora_alpha=alpha,
            lora_dropout=options.dropout,
            target_modules=resolve_targets(base.network, architecture, options.targets),
            exclude_modules=options.exclude,
            layers_to_transform=options.layers,
            layers_pattern=None
            if options.layers is None
            else [name.rpartition(".")[2] for name in architecture.layers],
            fan_in_fan_out=any(type(module).__name__ == "Conv1D" for module in base.network.modules()),
            bias=options.bias,
            modules_to_save=[*head, *options.modules_to_save] or None,
            use_rslora=options.rslora,
            use_dora=options.dora,
            init_lora_weights=INITIALISATIONS[options.init],
            rank_pattern=dict(options.rank_pattern),
            alpha_pattern=dict(options.alpha_pattern),
            ensure_weight_tying=self._touches_tied_weights(base),
        )

    def _touches_tied_weights(self, base: BaseModel) -> bool:
        """Whether an embedding table is tuned that the output layer shares: then both stay one."""
        targets = self.options.targets
        named = [*self.options.modules_to_save, *(targets if isinstance(targets, list) else [])]
        tables = (*base.architecture.embeddings, *base.architecture.head)
        tied = getattr(base.network.config, "tie_word_embeddings", False)
        return tied and any(f".{table}".endswith(f".{name}") for table in tables for name in named)
