"""Encoder-decoders: a text becomes another one. Translations, summaries, labels as words.

Shapes: b = rows, s = tokens of the longest source, t = tokens of the longest target, v = vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from luthier.data.examples import Conversation, Example, Labelled, Pair
from luthier.data.records import Batch, Encoded, Rejected, TokenSequence
from luthier.models.base import Head
from luthier.registry import Options
from luthier.tasks import Prediction, pad
from luthier.tasks.causal_lm import parse_label

if TYPE_CHECKING:
    import torch
    from torch import nn

    from luthier.data.rendering import Renderer


class Seq2seqOptions(Options):
    """An encoder-decoder, such as T5, that reads a source and writes a target."""

    name: Literal["seq2seq"] = "seq2seq"
    max_target_length: int = Field(
        128,
        ge=1,
        description="Longest target in tokens, its end token included; data.max_length is that of the source. "
        "data.too_long says what happens to longer ones of both.",
    )


@dataclass(frozen=True)
class _Asked:
    """A row in words: what the encoder reads, what the decoder learns, and the source without an instruction."""

    source: str
    target: str
    text: str


class Seq2seq:
    """Learns what texts become. There is no chat template: the tokenizer's own special tokens are all that is added.

    A record is the source's tokens and behind them the target's, which are the supervised ones. A model is asked in up
    to three ways: `labels` scores every allowed label as a target, `generate` lets it write and parses what it wrote,
    `likelihood` measures how likely the expected target is.
    """

    Options = Seq2seqOptions
    kinds = (Pair, Labelled, Conversation)
    head: Head = "seq2seq_lm"
    peft_task = "SEQ_2_SEQ_LM"
    base_answers = True
    shots = False

    def __init__(self, options: Seq2seqOptions) -> None:
        self.options = options

    def encode(self, examples: Sequence[tuple[int, Example]], renderer: Renderer) -> list[Encoded]:
        """Source and target as the tokenizer makes them; conversations of several turns are rejected."""
        asked = [_in_words(example, renderer) for _, example in examples]
        readable = [one for one in asked if isinstance(one, _Asked)]
        if not readable:
            return [one for one in asked if isinstance(one, Rejected)]
        sources = iter(renderer.tokenizer([one.source for one in readable])["input_ids"])
        targets = iter(renderer.tokenizer(text_target=[one.target for one in readable])["input_ids"])
        return [
            one if isinstance(one, Rejected) else self._fit(row_id, one, next(sources), next(targets), renderer)
            for (row_id, _), one in zip(examples, asked, strict=True)
        ]

    def _fit(self, row_id: int, asked: _Asked, source: list[int], target: list[int], renderer: Renderer) -> Encoded:
        most, most_target = renderer.max_length, self.options.max_target_length
        over, over_target = max(len(source) - most, 0), max(len(target) - most_target, 0)
        if renderer.too_long != "truncate":
            if over:
                return Rejected(f"too long: a source of {len(source)} tokens, data.max_length is {most}")
            if over_target:
                return Rejected(f"too long: a target of {len(target)} tokens, task.max_target_length is {most_target}")
        if over:
            source = renderer.tokenizer(asked.source, truncation=True, max_length=most)["input_ids"]
        if over_target:
            target = self._target(asked.target, renderer)
        supervised = [False] * len(source) + [True] * len(target)
        return [
            TokenSequence(
                [*source, *target], supervised, len(source), row_id, asked.text, asked.target, over + over_target
            )
        ]

    def _target(self, text: str, renderer: Renderer) -> list[int]:
        """A target's tokens, cut before its end token where it is too long."""
        ids = renderer.tokenizer(text_target=text, truncation=True, max_length=self.options.max_target_length)
        return list(ids["input_ids"])

    def collate(self, rows: Sequence[TokenSequence], pad_id: int, labels: Sequence[str]) -> Batch:
        """Inputs are the sources [b, s], targets [b, t] the targets' tokens, -100 behind them, not shifted."""
        input_ids_bs, attention_mask_bs = pad([row.ids[: row.prompt_length] for row in rows], pad_id)
        targets_bt, _ = pad([row.ids[row.prompt_length :] for row in rows], -100)
        count = int((targets_bt >= 0).sum())
        return Batch(input_ids_bs, attention_mask_bs, targets_bt, [row.row_id for row in rows], count)

    def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        """Summed cross-entropy of the targets' tokens."""
        from luthier.models.seq2seq import target_losses

        source = {"input_ids": batch.input_ids_bt, "attention_mask": batch.attention_mask_bt}
        return target_losses(network, source, batch.targets).sum()

    def outputs(self, labels: Sequence[str]) -> Sequence[str]:
        """The vocabulary is the head."""
        return ()

    def baselines(self, labels: Sequence[str]) -> Sequence[str]:
        """Free answers have none."""
        return ("majority", "tfidf") if labels else ()

    def question(self, text: str, labels: Sequence[str]) -> Example:
        """A labelled text, or a source."""
        return Labelled(text, labels[0]) if labels else Pair(text, "-")

    def distributions(self, network: nn.Module, row: TokenSequence) -> torch.Tensor:
        """The tokens of the row's target, each behind those before it, [t, v]: BART's first one is always the same."""
        import torch

        from luthier.models.seq2seq import decoder_inputs

        ids_1t = torch.tensor([list(row.ids)], device=next(network.parameters()).device)
        source_1s, target_1t = ids_1t[:, : row.prompt_length], ids_1t[:, row.prompt_length :]
        logits_1tv = network(input_ids=source_1s, decoder_input_ids=decoder_inputs(network, target_1t)).logits
        probabilities_tv: torch.Tensor = logits_1tv[0].float().softmax(-1)
        return probabilities_tv

    def modes(self, labels: Sequence[str], *, answers: bool) -> tuple[str, ...]:
        """Labels are scored and generated, other targets measured and generated."""
        return ("labels", "generate") if labels else ("likelihood", "generate")

    def predict(
        self,
        network: nn.Module,
        renderer: Renderer,
        rows: Sequence[TokenSequence],
        *,
        mode: str,
        max_new_tokens: int,
        progress: Callable[[int], None] | None = None,
    ) -> list[Prediction]:
        """Asks in one of the three ways."""
        if not rows:
            return []
        sources = [list(row.ids[: row.prompt_length]) for row in rows]
        if mode == "generate":
            return _generate(network, renderer, rows, sources, max_new_tokens, progress)
        if mode == "labels":
            answers = {label: self._target(label, renderer) for label in renderer.labels}
            return _score_labels(network, answers, renderer.tokenizer.pad_token_id, rows, sources, progress)
        return _measure(network, renderer.tokenizer.pad_token_id, rows, sources, progress)


