"""AdaLoRA: low-rank adaptation whose ranks move to the layers that use them (https://arxiv.org/abs/2303.10512).

An update is P E Q with a diagonal E. Every module begins with more rank than it will have on average; while training,
the values of E that matter least are set to zero, until the ranks of all modules sum up to what was asked for:

    |-- warmup: all ranks --|-- pruning: fewer and fewer --|-- settling: the ranks that are left --|

What is saved is plain LoRA, with the ranks that were found.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from luthier.methods._initialisation import layers_of
from luthier.methods._peft import PeftMethod
from luthier.methods._targets import TargetOptions, targeted
from luthier.registry import Options
from luthier.shares import ShareOrSteps, share_to_steps

if TYPE_CHECKING:
    import torch
    from torch import nn

    from luthier.models.base import BaseModel

AVERAGES = ("exp_avg_ipt", "exp_avg_unc")
"""What `peft` remembers of a weight's importance and of its uncertainty from step to step."""

PREFIX = "base_model.model."

CARRIED_OVER = (
    "task_type",
    "base_model_name_or_path",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "modules_to_save",
    "fan_in_fan_out",
    "lora_dropout",
)
"""Fields that mean the same in a LoRA's configuration."""


class AdaloraOptions(TargetOptions):
    """Options of AdaLoRA."""

    name: Literal["adalora"] = "adalora"
    rank: int = Field(8, ge=1, description="Rank of a module at the end, on average.")
    initial_rank: Annotated[int, Field(ge=2)] | Literal["auto"] = Field(
        "auto", description="Rank of every module at the beginning. auto = half as much again."
    )
    alpha: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        "auto", description="The update is scaled by alpha / initial rank. auto = 2 x initial rank."
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of the adapter's inputs set to zero while training.")
    warmup: ShareOrSteps = Field(0.1, description="Share of all steps, or steps, before the first rank is taken.")
    settle: ShareOrSteps = Field(0.3, description="Share of all steps, or steps, behind the last rank that is taken.")
    interval: ShareOrSteps = Field(0.01, description="Share of all steps, or steps, from one pruning to the next.")
    orthogonality: float = Field(
        0.1, ge=0, description="Weight of the term that keeps P and Q near orthogonal, added to the mean loss."
    )

    @model_validator(mode="after")
    def _prunes(self) -> AdaloraOptions:
        if self.first_rank <= self.rank:
            raise ValueError(
                f"initial_rank must be larger than rank, which is {self.rank}, or there is nothing to prune"
            )
        return self

    @property
    def first_rank(self) -> int:
        """Rank of every module at the beginning."""
        return self.rank + (self.rank + 1) // 2 if self.initial_rank == "auto" else self.initial_rank


