"""Prompt tuning: trained embeddings in front of the text (Lester et al., https://arxiv.org/abs/2104.08691)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from luthier.methods._soft_prompts import SoftPromptMethod, begin_with_words
from luthier.registry import Options

if TYPE_CHECKING:
    from luthier.models.base import BaseModel


class PromptOptions(Options):
    """Options of prompt tuning."""

    name: Literal["prompt"] = "prompt"
    tokens: int = Field(20, ge=1, description="Virtual tokens; every row gets that much longer.")
    init: Literal["words", "random"] = Field(
        "words", description="Begin as the embeddings of words, which learns faster, or as random vectors."
    )
    text: str | None = Field(
        None, description="These words, repeated or cut to `tokens`, such as the instruction. null = drawn words."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> PromptOptions:
        if self.text is not None and self.init == "random":
            raise ValueError("text and init: random do not go together")
        return self


class Prompt(SoftPromptMethod):
    """Prompt tuning, by `peft`; an encoder-decoder gets the prompt in front of its source."""

    Options: ClassVar[type[Options]] = PromptOptions

    def __init__(self, options: PromptOptions) -> None:
        self.options = options

    def usual_learning_rates(self, parameters: int) -> tuple[float, float, str]:
        """Hundreds of times those of full tuning."""
        return 1e-3, 3e-1, "Lester et al.: 0.3 (T5, Adafactor); peft's examples: 3e-2; small models take less"

    def peft_config(self, base: BaseModel, *, peft_task: str, total_steps: int) -> Any:
        """The options in the words of `peft.PromptTuningConfig`."""
        from peft import PromptTuningConfig

        return PromptTuningConfig(
            task_type=peft_task,
            num_virtual_tokens=self.options.tokens,
            num_transformer_submodules=1,
            modules_to_save=self.head(base, peft_task),
        )

    def begin(self, network: Any, base: BaseModel) -> None:
        """Words, unless random values are asked for."""
        if self.options.init == "words":
            begin_with_words(network, base, self.options.text)
