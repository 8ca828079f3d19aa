"""Low-rank adaptation: two thin matrices beside each chosen layer (Hu et al., https://arxiv.org/abs/2106.09685)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from luthier.methods import _initialisation as initialisation
from luthier.methods._peft import PeftMethod
from luthier.methods._targets import TargetOptions, targeted
from luthier.registry import Options

if TYPE_CHECKING:
    import torch
    from torch import nn

    from luthier.data.records import Batch
    from luthier.models.base import BaseModel

LARGE = 3_000_000_000
"""Parameters from which the lower rates apply."""

IN_PEFT = {"gaussian": "gaussian", "orthogonal": "orthogonal", "random": False}
"""What `peft` calls an initialisation; the others begin like its default one."""

Init = Literal["default", "gaussian", "orthogonal", "random", "pissa", "pissa_fast", "olora", "eva", "loftq"]


class LoraOptions(TargetOptions):
    """Options of LoRA and of its variants DoRA, rsLoRA and LoRA+."""

    name: Literal["lora"] = "lora"
    rank: int = Field(16, ge=1, description="Width of the two matrices: more learns more, and costs more.")
    alpha: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        "auto", description="The update is scaled by alpha / rank. auto = 2 x rank."
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of the adapter's inputs set to zero while training.")
    bias: Literal["none", "all", "lora_only"] = Field(
        "none",
        description="Biases trained too: none, all, or those of the adapted layers. Then switching the adapter off "
        "no longer gives the base back.",
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
    plus_ratio: float | None = Field(
        None,
        gt=0,
        description="LoRA+: B, which begins at zero, learns so many times as fast as A; its authors take 16 "
        "(https://arxiv.org/abs/2402.12354). null = as fast.",
    )
    init: Init = Field(
        "default",
        description="How the matrices begin: default (Kaiming and zero), gaussian (and zero), orthogonal (both; their "
        "product is zero; even ranks), random (both; the model changes before the first step), pissa (the largest "
        "singular directions of the weights; pissa_fast finds them approximately), olora (an orthogonal part of the "
        "weights), eva (the largest directions of what layers read in training rows, which also spreads the ranks "
        "over the layers), loftq (what nf4 took from the weights).",
    )
    rank_pattern: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict, description="Other ranks for some modules: {name or regular expression: rank}."
    )
    alpha_pattern: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="Other alphas for some modules: {name or regular expression: alpha}."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> LoraOptions:
        if self.init == "orthogonal" and any(rank % 2 for rank in (self.rank, *self.rank_pattern.values())):
            raise ValueError("init: orthogonal needs an even rank")
        if self.dora and self.init in ("eva", "loftq"):
            raise ValueError(f"dora and init: {self.init} do not go together")
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

        options = self.options
        return LoraConfig(
            **targeted(options, base, peft_task),
            r=options.rank,
            lora_alpha=2 * options.rank if options.alpha == "auto" else options.alpha,
            lora_dropout=options.dropout,
            bias=options.bias,
            use_rslora=options.rslora,
            use_dora=options.dora,
            init_lora_weights=IN_PEFT.get(options.init, True),
            rank_pattern=dict(options.rank_pattern),
            alpha_pattern=dict(options.alpha_pattern),
            ensure_weight_tying=self._touches_tied_weights(base),
        )

    def apply(self, base: BaseModel, *, peft_task: str, total_steps: int) -> nn.Module:
        """The network with an adapter that begins as `init` says; EVA still has to look at rows."""
        network = super().apply(base, peft_task=peft_task, total_steps=total_steps)
        if self.options.init in initialisation.DECOMPOSITIONS:
            initialisation.decompose(network, base, self.options.init)
        elif self.options.init == "loftq":
            initialisation.compensate(network, base)
        return network

    def rows_wanted(self) -> int:
        """As many as EVA looks for directions."""
        highest = max(self.options.rank, *self.options.rank_pattern.values(), 0)
        return round(initialisation.SPREAD * highest) if self._looks else 0

    def initialise(self, network: nn.Module, batches: Sequence[Batch], forward: Callable[[Batch], object]) -> None:
        """EVA, where it is asked for."""
        if self._looks:
            initialisation.look_at(network, batches, forward)

    @property
    def _looks(self) -> bool:
        return self.options.init == "eva"

    def parameter_groups(self, network: nn.Module, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """With `plus_ratio`, every B stands in a group of its own rate."""
        groups = super().parameter_groups(network, learning_rate, weight_decay)
        ratio = self.options.plus_ratio
        if ratio is None:
            return groups
        faster = {id(parameter) for name, parameter in network.named_parameters() if ".lora_B." in name}
        split = [
            group | {"params": [p for p in group["params"] if (id(p) in faster) is fast], "lr": rate}
            for group in groups
            for fast, rate in ((False, learning_rate), (True, ratio * learning_rate))
        ]
        return [group for group in split if group["params"]]

    def state(self, network: nn.Module) -> dict[str, torch.Tensor]:
        """What is trained, and what a decomposition took out of the base."""
        taken = {name: tensor.to("cpu", copy=True) for name, tensor in initialisation.start_state(network).items()}
        return super().state(network) | taken

    def restore(self, network: nn.Module, state: dict[str, torch.Tensor]) -> None:
        """Puts a state back, bit for bit."""
        taken = initialisation.start_state(network).keys() & state.keys()
        super().restore(network, {name: tensor for name, tensor in state.items() if name not in taken})
        initialisation.restore_start(network, state)

    def save(self, network: Any, folder: Path, base: BaseModel) -> None:
        """Writes plain LoRA, however it began."""
        super().save(network, folder, base)
        if hasattr(network, "lora_start"):
            initialisation.write_plainly(network, folder)

    def _touches_tied_weights(self, base: BaseModel) -> bool:
        """Whether an embedding table is tuned that the output layer shares: then both stay one."""
        targets = self.options.targets
        named = [*self.options.modules_to_save, *(targets if isinstance(targets, list) else [])]
        tables = (*base.architecture.embeddings, *base.architecture.head)
        tied = getattr(base.network.config, "tie_word_embeddings", False)
        return tied and any(f".{table}".endswith(f".{name}") for table in tables for name in named)
