"""The trial before training: three short rows through the plain model and through the fast engine.

Nothing is assumed of an architecture. The engine runs only where loss and gradients agree and no row notices another
one, shares beginnings only where they still agree and nothing is drawn at random, computes the last layer for some
tokens and remembers what lies below the first trained one only where that changes nothing either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import torch

from luthier.data.records import Batch, TokenSequence
from luthier.tasks import LearnsTags, names_in
from luthier.training.fast.batch import FlatBatch
from luthier.training.fast.below import Below
from luthier.training.fast.last import Last
from luthier.training.fast.lora import siblings
from luthier.training.fast.virtual import DRAWN

if TYPE_CHECKING:
    from luthier.training.fast.engine import FastEngine

ALLOWED = {torch.float32: 1e-3, torch.bfloat16: 0.2, torch.float16: 0.2}
"""Largest relative difference of loss and gradients. Rounding to bfloat16 alone makes 0.04 to 0.08 on SmolLM2; wrong
positions or another mistake in what is computed make about 1."""


AWAKE = 0.02
"""Standard deviation of what stands in for zeros during the trial."""


def try_out(engine: FastEngine, examples: Sequence[TokenSequence], dtype: torch.dtype) -> None:
    """Settles the engine's `draws`, `offset`, `share`, `last` and `below`.

    Raises:
        NotImplementedError: loss or gradients differ, or the model does not reach the attention function.
    """
    network = engine.parts.network
    rows = trial_rows(examples)
    batch = engine.collate(_tagged(rows) if isinstance(engine.task, LearnsTags) else rows)
    training, asleep = network.training, _wake(network)
    try:
        engine.draws = _draws(engine, batch)
        if engine.draws and engine.virtual:
            raise NotImplementedError(DRAWN)
        network.eval()
        expected = gradients(network, engine.task.loss(network, batch))
        plain = engine.forwards
        engine.last = _last(engine, batch)
        engine.forwards = _with_siblings(engine, batch)
        try:
            _settle_sharing(engine, batch, expected, dtype)
        except NotImplementedError:
            if engine.last is None and engine.forwards is plain:
                raise
            engine.last, engine.forwards = None, plain
            _settle_sharing(engine, batch, expected, dtype)
        engine.below = _below(engine, batch, expected, dtype)
        if not _rows_apart(engine, batch):
            raise NotImplementedError("rows that stand side by side change each other")
    finally:
        _put_to_sleep(asleep)
        network.zero_grad()
        network.train(training)


def _draws(engine: FastEngine, batch: Batch) -> bool:
    """Whether the plain model gives another loss each time while it trains."""
    network = engine.parts.network
    with torch.random.fork_rng(), torch.no_grad():
        network.train()
        losses = []
        for seed in range(2):
            torch.manual_seed(seed)
            losses.append(float(engine.task.loss(network, batch)))
    return not math.isclose(*losses, rel_tol=1e-6)


def _wake(network: Any) -> list[torch.Tensor]:
    """Gives trained tensors of nothing but zeros, such as the B of a new LoRA, small values, and returns them: beside
    zeros the gradients of A are zeros whatever is computed."""
    asleep = [p for p in network.parameters() if p.requires_grad and not p.any()]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in asleep:
            tensor.copy_(AWAKE * torch.randn(tensor.shape, generator=generator))
    return asleep


def _put_to_sleep(asleep: Sequence[torch.Tensor]) -> None:
    with torch.no_grad():
        for tensor in asleep:
            tensor.zero_()


def _rows_apart(engine: FastEngine, batch: Batch) -> bool:
    """Whether the first row, turned around, leaves the hidden states of the others what they were: some layers mix
    neighbouring tokens without attention, and rounding to a narrow type could hide it from the gradients."""
    ids_bt, length = batch.input_ids_bt.clone(), int(batch.attention_mask_bt[0].sum())
    ids_bt[0, :length] = ids_bt[0, :length].flip(0)
    before, after = (engine.flat(each, share=False) for each in (batch, replace(batch, input_ids_bt=ids_bt)))
    others = torch.cat(before.places[1:]).to(engine.device)
    with torch.no_grad(), engine.running():
        one, two = (engine.body(flat).index_select(0, others).float() for flat in (before, after))
    return bool((one - two).norm() <= ALLOWED[torch.float32] * one.norm())


def _settle_sharing(engine: FastEngine, batch: Batch, expected: list[torch.Tensor], dtype: torch.dtype) -> None:
    """Settles `share` and `offset`: the whole way of computing must agree, with shared beginnings or without.

    Raises:
        NotImplementedError: it does not.
    """
    engine.offset = 0
    engine.share = "prefixes" not in engine.without and not engine.draws
    engine.share = engine.share and _shared_agrees(engine, batch, expected, dtype)
    if not engine.share:
        causal = _agreed(engine, batch, expected, dtype).attention.causal
        if causal and engine.draws:
            engine.notes.append("common beginnings are not shared: with dropout every row draws its own")


def _shared_agrees(engine: FastEngine, batch: Batch, expected: list[torch.Tensor], dtype: torch.dtype) -> bool:
    """Whether rows may share their beginnings; where every token sees the whole row they may not."""
    try:
        return _agreed(engine, batch, expected, dtype).attention.causal
    except NotImplementedError:
        engine.offset = 0
        return False


def _agreed(engine: FastEngine, batch: Batch, expected: list[torch.Tensor], dtype: torch.dtype) -> FlatBatch:
    """Tries positions from 0, and those of the RoBERTa family, which begin behind the pad token's id."""
    worst = math.inf
    for offset in (engine.offset, engine.pad_id + 1):
        engine.offset = offset
        flat = engine.flat(batch)
        try:
            with engine.running():
                found = gradients(engine.parts.network, engine.loss(flat))
        except NotImplementedError:
            raise
        except Exception as error:  # whatever a model stumbles over that does not know these arguments
            raise NotImplementedError(f"flat rows do not go through it: {error}") from error
        if not flat.attention.calls:
            raise NotImplementedError("its attention does not go through the attention interface of transformers")
        worst = min(worst, difference(found, expected, dtype))
        if worst <= ALLOWED[dtype]:
            return flat
    raise NotImplementedError(f"flat rows change its loss or gradients (by {worst:.1e})")


