"""Asking an encoder-decoder: the likelihood of targets, label scores and greedy answers, batched.

    source --encoder--> hidden states --cross-attention--> decoder <--shifted-- target

Shapes: b = rows of a batch, s = tokens of its longest source, t = tokens of its longest target, k = targets of a row,
n = b times k, v = vocabulary, d = width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from luthier.models.hardware import give_back_memory
from luthier.models.inference import Progress, batches_by_length, rows_at_once
from luthier.models.quiet import quiet

if TYPE_CHECKING:
    import torch
    from torch import nn

GREEDY = {
    "do_sample": False,
    "num_beams": 1,
    "early_stopping": False,
    "length_penalty": 1.0,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "min_length": 0,
}
"""In place of how a published model searches, which suits what it was published for: a summary of at least 56 tokens is
no label. What tokens an answer begins and ends with stays as in the model's generation configuration."""


def unwrapped(network: nn.Module) -> Any:
    """The model of transformers inside its `peft` wrapper, adapters included."""
    wrapped: Any = network
    return wrapped.get_base_model() if hasattr(wrapped, "get_base_model") else wrapped


def decoder_inputs(network: nn.Module, targets_bt: torch.Tensor) -> torch.Tensor:
    """What the decoder reads while it learns the targets: they themselves, shifted right behind its start token.

    Models know how (mBART begins with the language's token, which stands last); one that does not say gets the usual.

    Args:
        network: an encoder-decoder, perhaps wrapped by `peft`.
        targets_bt: token ids, -100 behind them.
    """
    model = unwrapped(network)
    if hasattr(model, "prepare_decoder_input_ids_from_labels"):
        shifted_bt: torch.Tensor = model.prepare_decoder_input_ids_from_labels(labels=targets_bt)
        return shifted_bt
    shifted_bt = targets_bt.roll(1, 1)
    shifted_bt[:, 0] = model.generation_config.decoder_start_token_id
    return shifted_bt.masked_fill(shifted_bt == -100, model.config.pad_token_id)


def target_losses(network: nn.Module, source: Mapping[str, Any], targets_bt: torch.Tensor) -> torch.Tensor:
    """Summed negative log-likelihood of every target in nats, float32 [b].

    Args:
        network: an encoder-decoder, perhaps wrapped by `peft`.
        source: the model's arguments that stand for the sources: `input_ids` or `encoder_outputs`, `attention_mask`.
        targets_bt: token ids, -100 behind them, not shifted.
    """
    from torch.nn.functional import cross_entropy

    learned_bt = targets_bt >= 0
    logits_btv = network(**source, decoder_input_ids=decoder_inputs(network, targets_bt), use_cache=False).logits
    losses_n = cross_entropy(logits_btv[learned_bt].float(), targets_bt[learned_bt], reduction="none")
    rows_n = learned_bt.nonzero()[:, 0]
    return losses_n.new_zeros(len(targets_bt)).index_add(0, rows_n, losses_n)


def measure_targets(
    network: nn.Module,
    sources: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    pad_id: int,
    progress: Progress | None = None,
) -> list[float]:
    """Summed negative log-likelihood, in nats, of the target of every source."""
    import torch

    losses = [0.0] * len(sources)
    with torch.inference_mode():
        for indices, ids_bs, mask_bs in _batches(network, sources, pad_id, max(map(len, targets))):
            targets_bt = _padded([targets[index] for index in indices], -100, ids_bs.device)
            source = {"input_ids": ids_bs, "attention_mask": mask_bs}
            for index, loss in zip(indices, target_losses(network, source, targets_bt).tolist(), strict=True):
                losses[index] = loss
            if progress:
                progress(len(indices))
    return losses


