"""What a network with its method holds and computes, known from its configuration alone.

The network is built on torch's meta device, where tensors have shapes and no values: a model of any size takes no
memory and a few seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.errors import ModelError
from luthier.methods import count_parameters
from luthier.models.architectures import describe
from luthier.models.base import BaseModel, Head
from luthier.models.loading import NEW_HEADS, loader_of
from luthier.models.quiet import quiet
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
        value_bytes: bytes of one number of that type.
        layers: repeated layers; of an encoder-decoder, those of both.
        hidden: width between layers.
        outputs: values that the linear layers of a token give, in all layers.
        trained_inputs: values that trained linear layers take for a token, in all layers.
        frozen_products: frozen weights of the layers' matrix products.
        trained_products: trained ones.
        vocabulary: rows of the output layer; 0 for a classifier, whose head is small.
        causal: whether a token sees only those before it.
    """

    parameters: int
    trainable: int
    frozen_bytes: int
    dtype: str
    value_bytes: int
    layers: int
    hidden: int
    outputs: int
    trained_inputs: int
    frozen_products: int
    trained_products: int
    vocabulary: int
    causal: bool


def sizes_without_weights(materials: Materials, dtype: torch.dtype) -> Sizes:
    """Sizes of a run's network, its method applied.

    Args:
        materials: from `Materials.gather`.
        dtype: number type of the frozen weights.

    Raises:
        ModelError: the network cannot be built from its configuration, or the method does not fit it.
    """
    import torch

    network, task = _without_weights(materials, dtype), materials.task
    architecture, meta = describe(network, network.config), torch.device("meta")
    outputs = sum(_widths(module)[1] for module in _linear(network, architecture.layers))  # before adapters add theirs
    base = BaseModel(
        network, materials.tokenizer, materials.files, architecture, dtype, "", meta, materials.config.model.quantise
    )
    tuned = materials.method.apply(base, peft_task=task.peft_task, total_steps=1)
    return _sizes(base, tuned, outputs, task.head)


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


def _sizes(base: BaseModel, network: nn.Module, outputs: int, kind: Head) -> Sizes:
    inner: Any = base.network
    architecture = base.architecture
    trainable, parameters = count_parameters(network)
    linear = _linear(network, architecture.layers)
    table = inner.get_input_embeddings().weight
    head = None if kind in NEW_HEADS else inner.get_output_embeddings()
    return Sizes(
        parameters=parameters,
        trainable=trainable,
        frozen_bytes=_frozen_bytes(network, linear, base.quantise),
        dtype=str(table.dtype).removeprefix("torch."),
        value_bytes=table.element_size(),
        layers=sum(len(inner.get_submodule(name)) for name in architecture.layers),
        hidden=table.shape[1],
        outputs=outputs,
        trained_inputs=sum(_widths(module)[0] for module in linear if module.weight.requires_grad),
        frozen_products=sum(module.weight.numel() for module in linear if not module.weight.requires_grad),
        trained_products=sum(module.weight.numel() for module in linear if module.weight.requires_grad),
        vocabulary=0 if head is None else head.weight.shape[0],
        causal=kind == "causal_lm",
    )


def _linear(network: nn.Module, layers: tuple[str, ...]) -> list[Any]:
    """Modules inside the layers that are one matrix product, those of adapters included."""
    from torch import nn

    return [
        module
        for name, module in network.named_modules()
        if (isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D")
        and any(f".{layer}." in f".{name}" for layer in layers)
    ]


def _frozen_bytes(network: nn.Module, linear: list[Any], quantise: str) -> int:
    """Memory of the frozen weights; those in the layers as they will be quantised."""
    frozen = sum(p.numel() * p.element_size() for p in network.parameters() if not p.requires_grad)
    if quantise != "none":
        weights = [module.weight for module in linear if not module.weight.requires_grad]
        frozen -= sum(w.numel() * (w.element_size() - QUANTISED_BYTES[quantise]) for w in weights)
    return round(frozen)


def _widths(module: Any) -> tuple[int, int]:
    """(values a linear layer takes, values it gives) for a token."""
    rows, columns = module.weight.shape
    return (rows, columns) if type(module).__name__ == "Conv1D" else (columns, rows)
