"""What a network with its method holds and computes, known from its configuration alone.

The network is built on torch's meta device, where tensors have shapes and no values: a model of any size takes no
memory and a few seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.errors import ModelError
from luthier.methods import count_parameters
from luthier.models.architectures import describe, linear_layers
from luthier.models.base import BaseModel, Head
from luthier.models.loading import NEW_HEADS, loader_of
from luthier.models.quiet import quiet
from luthier.training.memory import Layers
from luthier.training.session import Materials

if TYPE_CHECKING:
    import torch
    from torch import nn


QUANTISED_BYTES = {"nf4": 0.5 + 1 / 64 + 4 / (64 * 256), "int8": 1.0}
"""A quantised weight, with its share of the scales: nf4 has one of 8 bits for 64 weights, and one of 32 for 256 of
those; int8 has one for a whole row."""


@dataclass(frozen=True)
class Sizes:
    """What a network with its method holds and computes.

    Attributes:
        parameters: all of them, tied weights counted once.
        trainable: those that are trained.
        frozen_bytes: bytes of the others.
        dtype: number type of the computation.
        layers: what they keep for the backward pass.
        frozen_products: frozen weights of the layers' matrix products.
        trained_products: trained ones.
        vocabulary: rows of the output layer; 0 for a classifier, whose head is small.
        causal: whether a token sees only those before it.
    """

    parameters: int
    trainable: int
    frozen_bytes: int
    dtype: str
    layers: Layers
    frozen_products: int
    trained_products: int
    vocabulary: int
    causal: bool

    @classmethod
    def of(cls, base: BaseModel, network: nn.Module, kind: Head) -> Sizes:
        """Those of a base and the network that a method made of it."""
        inner: Any = base.network
        trainable, parameters = count_parameters(network)
        linear = linear_layers(network, base.architecture)
        table = inner.get_input_embeddings().weight
        head = None if kind in NEW_HEADS else inner.get_output_embeddings()
        return cls(
            parameters=parameters,
            trainable=trainable,
            frozen_bytes=_frozen_bytes(network, linear, base.quantise),
            dtype=str(table.dtype).removeprefix("torch."),
            layers=Layers.of(base, network),
            frozen_products=sum(module.weight.numel() for module in linear if not module.weight.requires_grad),
            trained_products=sum(module.weight.numel() for module in linear if module.weight.requires_grad),
            vocabulary=0 if head is None else head.weight.shape[0],
            causal=kind == "causal_lm",
        )


def tuned_without_weights(materials: Materials, dtype: torch.dtype) -> tuple[BaseModel, nn.Module]:
    """A run's base on the meta device, and the network that its method makes of it.

    Args:
        materials: from `Materials.gather`.
        dtype: number type of the computation.

    Raises:
        ModelError: the network cannot be built from its configuration, or the method does not fit it.
    """
    base = base_without_weights(materials, dtype)
    return base, materials.method.apply(base, peft_task=materials.task.peft_task, total_steps=1)


def base_without_weights(materials: Materials, dtype: torch.dtype) -> BaseModel:
    """A run's base on the meta device, where any method can be applied to it.

    Args:
        materials: from `Materials.gather`.
        dtype: number type of the weights it does not have.

    Raises:
        ModelError: the network cannot be built from its configuration.
    """
    import torch

    network, quantise = _without_weights(materials, dtype), materials.config.model.quantise
    architecture, meta = describe(network, network.config), torch.device("meta")
    return BaseModel(network, materials.tokenizer, materials.files, architecture, dtype, "", meta, quantise)


def _without_weights(materials: Materials, dtype: torch.dtype) -> Any:
    import torch
    from transformers import AutoConfig

    files, trust, task = materials.files, materials.config.model.trust_remote_code, materials.task
    head = {"num_labels": len(task.outputs(materials.renderer.labels))} if task.head in NEW_HEADS else {}
    try:
        with quiet(), torch.device("meta"):
            config = AutoConfig.from_pretrained(
                str(files.folder), local_files_only=True, trust_remote_code=trust, **head
            )
            network = loader_of(task.head).from_config(config, dtype=dtype, trust_remote_code=trust)
    except Exception as error:  # the library raises whatever a file makes it stumble over
        raise ModelError(
            f"the network of '{files.source}' cannot be built: {error}", where=str(files.folder)
        ) from error
    return network.requires_grad_(False)


def _frozen_bytes(network: nn.Module, linear: list[Any], quantise: str) -> int:
    """Memory of the frozen weights; those in the layers as they will be quantised."""
    frozen = sum(p.numel() * p.element_size() for p in network.parameters() if not p.requires_grad)
    if quantise != "none":
        weights = [module.weight for module in linear if not module.weight.requires_grad]
        frozen -= sum(w.numel() * (w.element_size() - QUANTISED_BYTES[quantise]) for w in weights)
    return round(frozen)
