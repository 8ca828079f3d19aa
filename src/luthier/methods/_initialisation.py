"""Ways for LoRA's matrices to begin that look at the weights, or at what the network makes of rows.

PiSSA (https://arxiv.org/abs/2404.02948) and OLoRA (https://arxiv.org/abs/2406.01775) take a part s B0 A0 out of the
weight W and train it: the layer computes W - s B0 A0 + s B A. On the untouched base that is plain LoRA,

    [A | A0], [B | -B0], of twice the rank; the scale s = alpha / rank stays, so twice alpha (rsLoRA: times sqrt(2))

LoftQ (https://arxiv.org/abs/2310.08659) begins with what quantisation took from the weight, EVA
(https://arxiv.org/abs/2410.07170) with the directions in which a layer's inputs vary most; both leave the base alone.

Shapes: o = outputs of a layer, i = its inputs, r = rank.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import ModelError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from luthier.data.records import Batch
    from luthier.models.base import BaseModel

DECOMPOSITIONS = {"pissa": "pissa", "pissa_fast": "pissa_niter_16", "olora": "olora"}
"""Initialisations that change the weights of the base, as `peft` calls them."""

SPREAD = 2.0
"""EVA gives a layer at most so many times the rank."""

MOST_LOOKS = 400
"""Batches after which EVA gives up."""

Start = dict[str, tuple["torch.Tensor", "torch.Tensor"]]
"""A0 [r, i] and B0 [o, r] of every layer, by the layer's path."""


def layers_of(network: nn.Module) -> Iterator[tuple[str, Any]]:
    """(path, layer) of every linear module with an adapter."""
    for name, module in network.named_modules():
        if "default" in getattr(module, "lora_A", ()):
            yield name, module


def decompose(network: Any, base: BaseModel, init: str) -> None:
    """Takes the part that is trained out of the weights of the base, and remembers it.

    Raises:
        ModelError: a weight cannot be changed, or is too small for the rank.
    """
    if base.quantise != "none":
        raise ModelError(f"init: {init} changes the weights, and those of this base are {base.quantise}", hint=_LOFTQ)
    _check_weights(network, init)
    kind = DECOMPOSITIONS[init]
    for _, layer in layers_of(network):
        if kind == "olora":
            layer.olora_init("default")
        else:
            layer.pissa_init("default", kind)
    network.lora_start = {
        name: (layer.lora_A["default"].weight.detach().clone(), layer.lora_B["default"].weight.detach().clone())
        for name, layer in layers_of(network)
    }


_LOFTQ = "init: loftq is made for nf4 bases"


def _check_weights(network: Any, init: str) -> None:
    if any(len(getattr(module, "lora_embedding_A", ())) for module in network.modules()):
        raise ModelError(
            f"init: {init} is for linear modules; among the targets is an embedding table, or what shares its weight"
        )
    shared = [id(parameter) for _, parameter in network.named_parameters(remove_duplicate=False)]
    for name, layer in layers_of(network):
        weight, rank = layer.get_base_layer().weight, layer.r["default"]
        path = name.removeprefix("base_model.model.")
        if shared.count(id(weight)) > 1:
            raise ModelError(f"init: {init} changes the weight of '{path}', which other modules share")
        if rank > min(weight.shape):
            raise ModelError(
                f"init: {init} finds no {rank} directions in '{path}' of {' x '.join(map(str, weight.shape))}",
                hint=f"a rank of at most {min(weight.shape)}, or another one for this module in rank_pattern",
            )
        if init == "olora" and layer.fan_in_fan_out:
            raise ModelError("init: olora does not know transposed weights such as GPT-2's", hint="init: pissa")


def start_state(network: Any) -> dict[str, torch.Tensor]:
    """What `decompose` took out, for a checkpoint; empty when it took nothing."""
    start: Start = getattr(network, "lora_start", {})
    return {
        f"start.{name}.{part}": tensor for name, pair in start.items() for part, tensor in zip("AB", pair, strict=True)
    }


def restore_start(network: Any, state: dict[str, torch.Tensor]) -> None:
    """Lets the base lack what it lacked when a checkpoint was written.

    A decomposition is repeated on resuming and gives the same numbers, so that nothing is left to do; on another
    processor it may not, and then the weights are put right to rounding.

    Raises:
        ModelError: the state says nothing of it.
    """
    import torch

    start: Start = getattr(network, "lora_start", {})
    if lacking := start_state(network).keys() - state.keys():
        raise ModelError(f"the saved state is not of this network: it lacks '{min(lacking)}'")
    for name, layer in layers_of(network):
        if name not in start:
            continue
        saved = tuple(state[f"start.{name}.{part}"].to(start[name][0].device) for part in "AB")
        if all(torch.equal(one, other) for one, other in zip(start[name], saved, strict=True)):
            continue
        (old_a, old_b), (new_a, new_b) = start[name], saved
        lacking_oi = layer.scaling["default"] * (old_b @ old_a - new_b @ new_a)
        weight = layer.get_base_layer().weight
        weight.data = (weight.data.float() + (lacking_oi.T if layer.fan_in_fan_out else lacking_oi)).to(weight.dtype)
        start[name] = (new_a, new_b)


