"""Bottleneck adapters: two small layers behind every sublayer, which `peft` does not have.

Houlsby et al., https://arxiv.org/abs/1902.00751: behind attention and MLP. Pfeiffer et al.,
https://arxiv.org/abs/2005.00247: behind the MLP only.

bottleneck.safetensors   the adapters, and a new head, by their names in the network
bottleneck.json          which modules have one, and of what shape
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from luthier.errors import ModelError
from luthier.methods._common import TrainedInPlace
from luthier.methods._float32 import trained_in_float32
from luthier.methods._layers import Layers, check_layers
from luthier.methods._peft import HEADED
from luthier.methods._sublayers import Sublayers
from luthier.registry import Options

if TYPE_CHECKING:
    from torch import nn

    from luthier.models.base import BaseModel

WEIGHTS, SHAPE = "bottleneck.safetensors", "bottleneck.json"


class BottleneckOptions(Options):
    """Options of bottleneck adapters."""

    name: Literal["bottleneck"] = "bottleneck"
    kind: Literal["houlsby", "pfeiffer"] = Field(
        "houlsby", description="houlsby: two in a layer, behind attention and MLP; pfeiffer: one, behind the MLP."
    )
    reduction: int = Field(16, ge=1, description="The network's width divided by the bottleneck's.")
    width: int | None = Field(None, ge=1, description="The bottleneck's width itself, in place of `reduction`.")
    activation: Literal["relu", "gelu", "silu", "tanh"] = Field("relu", description="Between its two layers.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of an adapter's inputs set to zero while training.")
    layers: Layers | None = Field(
        None, description="Only these layers get adapters: 0-3, 0-3,7 or a list, from 0. null = all."
    )


class Bottleneck(TrainedInPlace):
    """Bottleneck adapters, Luthier's own: plain `peft` cannot load them."""

    Options: ClassVar[type[Options]] = BottleneckOptions
    unmergeable = "an adapter has a non-linearity between its two layers: no single matrix does the same"

    def __init__(self, options: BottleneckOptions) -> None:
        self.options = options

    def usual_learning_rates(self, parameters: int) -> tuple[float, float, str]:
        """Those of small layers that start near the identity."""
        return 3e-5, 3e-3, "Houlsby et al.: 3e-5 to 3e-3 (BERT); AdapterHub's adapters: 1e-4"

    def apply(self, base: BaseModel, *, peft_task: str, total_steps: int) -> nn.Module:
        """The network itself with adapters; only they, and a new head, are trained."""
        from luthier.methods._bottleneck import insert

        network = base.network
        for adapter in insert(
            network,
            self._places(base),
            bottleneck=self._width(base),
            activation=self.options.activation,
            dropout=self.options.dropout,
        ):
            adapter.requires_grad_(True)
        for name in base.architecture.head if peft_task in HEADED else ():
            network.get_submodule(name).requires_grad_(True)
        trained_in_float32(network, base.dtype)
        return network

    def _places(self, base: BaseModel) -> list[str]:
        layers = self.options.layers
        if layers is not None:
            check_layers(layers, base.network, base.architecture)
        sublayers = Sublayers.of(base, layers)
        if not sublayers.mlp_outputs:
            raise ModelError(
                f"the MLPs of this {base.architecture.family} network are no linear modules",
                hint="method: {name: lora, targets: attention}",
            )
        both = self.options.kind == "houlsby"
        return [*(sublayers.attention_outputs if both else []), *sublayers.mlp_outputs]

    def _width(self, base: BaseModel) -> int:
        network: Any = base.network
        return self.options.width or max(network.config.get_text_config().hidden_size // self.options.reduction, 1)

    def save(self, network: Any, folder: Path, base: BaseModel) -> None:
        """Writes the adapters and where they belong."""
        from safetensors.torch import save_file

        from luthier.methods._bottleneck import inserted
        from luthier.runs.files import write_json

        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in self.state(network).items()}, folder / WEIGHTS)
        adapters = inserted(network)
        shape = {
            "base_model": base.files.reference,
            "bottleneck": next(iter(adapters.values())).down.out_features,
            "activation": self.options.activation,
            "modules": [*adapters],
        }
        write_json(folder / SHAPE, shape)

    def open(self, base: BaseModel, folder: Path) -> nn.Module:
        """The base with saved adapters.

        Raises:
            ModelError: there are none, or they are not of this base.
        """
        from safetensors.torch import load_file

        from luthier.methods._bottleneck import insert
        from luthier.runs.files import read_json

        network = base.network
        if not (folder / SHAPE).is_file():
            raise ModelError(f"there are no bottleneck adapters in '{folder}'", expected=f"{SHAPE} and {WEIGHTS}")
        try:
            shape, state = read_json(folder / SHAPE), load_file(folder / WEIGHTS)
            insert(network, shape["modules"], bottleneck=shape["bottleneck"], activation=shape["activation"])
            for name in state:
                network.get_parameter(name).requires_grad_(True)
            trained_in_float32(network, base.dtype)
            self.restore(network, state)
        except Exception as error:  # whatever a damaged file makes the readers stumble over
            raise ModelError(
                f"the adapters do not load on this base: {error}",
                where=str(folder),
                hint="were they trained on another base?",
            ) from error
        return network.requires_grad_(False).eval()

    def merge(self, network: nn.Module) -> nn.Module:
        """Raises ModelError."""
        raise ModelError(self.unmergeable)