class Adalora(PeftMethod):
    """AdaLoRA, by `peft`."""

    Options: ClassVar[type[Options]] = AdaloraOptions

    def __init__(self, options: AdaloraOptions) -> None:
        self.options = options

    def usual_learning_rates(self, parameters: int) -> tuple[float, float, str]:
        """Above LoRA's: the values of E begin at zero and stand between two small matrices."""
        return 3e-4, 5e-3, "Zhang et al.: 5e-4 to 2.2e-3 (DeBERTa and BART)"

    def peft_config(self, base: BaseModel, *, peft_task: str, total_steps: int) -> Any:
        """The options in the words of `peft.AdaLoraConfig`."""
        from peft import AdaLoraConfig

        options = self.options
        total, warmup, settle, interval = self.schedule(total_steps)
        return AdaLoraConfig(
            **targeted(options, base, peft_task),
            target_r=options.rank,
            init_r=options.first_rank,
            lora_alpha=2 * options.first_rank if options.alpha == "auto" else options.alpha,
            lora_dropout=options.dropout,
            total_step=total,
            tinit=warmup,
            tfinal=settle,
            deltaT=interval,
            orth_reg_weight=0.0,  # `penalty` adds the term; `peft` would do so in some forward passes only
        )

    def apply(self, base: BaseModel, *, peft_task: str, total_steps: int) -> nn.Module:
        """The network with an adapter that begins at zero."""
        network = super().apply(base, peft_task=peft_task, total_steps=total_steps)
        if base.quantise == "int8":  # a rank in float32 would turn what such a layer of `peft` gives into float32
            for _, layer in layers_of(network):
                layer.ranknum["default"].data = layer.ranknum["default"].data.to(base.dtype)
        return network

    def schedule(self, total_steps: int) -> tuple[int, int, int, int]:
        """(all steps, those of the warm-up, of settling, from one pruning to the next), that fit into any run.

        The last pruning needs a step before it whose gradients say what matters, so a run counts as two steps at least.
        """
        options, total = self.options, max(total_steps, 2)
        settle = share_to_steps(options.settle, total) or 0
        warmup = share_to_steps(options.warmup, total) or 0
        last = max(total - settle, min(warmup + 1, total), 2)
        return total, min(warmup, last - 1), total - last, max(share_to_steps(options.interval, total) or 1, 1)

    def penalty(self, network: nn.Module) -> torch.Tensor | None:
        """How far P and Q are from orthogonal: the Frobenius norm of P'P - 1, on average over all of them."""
        import torch

        if not self.options.orthogonality:
            return None
        products = [
            product
            for _, layer in layers_of(network)
            for product in (
                layer.lora_A["default"] @ layer.lora_A["default"].T,
                layer.lora_B["default"].T @ layer.lora_B["default"],
            )
        ]
        one_rr = torch.eye(self.options.first_rank, device=products[0].device)
        return self.options.orthogonality * torch.stack([(rr - one_rr).norm() for rr in products]).mean()

    def on_step(self, network: Any, step: int) -> None:
        """Notes what mattered in this step, and prunes when it is time."""
        network.base_model.update_and_allocate(step)

    def state(self, network: Any) -> dict[str, torch.Tensor]:
        """What is trained, and what the schedule knows: the importance of weights, and which values stay zero."""
        import torch

        allocator, config = network.base_model.rankallocator, network.peft_config["default"]
        known = {
            f"{kind}.{name}": value.to("cpu", copy=True)
            for kind in AVERAGES
            for name, value in getattr(allocator, kind).items()
        }
        known |= {f"kept.{name}": torch.tensor(mask) for name, mask in (config.rank_pattern or {}).items()}
        return super().state(network) | known

    def restore(self, network: Any, state: dict[str, torch.Tensor]) -> None:
        """Puts a state back, bit for bit."""
        parts: dict[str, dict[str, torch.Tensor]] = {kind: {} for kind in (*AVERAGES, "kept")}
        for name, value in state.items():
            kind, _, rest = name.partition(".")
            if kind in parts:
                parts[kind][rest] = value
        trained = {name: value for name, value in state.items() if name.partition(".")[0] not in parts}
        super().restore(network, trained)
        allocator, device = network.base_model.rankallocator, next(network.parameters()).device
        for kind in AVERAGES:
            setattr(allocator, kind, {name: value.to(device) for name, value in parts[kind].items()})
        allocator.ipt = dict(allocator.exp_avg_ipt)  # written anew in every step; its names say what is known
        pattern = {name: mask.tolist() for name, mask in parts["kept"].items()}
        network.peft_config["default"].rank_pattern = pattern or None

    def report(self, network: nn.Module) -> dict[str, Any]:
        """The ranks that were found, by module."""
        ranks = {name.removeprefix(PREFIX): int(kept.sum()) for name, _, kept in _kept(network)}
        mean, values = sum(ranks.values()) / len(ranks), ranks.values()
        first = self.options.first_rank
        return {"ranks": f"{min(values)} to {max(values)}, {mean:.1f} on average; {first} at first", "rank_of": ranks}

    def save(self, network: Any, folder: Path, base: BaseModel) -> None:
        """Writes plain LoRA: E goes into Q, and what is zero is left out."""
        from peft import LoraConfig
        from safetensors.torch import load_file, save_file

        config = network.peft_config["default"]
        pattern, config.rank_pattern = config.rank_pattern, None  # or `peft` would cut by the last pruning
        super().save(network, folder, base)
        config.rank_pattern = pattern
        file = folder / "adapter_model.safetensors"
        tensors = {name: value for name, value in load_file(file).items() if ".lora_" not in name}
        ranks = {}
        for name, layer, kept in _kept(network):
            if not kept.any():  # LoRA knows no rank of 0: one direction that does nothing
                kept[0] = True
            a_ri, b_or = layer.lora_A["default"] * layer.lora_E["default"], layer.lora_B["default"]
            tensors[f"{name}.lora_A.weight"] = a_ri.detach()[kept].cpu().contiguous()
            tensors[f"{name}.lora_B.weight"] = b_or.detach()[:, kept].cpu().contiguous()
            ranks[name.removeprefix(PREFIX)] = int(kept.sum())
        save_file(tensors, file, metadata={"format": "pt"})
        scale = config.lora_alpha / (config.init_r + 1e-5)  # as in `peft`
        LoraConfig(
            **{name: getattr(config, name) for name in CARRIED_OVER},
            r=self.options.rank,
            lora_alpha=scale * self.options.rank,
            rank_pattern=ranks,
            alpha_pattern={name: scale * rank for name, rank in ranks.items()},
            inference_mode=True,
        ).save_pretrained(str(folder))


def _kept(network: nn.Module) -> Iterator[tuple[str, Any, torch.Tensor]]:
    """(path, layer, which of its values of E are not zero) of every adapted module."""
    for name, layer in layers_of(network):
        yield name, layer, layer.lora_E["default"].detach().flatten() != 0