def write_plainly(network: Any, folder: Path) -> None:
    """Turns a saved adapter into plain LoRA on the untouched base."""
    import torch
    from peft import LoraConfig
    from safetensors.torch import load_file, save_file

    file = folder / "adapter_model.safetensors"
    tensors = load_file(file)
    for name, (a_ri, b_or) in network.lora_start.items():
        a, b = f"{name}.lora_A.weight", f"{name}.lora_B.weight"
        tensors[a] = torch.cat([tensors[a], a_ri.cpu()])
        tensors[b] = torch.cat([tensors[b], -b_or.cpu()], 1)
    save_file(tensors, file, metadata={"format": "pt"})
    config = LoraConfig.from_pretrained(str(folder))
    factor = math.sqrt(2) if config.use_rslora else 2
    config.r *= 2
    config.lora_alpha *= factor
    config.rank_pattern = {name: 2 * rank for name, rank in config.rank_pattern.items()}
    config.alpha_pattern = {name: factor * alpha for name, alpha in config.alpha_pattern.items()}
    config.save_pretrained(str(folder))


def compensate(network: Any, base: BaseModel) -> None:
    """LoftQ in one round: B A begins as the best approximation of what quantisation took from each weight.

    More rounds would quantise the weights anew, and the adapter would no longer fit the base as others load it.

    Raises:
        ModelError: the base is not quantised, or the files do not name its weights as the network does.
    """
    import torch

    from luthier.models.quantisation import QUANTISED, weight_of

    if base.quantise != "nf4":
        raise ModelError("init: loftq makes up for what nf4 takes from the weights", hint="model.quantise: nf4")
    original = _weights_in(base)
    for name, layer in layers_of(network):
        module, rank = layer.get_base_layer(), layer.r["default"]
        if type(module).__name__ not in QUANTISED:
            continue
        weight_oi = original(name.removeprefix("base_model.model.")).to(module.weight.device, torch.float32)
        if type(module).__name__ == "Linear4bit" and module.source_cls is not torch.nn.Linear:
            weight_oi = weight_oi.T
        u_ok, s_k, v_ki = torch.linalg.svd(weight_oi - weight_of(module, torch.float32), full_matrices=False)
        root_r = (s_k[:rank] / layer.scaling["default"]).sqrt()
        with torch.no_grad():
            layer.lora_A["default"].weight[: len(root_r)] = root_r[:, None] * v_ki[:rank]
            layer.lora_B["default"].weight[:, : len(root_r)] = u_ok[:, :rank] * root_r


def _weights_in(base: BaseModel) -> Callable[[str], torch.Tensor]:
    """Reads single weights from the base's safetensors, by the path of their module."""
    from safetensors import safe_open

    files: list[Any] = [safe_open(file, framework="pt") for file in sorted(base.files.folder.glob("*.safetensors"))]
    where = {key: file for file in files for key in file.keys()}  # noqa: SIM118 - it is no dictionary
    prefix = f"{getattr(base.network, 'base_model_prefix', '')}."

    def read(path: str) -> torch.Tensor:
        for key in (f"{path}.weight", f"{path.removeprefix(prefix)}.weight"):
            if key in where:
                tensor: torch.Tensor = where[key].get_tensor(key)
                return tensor
        raise ModelError(f"'{base.files.source}' has no weight of the name '{path}.weight'", hint="another method.init")

    return read


def look_at(network: Any, batches: Sequence[Batch], forward: Callable[[Batch], object]) -> None:
    """EVA: A begins with the directions in which a layer's inputs vary most, and ranks go where most is explained.

    Raises:
        ModelError: the directions do not settle, or a layer has fewer inputs than directions.
    """
    from peft import EvaConfig
    from peft.tuners.lora.eva import initialize_lora_eva_weights

    config, calls = network.peft_config["default"], count(1)
    config.init_lora_weights, config.eva_config = "eva", EvaConfig(rho=SPREAD)

    def forward_counted(_: Any, batch: Batch) -> None:
        if next(calls) > MOST_LOOKS:  # the library would go round the batches for ever
            raise ValueError(f"the directions still change after {MOST_LOOKS} batches")
        forward(batch)

    try:
        initialize_lora_eva_weights(
            network,
            batches,
            forward_fn=forward_counted,
            prepare_model_inputs_fn=lambda batch, _: batch,
            prepare_layer_inputs_fn=_real_tokens,
            show_progress_bar=False,
        )
    except ValueError as error:
        raise ModelError(f"init: eva: {error}", hint="a lower rank, or another method.init") from error
    for parameter in network.parameters():
        if parameter.requires_grad:  # layers of another rank were made anew, in the base's type
            parameter.data = parameter.data.float()
    config.init_lora_weights, config.eva_config = True, None  # whoever loads it has nothing to begin


def _real_tokens(inputs: Any, batch: Batch, name: str) -> torch.Tensor:
    """What a layer reads, [tokens, i], without padding of source or target."""
    hidden: torch.Tensor = inputs[0] if isinstance(inputs, tuple) else inputs
    masks = [batch.attention_mask_bt.bool()]
    if batch.targets.ndim == 2 and not batch.targets.is_floating_point():  # token ids: no classes, labels or scores
        masks.append(batch.targets >= 0)
    for mask in masks:
        if hidden.shape[:-1] == mask.shape:
            return hidden[mask]
    return hidden.flatten(0, -2).contiguous()