def _last(engine: FastEngine, batch: Batch) -> Last | None:
    """What of the last layer can be computed for some tokens only, if anything can."""
    if "last-layer" in engine.without or not engine.parts.layers:
        return None
    flat = engine.flat(batch, share=False)
    try:
        with engine.running():
            return Last.of(engine.parts.layers[-1], lambda: engine.body(flat), engine.read(flat))
    except Exception:  # a layer that takes or gives something else than hidden states
        return None


def _with_siblings(engine: FastEngine, batch: Batch) -> list[tuple[Any, Any]]:
    """The engine's forwards, those of LoRA layers that read one input as one operation."""
    plain, flat = engine.forwards, engine.flat(batch, share=False)

    def run(forwards: Sequence[tuple[Any, Any]]) -> None:
        engine.forwards = list(forwards)
        with torch.no_grad(), engine.running():
            engine.loss(flat)

    try:
        return siblings(plain, run)
    except Exception:  # flat rows do not go through it, as will be seen
        return plain
    finally:
        engine.forwards = plain


def _below(engine: FastEngine, batch: Batch, expected: list[torch.Tensor], dtype: torch.dtype) -> Below | None:
    """What can be remembered, if anything can."""
    below = None if engine.draws else Below.of(engine.parts.body, engine.parts.layers)
    if below is None:
        return None
    flat = engine.flat(batch)
    try:
        with engine.running():
            below.remember(flat, engine.body)
            with below.replayed(flat):
                found = gradients(engine.parts.network, engine.loss(flat))
    except Exception:  # a layer that takes or gives something else than hidden states
        return None
    below.forget()
    return below if difference(found, expected, dtype) <= ALLOWED[dtype] else None


def gradients(network: Any, loss: torch.Tensor) -> list[torch.Tensor]:
    """The loss, and the gradient of everything that is trained."""
    network.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    trained = [p.grad.detach().clone() for p in network.parameters() if p.grad is not None]
    return [loss.detach(), *trained]


def trial_rows(examples: Sequence[TokenSequence]) -> list[TokenSequence]:
    """Three short rows from the beginnings of real ones, two of which begin alike; their last tokens are learned."""
    ids = [list(row.ids) for row in examples]
    long = max(ids, key=len)[:20]
    other = min(ids, key=len)[::-1][:6] or long[:1]
    made = [long, long[: max(len(long) * 2 // 3, 1)] + other, other]
    first = next((row for row in examples if row.label is not None), examples[0])
    return [
        replace(first, ids=row, supervised=[place >= len(row) // 2 for place in range(len(row))], prompt_length=1)
        for row in made
    ]


def _tagged(rows: Sequence[TokenSequence]) -> list[TokenSequence]:
    """The same rows with a tag for every token that is learned, by turns those that their label has."""
    tags = cycle(names_in(rows[0].label or "", "tags"))
    return [replace(row, label=" ".join(islice(tags, row.supervised_count))) for row in rows]


def difference(found: Sequence[torch.Tensor], expected: Sequence[torch.Tensor], dtype: torch.dtype) -> float:
    """Difference of the loss, which comes first, or of the gradients where that is larger, relative to their norms.

    In float32 every gradient is compared by itself; one that is nothing but rounding, such as that of a key's bias,
    against all of them. Narrower types round each of them by several per cent: there they are compared together.
    """
    norms = [float(tensor.float().norm()) for tensor in expected]
    apart = [float((a.float() - b.float()).norm()) for a, b in zip(found, expected, strict=True)]
    whole = math.hypot(*norms[1:]) or 1.0
    if dtype == torch.float32:
        relative = [one / max(norm, ALLOWED[dtype] * whole) for one, norm in zip(apart[1:], norms[1:], strict=True)]
    else:
        relative = [math.hypot(*apart[1:]) / whole]
    relative.append(apart[0] / (norms[0] or 1.0))
    return max(relative) if all(map(math.isfinite, relative)) else math.inf
