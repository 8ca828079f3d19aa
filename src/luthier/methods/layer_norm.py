"""Layer-norm tuning: the norms are trained and nothing else (Qi et al., https://arxiv.org/abs/2211.08682)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from luthier.errors import ModelError
from luthier.methods._peft import HEADED, PeftMethod
from luthier.registry import Options

if TYPE_CHECKING:
    from luthier.models.base import BaseModel


class LayerNormOptions(Options):
    """Layer-norm tuning."""

    name: Literal["layer_norm"] = "layer_norm"


class LayerNorm(PeftMethod):
    """Layer-norm tuning, by `peft`: layer norms and root-mean-square norms, whatever the network calls them."""

    Options: ClassVar[type[Options]] = LayerNormOptions

    def __init__(self, options: LayerNormOptions) -> None:
        self.options = options

    def usual_learning_rates(self, parameters: int) -> tuple[float, float, str]:
        """Those of other methods that train a vector or two a layer."""
        return 1e-4, 1e-2, "as with BitFit, which trains as little: 1e-4 to 1e-3; ten times that for small models"

    def peft_config(self, base: BaseModel, *, peft_task: str, total_steps: int) -> Any:
        """The network's norms in the words of `peft.LNTuningConfig`."""
        from peft import LNTuningConfig

        return LNTuningConfig(
            task_type=peft_task,
            target_modules=norms(base),
            modules_to_save=[*base.architecture.head] if peft_task in HEADED else None,
        )


def norms(base: BaseModel) -> list[str]:
    """Names of the network's norms: ends of paths where these name nothing else, whole paths otherwise.

    Raises:
        ModelError: it has none with weights.
    """
    paths = [
        path
        for path, module in base.network.named_modules()
        if "norm" in type(module).__name__.lower()
        and [parameter.ndim for parameter in module.parameters()] in ([1], [1, 1])
        and not any(f"{path}.".startswith(f"{head}.") for head in base.architecture.head)
    ]
    if not paths:
        raise ModelError(f"this {base.architecture.family} network has no norms with weights")
    ends = dict.fromkeys(path.rpartition(".")[2] for path in paths)
    named = [path for path, _ in base.network.named_modules() if path.rpartition(".")[2] in ends]
    return list(ends) if named == paths else paths
