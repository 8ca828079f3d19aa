"""Virtual tokens of soft-prompt methods: a beginning that all rows of a micro-batch share, computed once for them.

    prompt tuning, P-tuning, multitask prompts    embeddings in front of the rows' own
    prefix tuning                                 keys and values in front of every layer's own, which ask nothing

Shapes: t = computed tokens, n = virtual tokens, d = width of an embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

KEYS_ONLY = "PREFIX_TUNING"
DRAWN = "with dropout every row draws its own for the virtual tokens"
EMBEDDED = ("PROMPT_TUNING", "P_TUNING", "MULTITASK_PROMPT_TUNING")


@dataclass(frozen=True)
class Virtual:
    """The virtual tokens of a network.

    Attributes:
        network: the network in its `peft` wrapper.
        count: how many there are.
        keys_only: whether they are keys and values, without queries and outputs.
    """

    network: Any
    count: int
    keys_only: bool

    @classmethod
    def of(cls, network: Any, *, draws: bool, memory: str) -> Virtual | None:
        """None where the method has none.

        Args:
            network: the network with its method.
            draws: whether dropout is drawn while training.
            memory: low | balanced | fast.

        Raises:
            NotImplementedError: they are not the same for all rows, or come in a way that the engine does not know.
        """
        config = getattr(network, "active_peft_config", None)
        if config is None or not (config.is_prompt_learning or config.is_adaption_prompt):
            return None
        kind = config.peft_type.value
        if kind != KEYS_ONLY and kind not in EMBEDDED:
            raise NotImplementedError("the method adds its own inputs to the model")
        if config.task_type != "CAUSAL_LM":
            raise NotImplementedError("virtual tokens are shared by the rows of a causal language model only")
        encoder_draws: float = getattr(config, "encoder_dropout", 0.0)
        if draws or encoder_draws:
            raise NotImplementedError(DRAWN)
        if kind == KEYS_ONLY and memory == "low":
            raise NotImplementedError("a prefix gets lost when layers are recomputed")
        return cls(network, config.num_virtual_tokens, kind == KEYS_ONLY)

    def inputs(self, input_ids_1t: torch.Tensor) -> dict[str, Any]:
        """What the body is given for the tokens of the rows: their ids behind a prefix, or all embeddings."""
        made = self.network.get_prompt(1)
        if self.keys_only:
            return {"input_ids": input_ids_1t, "past_key_values": made}
        own_1td = self.network.word_embeddings(input_ids_1t)
        return {"inputs_embeds": torch.cat([made.to(own_1td.dtype), own_1td], 1)}
