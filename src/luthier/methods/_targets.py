"""Which modules a low-rank method adapts: the options, and what they are in `peft`'s words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from luthier.methods._layers import Layers, check_layers
from luthier.methods._peft import HEADED
from luthier.models.architectures import resolve_targets
from luthier.registry import Options

if TYPE_CHECKING:
    from luthier.models.base import BaseModel

GROUPS = ("attention", "mlp", "all-linear")


class TargetOptions(Options):
    """What is adapted, and what else is trained."""

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
    modules_to_save: list[str] = Field(
        default_factory=list,
        description="Modules trained whole and saved beside the adapter, such as [embed_tokens]. "
        "A new classification head always is.",
    )

    @model_validator(mode="after")
    def _layers_fit(self) -> TargetOptions:
        if isinstance(self.targets, str) and self.targets not in GROUPS and self.layers is not None:
            raise ValueError(
                "layers and a regular expression in targets do not go together; put the layers into the expression"
            )
        return self


def targeted(options: TargetOptions, base: BaseModel, peft_task: str) -> dict[str, Any]:
    """Arguments that `peft.LoraConfig` and its like have in common.

    Raises:
        ModelError: the options do not fit the network.
    """
    architecture, layers = base.architecture, options.layers
    if layers is not None:
        check_layers(layers, base.network, architecture)
    head = architecture.head if peft_task in HEADED else ()
    return {
        "task_type": peft_task,
        "target_modules": resolve_targets(base.network, architecture, options.targets),
        "exclude_modules": options.exclude,
        "layers_to_transform": layers,
        "layers_pattern": None if layers is None else [name.rpartition(".")[2] for name in architecture.layers],
        "fan_in_fan_out": any(type(module).__name__ == "Conv1D" for module in base.network.modules()),
        "modules_to_save": [*head, *options.modules_to_save] or None,
    }
