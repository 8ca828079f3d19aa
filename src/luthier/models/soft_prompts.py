"""Networks with virtual tokens in front of every row, as `peft` wraps them: the room they leave, asking behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luthier.errors import ModelError

if TYPE_CHECKING:
    from torch import nn


def check_room(network: Any, length: int) -> None:
    """Raises ModelError when a row of so many tokens has no room behind the virtual ones."""
    virtual, most = network.active_peft_config.num_virtual_tokens, _learned_positions(network.get_base_model())
    if most and virtual + length > most:
        raise ModelError(
            f"a row of {length} tokens and {virtual} virtual ones have no room in {most} positions",
            hint=f"data.max_length: {most - virtual}, or fewer method.tokens",
        )


def _learned_positions(network: Any) -> int | None:
    """Positions that a network has learned vectors for; None when it computes them."""
    most = getattr(network.config, "max_position_embeddings", None)
    tables = [name for name, _ in network.named_modules() if name.endswith(("position_embeddings", "wpe"))]
    return most if tables else None


def behind_soft_prompt(network: nn.Module) -> tuple[nn.Module, Any, int]:
    """What to ask when asking with a cache: `peft` puts soft prompts in front of every call, which is right only once.

    Args:
        network: a causal model of transformers, perhaps wrapped by `peft`.

    Returns:
        The model without its soft prompt, the cache of the prompt for one row, and the prompt's length in tokens. The
        cache is None and the length 0 where there is none.
    """
    wrapped: Any = network
    config = getattr(wrapped, "active_peft_config", None)
    if config is None or not config.is_prompt_learning:
        return network, None, 0
    plain = wrapped.get_base_model()
    prompt = wrapped.get_prompt(batch_size=1)
    if hasattr(prompt, "get_seq_length"):  # a prefix is a cache already
        return plain, prompt, config.num_virtual_tokens
    embeddings_1nd = prompt.to(plain.get_input_embeddings().weight.dtype)
    return plain, plain(inputs_embeds=embeddings_1nd, use_cache=True).past_key_values, config.num_virtual_tokens
