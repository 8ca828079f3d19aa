"""Rotary positions stretched beyond the length that a base was trained on.

`transformers` computes them by the `rope_parameters` of a model's configuration: one set, or one for each type of layer
where some layers see a sliding window only. Those need no stretching.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luthier.errors import ModelError

if TYPE_CHECKING:
    from luthier.config import ModelConfig
    from luthier.models.base import ModelFiles


def scaled_parameters(config: ModelConfig, files: ModelFiles) -> dict[str, Any]:
    """What `from_pretrained` is told for `model.rope_scaling`; nothing without it.

    Raises:
        ModelError: the base has no rotary positions, or has stretched them already.
    """
    scaling = config.rope_scaling
    if scaling is None:
        return {}
    from transformers import AutoConfig

    found = AutoConfig.from_pretrained(
        str(files.folder), local_files_only=True, trust_remote_code=config.trust_remote_code
    )
    rope, length = getattr(found, "rope_parameters", None), getattr(found, "max_position_embeddings", None)
    if not rope or not length or getattr(found, "alibi", False):  # Falcon has either kind
        raise ModelError(
            f"'{files.source}' has no rotary positions that could be stretched",
            where="model.rope_scaling",
            hint="leave out model.rope_scaling, or split long texts (data.too_long: split)",
        )
    layered = isinstance(rope.get("full_attention"), dict)
    plain = rope["full_attention"] if layered else rope
    if plain.get("rope_type", "default") != "default":
        raise ModelError(
            f"'{files.source}' stretches its positions already ({plain['rope_type']})",
            where="model.rope_scaling",
            hint="leave it out: the base's own stretching stays",
        )
    changed = plain | {"rope_type": scaling.type, "factor": scaling.factor}
    if scaling.type == "yarn":
        changed["original_max_position_embeddings"] = length
    stretched: dict[str, Any] = {"rope_parameters": rope | {"full_attention": changed} if layered else changed}
    if scaling.type != "dynamic":  # which stretches by what a row has beyond this length
        stretched["max_position_embeddings"] = int(length * scaling.factor)
    return stretched


def longest_positions(network: Any) -> int | None:
    """How many tokens a row may have before the network meets positions it was not made for; None = any number."""
    config = network.config.get_text_config()
    length: int | None = getattr(config, "max_position_embeddings", None)
    rope = getattr(config, "rope_parameters", None) or {}
    rope = rope.get("full_attention") or rope
    if length and rope.get("rope_type") == "dynamic":
        return int(length * rope["factor"])
    return length
