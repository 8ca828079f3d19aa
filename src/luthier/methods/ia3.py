"""IA3: a trained factor on keys, on values, and on what the MLP's last layer reads.

Liu et al., https://arxiv.org/abs/2205.05638.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from luthier.errors import ModelError
from luthier.methods._peft import HEADED, PeftMethod
from luthier.methods._sublayers import Sublayers
from luthier.registry import Options

if TYPE_CHECKING:
    from luthier.models.base import BaseModel

KEYS_AND_VALUES = re.compile(r"(k|v|key|value)(_proj|_lin)?")
FUSED = re.compile(r"c_attn|query_key_value|w?qkv(_proj)?|w_pack", re.IGNORECASE)
"""Layers that make queries, keys and values at once: their whole output is scaled, as `peft` does."""


class Ia3Options(Options):
    """Options of IA3."""

    name: Literal["ia3"] = "ia3"
    targets: list[Literal["attention", "mlp"]] = Field(
        ["attention", "mlp"],
        min_length=1,
        description="What is scaled: keys and values of attention, and what the last layer of the MLP reads.",
    )


class Ia3(PeftMethod):
    """IA3, by `peft`: the smallest of the methods that can be merged."""

    Options: ClassVar[type[Options]] = Ia3Options

    def __init__(self, options: Ia3Options) -> None:
        self.options = options

    def usual_learning_rates(self, parameters: int) -> tuple[float, float, str]:
        """Far above LoRA's: factors start at one."""
        return 1e-3, 1e-2, "Liu et al.: 3e-3 (T-Few); peft's example: 8e-3"

    def peft_config(self, base: BaseModel, *, peft_task: str, total_steps: int) -> Any:
        """The options in the words of `peft.IA3Config`."""
        from peft import IA3Config

        sublayers, targets = Sublayers.of(base), self.options.targets
        scaled = _scaled_by_attention(sublayers) if "attention" in targets else []
        inner = sublayers.mlp_outputs if "mlp" in targets else []
        if not scaled + inner:
            raise ModelError(
                f"nothing that IA3 scales is a linear module in this {base.architecture.family} network",
                where="method.targets",
            )
        return IA3Config(
            task_type=peft_task,
            target_modules=scaled + inner,
            feedforward_modules=inner,
            fan_in_fan_out=any(type(module).__name__ == "Conv1D" for module in base.network.modules()),
            modules_to_save=[*base.architecture.head] if peft_task in HEADED else None,
        )


def _scaled_by_attention(sublayers: Sublayers) -> list[str]:
    for names in (KEYS_AND_VALUES, FUSED):
        if found := [path for path in sublayers.attention if names.fullmatch(path.rpartition(".")[2])]:
            return found
    return []