def score_targets(
    network: nn.Module,
    sources: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    pad_id: int,
    progress: Progress | None = None,
) -> torch.Tensor:
    """Summed log-probability, in nats, of every target for every source: float32 [sources, targets]."""
    import torch

    k = len(targets)
    scores_nk = torch.zeros(len(sources), k)
    with torch.inference_mode():
        for indices, ids_bs, mask_bs in _batches(network, sources, pad_id, k * max(map(len, targets)), copies=k):
            targets_kt = _padded(targets, -100, ids_bs.device)
            source = _read(network, ids_bs, mask_bs, copies=k)
            losses_n = target_losses(network, source, targets_kt.repeat(len(indices), 1))
            scores_nk[indices] = -losses_n.view(-1, k).cpu()
            if progress:
                progress(len(indices))
    return scores_nk


def greedy_answers(
    network: nn.Module,
    sources: Sequence[Sequence[int]],
    max_new_tokens: int,
    pad_id: int,
    progress: Progress | None = None,
) -> list[list[int]]:
    """The most likely tokens for every source, up to an end token (left out) or `max_new_tokens`.

    What an answer begins and ends with is what the model's generation configuration says (decoder_start_token_id,
    forced_bos_token_id, eos_token_id, forced_eos_token_id).
    """
    import torch

    ends = unwrapped(network).generation_config.eos_token_id
    stops = {ends} if isinstance(ends, int) else set(ends or ())
    answers: list[list[int]] = [[] for _ in sources]
    model: Any = network
    with torch.inference_mode(), quiet():
        for indices, ids_bs, mask_bs in _batches(network, sources, pad_id, 1):
            made_bt = model.generate(
                input_ids=ids_bs,
                attention_mask=mask_bs,
                max_new_tokens=max_new_tokens,
                pad_token_id=pad_id,
                **GREEDY,
            )
            for index, (_, *tokens) in zip(indices, made_bt.tolist(), strict=True):  # the first one starts the decoder
                end = next((place for place, token in enumerate(tokens) if token in stops), len(tokens))
                answers[index] = tokens[:end]
            if progress:
                progress(len(indices))
    return answers


def _batches(
    network: nn.Module, sources: Sequence[Sequence[int]], pad_id: int, target_tokens: int, *, copies: int = 1
) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
    """(indices, token ids [b, s], mask [b, s]) of sources of similar length, the longest first.

    Args:
        network: for its vocabulary and device.
        sources: token ids.
        pad_id: any token id; padded places are masked.
        target_tokens: target tokens of a source whose logits are held at once.
        copies: how often each source's hidden states are held at once.
    """
    output = unwrapped(network).get_output_embeddings().weight
    rows = rows_at_once(copies * max(map(len, sources)), target_tokens * output.shape[0])
    for indices in batches_by_length([len(source) for source in sources], rows=rows):
        chosen = [sources[index] for index in indices]
        mask_bs = _padded([[1] * len(source) for source in chosen], 0, output.device)
        yield indices, _padded(chosen, pad_id, output.device), mask_bs
        give_back_memory()


def _padded(rows: Sequence[Sequence[int]], value: int, device: torch.device) -> torch.Tensor:
    import torch
    from torch.nn.utils.rnn import pad_sequence

    return pad_sequence([torch.tensor(list(row)) for row in rows], batch_first=True, padding_value=value).to(device)


def _read(network: nn.Module, ids_bs: torch.Tensor, mask_bs: torch.Tensor, *, copies: int) -> dict[str, Any]:
    """The model's arguments for every source `copies` times, read once by the encoder.

    Where a method adds inputs of its own (soft prompts), they belong to the call of the whole model, and every copy is
    read.
    """
    from transformers.modeling_outputs import BaseModelOutput

    mask_ns = mask_bs.repeat_interleave(copies, 0)
    method = getattr(network, "active_peft_config", None)
    if method is not None and method.is_prompt_learning:
        return {"input_ids": ids_bs.repeat_interleave(copies, 0), "attention_mask": mask_ns}
    hidden_bsd = unwrapped(network).get_encoder()(input_ids=ids_bs, attention_mask=mask_bs).last_hidden_state
    hidden_nsd = hidden_bsd.repeat_interleave(copies, 0)
    return {"encoder_outputs": BaseModelOutput(last_hidden_state=hidden_nsd), "attention_mask": mask_ns}
