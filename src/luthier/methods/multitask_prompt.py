"""Multitask prompt tuning: a prompt that tasks share, times a small matrix of the task's own.

Wang et al., https://arxiv.org/abs/2303.02861. A run is one task: the first run learns the shared prompt, later ones
begin with it (`source`) and learn what is different about theirs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from luthier.errors import ConfigError, ModelError
from luthier.methods._soft_prompts import SoftPromptMethod, begin_with_words
from luthier.registry import Options

if TYPE_CHECKING:
    import torch
    from torch import nn

    from luthier.models.base import BaseModel

WEIGHTS = "adapter_model.safetensors"


class MultitaskPromptOptions(Options):
    """Options of multitask prompt tuning."""

    name: Literal["multitask_prompt"] = "multitask_prompt"
    tokens: int = Field(20, ge=1, description="Virtual tokens; every row gets that much longer.")
    rank: int = Field(1, ge=1, description="Rank of the task's own matrix.")
    source: str | None = Field(
        None,
        description="Another run with this method, whose prompt this one begins with: its folder, a folder of runs of "
        "one name (the newest counts), or an adapter folder.",
    )
    text: str | None = Field(
        None,
        description="Without a source: begin as these words, repeated or cut to `tokens`. null = drawn words.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> MultitaskPromptOptions:
        if self.text is not None and self.source is not None:
            raise ValueError("text and source do not go together: the source says how to begin")
        return self


class MultitaskPrompt(SoftPromptMethod):
    """Multitask prompt tuning, by `peft`, with the run as task 0."""

    Options: ClassVar[type[Options]] = MultitaskPromptOptions

    def __init__(self, options: MultitaskPromptOptions) -> None:
        self.options = options

    def usual_learning_rates(self, parameters: int) -> tuple[float, float, str]:
        """Those of prompt tuning."""
        return 1e-3, 3e-1, "Wang et al.: 0.3 (T5); small models take less, as in prompt tuning"

    def peft_config(self, base: BaseModel, *, peft_task: str, total_steps: int) -> Any:
        """The options in the words of `peft.MultitaskPromptTuningConfig`."""
        from peft import MultitaskPromptTuningConfig

        if peft_task == "SEQ_2_SEQ_LM":
            raise ModelError(
                "multitask prompts do not go with an encoder-decoder: peft puts them in front of the decoder's input "
                "too, and its outputs no longer match the target",
                hint="method: prompt",
            )
        return MultitaskPromptTuningConfig(
            task_type=peft_task,
            num_virtual_tokens=self.options.tokens,
            num_transformer_submodules=1,
            num_ranks=self.options.rank,
            num_tasks=1,
            modules_to_save=self.head(base, peft_task),
        )

    def watch(self, network: Any) -> None:
        """Nobody has to name the task: it is always the first."""
        super().watch(network)
        network.prompt_encoder[network.active_adapter].register_forward_pre_hook(_first_task)

    def begin(self, network: Any, base: BaseModel) -> None:
        """The source's prompt, or words times ones."""
        import torch

        encoder = network.prompt_encoder[network.active_adapter]
        with torch.no_grad():
            if self.options.source is not None:
                _take_over(encoder, _adapter_of(Path(self.options.source).expanduser()))
                return
            begin_with_words(network, base, self.options.text)
            encoder.prefix_task_cols[..., 0] = 1
            encoder.prefix_task_rows[:, 0] = 1


def _first_task(encoder: nn.Module, inputs: tuple[Any, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    indices_bn, tasks_b = inputs
    return indices_bn, indices_bn.new_zeros(len(indices_bn)) if tasks_b is None else tasks_b


def _adapter_of(source: Path) -> Path:
    """The adapter folder of a source: itself, or that of a run."""
    from luthier.runs import Run

    try:
        folder = source if (source / WEIGHTS).is_file() else Run.open(source).adapter
    except ConfigError as error:
        raise ModelError(
            f"there is no run and no adapter in '{source}'", where="method.source", expected=error.expected
        ) from error
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"there is no adapter in '{folder}'", where="method.source", expected=WEIGHTS)
    return folder


def _take_over(encoder: Any, folder: Path) -> None:
    """Copies the prompt and the matrix of another run's only task."""
    from safetensors.torch import load_file

    found = load_file(folder / WEIGHTS)
    wanted = {
        "prompt_embeddings": encoder.embedding.weight,
        "prefix_task_cols": encoder.prefix_task_cols,
        "prefix_task_rows": encoder.prefix_task_rows,
    }
    for name, parameter in wanted.items():
        if name not in found or found[name].shape != parameter.shape:
            raise ModelError(
                f"the prompt in '{folder}' is not of this shape",
                where="method.source",
                expected="a run of method multitask_prompt on the same base, with as many tokens and the same rank",
            )
        parameter.copy_(found[name])