def _in_words(example: Example, renderer: Renderer) -> _Asked | Rejected:
    """An example as source and target; an instruction and a system message stand in front of the source."""
    if isinstance(example, Pair):
        example = Labelled(example.source, example.target, example.instruction)
    assert isinstance(example, Conversation | Labelled)  # the task's kinds
    conversation = renderer.conversation(example)
    *before, answer = conversation.messages
    if [message.role for message in conversation.messages if message.role != "system"] != ["user", "assistant"]:
        return Rejected("a conversation of several turns: an encoder-decoder reads one message and writes one")
    if isinstance(example, Conversation) and example.tools:
        return Rejected("a conversation with tools: an encoder-decoder is not told of them")
    text = example.text if isinstance(example, Labelled) else before[-1].text
    return _Asked("\n".join(message.text for message in before), answer.text, text)


def _score_labels(
    network: nn.Module,
    answers: dict[str, list[int]],
    pad_id: int,
    rows: Sequence[TokenSequence],
    sources: Sequence[Sequence[int]],
    progress: Callable[[int], None] | None,
) -> list[Prediction]:
    from luthier.models.seq2seq import score_targets

    predictions = []
    scores_nk = score_targets(network, sources, list(answers.values()), pad_id, progress).tolist()
    for row, scores_k in zip(rows, scores_nk, strict=True):
        scores = dict(zip(answers, scores_k, strict=True))
        best = max(scores, key=lambda label: scores[label])
        loss = -scores[row.label] if row.label in scores else None
        tokens = len(answers[row.label]) if row.label in answers else 0
        predictions.append(Prediction(row.row_id, row.text, row.label, best, best, scores, loss, tokens))
    return predictions


def _generate(
    network: nn.Module,
    renderer: Renderer,
    rows: Sequence[TokenSequence],
    sources: Sequence[Sequence[int]],
    max_new_tokens: int,
    progress: Callable[[int], None] | None,
) -> list[Prediction]:
    from luthier.models.seq2seq import greedy_answers

    tokenizer: Any = renderer.tokenizer
    predictions = []
    answers = greedy_answers(network, sources, max_new_tokens, tokenizer.pad_token_id, progress)
    for row, ids in zip(rows, answers, strict=True):
        raw = tokenizer.decode(ids, skip_special_tokens=True)
        parsed = parse_label(raw, renderer.labels) if renderer.labels else raw.strip()
        cut = len(ids) >= max_new_tokens
        predictions.append(Prediction(row.row_id, row.text, row.label, raw, parsed, cut=cut, written=len(ids)))
    return predictions


def _measure(
    network: nn.Module,
    pad_id: int,
    rows: Sequence[TokenSequence],
    sources: Sequence[Sequence[int]],
    progress: Callable[[int], None] | None,
) -> list[Prediction]:
    from luthier.models.seq2seq import measure_targets

    targets = [list(row.ids[row.prompt_length :]) for row in rows]
    losses = measure_targets(network, sources, targets, pad_id, progress)
    return [
        Prediction(row.row_id, row.text, row.label, "", None, {}, loss, len(target))
        for row, target, loss in zip(rows, targets, losses, strict=True)
    ]
