"""What tuning methods have in common, however they train."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from luthier.errors import ModelError

if TYPE_CHECKING:
    import torch
    from torch import nn


class TrainedInPlace:
    """The parts of the protocol that follow from `requires_grad`; methods with a schedule of their own override."""

    dtype: ClassVar[Literal["float32"] | None] = None
    unmergeable: ClassVar[str] = ""

    def parameter_groups(self, network: nn.Module, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Matrices decay; vectors (biases, norms, magnitudes) do not, as is the common practice."""
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        groups = [
            {"params": [p for p in trained if p.ndim >= 2], "lr": learning_rate, "weight_decay": weight_decay},
            {"params": [p for p in trained if p.ndim < 2], "lr": learning_rate, "weight_decay": 0.0},
        ]
        return [group for group in groups if group["params"]]

    def penalty(self, network: nn.Module) -> torch.Tensor | None:
        """No term is added to the loss."""
        return None

    def on_step(self, network: nn.Module, step: int) -> None:
        """Nothing happens between steps."""

    def state(self, network: nn.Module) -> dict[str, torch.Tensor]:
        """Copies of the trained parameters, on the CPU."""
        return {
            name: parameter.detach().to("cpu", copy=True)
            for name, parameter in network.named_parameters()
            if parameter.requires_grad
        }

    def restore(self, network: nn.Module, state: dict[str, torch.Tensor]) -> None:
        """Puts a state back, bit for bit.

        Raises:
            ModelError: the state is not of this network.
        """
        import torch

        trained = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
        if different := trained.keys() ^ state.keys():
            raise ModelError(
                f"the saved state is not of this network: {len(different)} names differ, such as {min(different)}",
                hint="model, method and task must be those of the run that saved it",
            )
        if reshaped := [name for name, parameter in trained.items() if parameter.shape != state[name].shape]:
            raise ModelError(
                f"the saved state is not of this network: '{min(reshaped)}' has another shape",
                hint="model, method and task must be those of the run that saved it",
            )
        with torch.no_grad():
            for name, parameter in trained.items():
                parameter.copy_(state[name])
