"""Networks with virtual tokens in front of every row, as `peft` wraps them: the room they leave, asking behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luthier.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

TABLES = ("position_embeddings", "wpe", "embed_positions")
"""What modules with a vector for every position are called."""


def tokens_in_front(network: Any) -> int:
    """Virtual tokens that go through the layers with every row: none of a prefix, which is keys and values only."""
    config: Any = getattr(network, "active_peft_config", None)
    if config is None or not config.is_prompt_learning or config.peft_type == "PREFIX_TUNING":
        return 0
    return int(config.num_virtual_tokens)


def check_room(network: Any, length: int) -> None:
    """Raises ModelError when a row of so many tokens has no room behind the virtual ones."""
    virtual, most = network.active_peft_config.num_virtual_tokens, _positions(network.get_base_model())
    if most is not None and virtual + length > most:
        raise ModelError(
            f"a row of {length} tokens and {virtual} virtual ones have no room in {most} positions",
            hint=f"data.max_length: {most - virtual}, or fewer method.tokens",
        )


def _positions(network: nn.Module) -> int | None:
    """Positions that a network has vectors for; None when it computes them as it needs them."""
    from torch import nn

    found = [module for name, module in network.named_modules() if name.endswith(TABLES)]
    return min(
        (table.num_embeddings - _first(table) for table in found if isinstance(table, nn.Embedding)), default=None
    )


def _first(table: nn.Embedding) -> int:
    """The row of the first position: OPT and BART say which; in RoBERTa's family it is that behind the pad token's."""
    padding = -1 if table.padding_idx is None else table.padding_idx
    return int(getattr(table, "offset", padding + 1))


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
