"""Methods that put trained vectors in front of a row: its own embeddings, or keys and values of every layer.

    [virtual tokens | the row's tokens]        prompt tuning, P-tuning, multitask prompt tuning
    [keys and values | the row's tokens]       prefix tuning

Shapes: n = virtual tokens, b = rows, t = tokens of the longest row, d = width of an embedding.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import ModelError
from luthier.methods._peft import HEADED, PeftMethod
from luthier.models.soft_prompts import check_room

if TYPE_CHECKING:
    import torch
    from torch import nn

    from luthier.models.base import BaseModel

TOKENWISE = ("CAUSAL_LM", "TOKEN_CLS")
"""Tasks with logits for every token."""

PADDING_MATTERS = 0.1
"""Relative difference from which on a padded row counts as answered otherwise: rounding makes less, mistakes more."""


class SoftPromptMethod(PeftMethod):
    """Base of soft-prompt methods; whether `peft` runs one on a network is tried out before training."""

    unmergeable = "virtual tokens are inputs: there are no weights to merge them into"

    @abstractmethod
    def begin(self, network: Any, base: BaseModel) -> None:
        """Gives the virtual tokens their first values."""

    def apply(self, base: BaseModel, *, peft_task: str, total_steps: int) -> nn.Module:
        """The network with virtual tokens; only they, what makes them, and a new head are trained.

        Raises:
            ModelError: `peft` does not run this method on this network, or the network does not notice it.
        """
        network = super().apply(base, peft_task=peft_task, total_steps=total_steps)
        self.watch(network)
        if base.device.type != "meta":
            self.begin(network, base)
            self._try_out(network, base, peft_task)
        return network

    def load(self, base: BaseModel, folder: Path) -> nn.Module:
        """Only the finished virtual tokens are saved, not what made them: `peft` reads them for inference alone."""
        from peft import PeftModel

        network: nn.Module = PeftModel.from_pretrained(base.network, str(folder), is_trainable=False)
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name.startswith("prompt_encoder.") or ".modules_to_save." in name)
        self.watch(network)
        return network

    def watch(self, network: Any) -> None:
        """Inputs are checked, and logits belong to the row's own tokens, as without virtual ones."""
        network.register_forward_pre_hook(_check_inputs, with_kwargs=True)
        if network.active_peft_config.task_type in TOKENWISE:
            network.register_forward_hook(_own_logits, with_kwargs=True)

    def head(self, base: BaseModel, peft_task: str) -> list[str] | None:
        """Modules that are trained whole and saved with the virtual tokens."""
        return [*base.architecture.head] if peft_task in HEADED else None

    def _try_out(self, network: Any, base: BaseModel, peft_task: str) -> None:
        """Two tokens alone and the same two padded must be answered alike, and the virtual tokens must have a say."""
        import torch

        network.eval()
        pad = base.tokenizer.pad_token_id
        first, second = [token for token in range(3) if token != pad][:2]
        family, name = base.architecture.family, type(self).__name__
        try:
            alone = _answers(network, [[first, second]], [[1, 1]], peft_task)
            padded = _answers(network, [[first, second, pad]], [[1, 1, 0]], peft_task)
            encoder = [p for p in network.prompt_encoder.parameters() if p.requires_grad]
            gradients = torch.autograd.grad(alone.square().sum(), encoder, allow_unused=True)
        except Exception as error:  # whatever a model stumbles over that does not know these arguments
            raise ModelError(f"{name} does not run on this {family} network: {error}") from error
        if not any(gradient is not None and gradient.any() for gradient in gradients):
            raise ModelError(f"this {family} network does not notice the virtual tokens of {name}")
        if peft_task in TOKENWISE:
            padded = padded[:, :2]
        if bool((padded - alone).norm() > PADDING_MATTERS * alone.norm()):
            raise ModelError(
                f"{name} does not run on this {family} network: padding changes its answers",
                hint="a decoder with a classification head finds the end of a padded row by its token ids, and gets "
                "embeddings: take method: prefix, or task: causal_lm",
            )


def words(base: BaseModel, text: str | None, count: int) -> list[int]:
    """Token ids to begin with: those of a text, repeated or cut to `count`, or drawn from the vocabulary."""
    import torch

    special = set(base.tokenizer.all_special_ids)
    if text is None:
        ordinary = [token for token in range(len(base.tokenizer)) if token not in special]
        return [ordinary[int(place)] for place in torch.randint(len(ordinary), (count,))]
    ids = base.tokenizer(text, add_special_tokens=False)["input_ids"]
    if not ids:
        raise ModelError("the text to begin with has no tokens", where="method.text")
    return [ids[place % len(ids)] for place in range(count)]


def begin_with_words(network: Any, base: BaseModel, text: str | None) -> None:
    """The virtual tokens become the embeddings of words."""
    import torch

    table_nd = network.prompt_encoder[network.active_adapter].embedding.weight
    ids_n = torch.tensor(words(base, text, len(table_nd)), device=table_nd.device)
    with torch.no_grad():
        table_nd.copy_(network.word_embeddings(ids_n))


def _answers(network: Any, ids: Sequence[Sequence[int]], mask: Sequence[Sequence[int]], peft_task: str) -> torch.Tensor:
    """Logits in float32."""
    import torch

    device = next(network.parameters()).device
    ids_bt, mask_bt = torch.tensor(ids, device=device), torch.tensor(mask, device=device)
    decoder = {"decoder_input_ids": ids_bt[:, :1]} if peft_task == "SEQ_2_SEQ_LM" else {}
    logits: torch.Tensor = network(input_ids=ids_bt, attention_mask=mask_bt, use_cache=False, **decoder).logits.float()
    return logits


def _ids(inputs: Sequence[Any], keywords: Mapping[str, Any]) -> torch.Tensor:
    ids_bt: torch.Tensor = inputs[0] if inputs else keywords["input_ids"]
    return ids_bt


def _check_inputs(network: Any, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    """Virtual tokens take positions of their own, and `transformers` drops a prefix when it recomputes layers."""
    whole = network.get_base_model()
    recomputed = whole.training and any(getattr(part, "gradient_checkpointing", False) for part in whole.modules())
    prefix = network.active_peft_config.peft_type == "PREFIX_TUNING"
    if prefix and recomputed:
        raise ModelError(
            "prefix tuning cannot recompute layers in the backward pass: the prefix would get lost",
            hint="training.memory: balanced",
        )
    decoder = prefix and whole.config.is_encoder_decoder  # its encoder has no keys in front
    check_room(network, (keywords["decoder_input_ids"] if decoder else _ids(inputs, keywords)).shape[1])


def _own_logits(network: Any, inputs: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> Any:
    """Cuts the logits of virtual tokens off, which stand in front."""
    output.logits = output.logits[:, -_ids(inputs, keywords).shape[1] :]
    return output
