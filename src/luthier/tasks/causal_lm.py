"""Language modelling: answers to prompts, labels as words, running text.

Shapes: b = rows, t = tokens of the longest row, n = positions whose logits are computed, v = vocabulary.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from luthier.data.examples import Conversation, Document, Example, Labelled, Message
from luthier.data.records import Batch, Encoded, TokenSequence
from luthier.data.words import CJK
from luthier.models.base import Head
from luthier.registry import Options
from luthier.tasks import Prediction, pad

if TYPE_CHECKING:
    import torch
    from torch import nn

    from luthier.data.rendering import Renderer


_LETTER = rf"[^\W_{CJK}\u0e00-\u0eff\uac00-\ud7af]"
"""A letter or digit that makes another word of what it stands beside; in Chinese, Japanese, Thai, Lao and Korean it may
be the next word, or an ending."""


class CausalLmOptions(Options):
    """A language model that answers in words."""

    name: Literal["causal_lm"] = "causal_lm"


class CausalLm:
    """Learns the answers of conversations, the labels of texts, or running text.

    A model is asked in up to three ways: `labels` scores every allowed label as an answer, `generate` lets it write
    and parses what it wrote, `likelihood` measures how likely the expected text is.
    """

    Options = CausalLmOptions
    kinds = (Conversation, Labelled, Document)
    head: Head = "causal_lm"
    peft_task = "CAUSAL_LM"
    base_answers = True
    shots = True

    def __init__(self, options: CausalLmOptions) -> None:
        self.options = options

    def encode(self, examples: Sequence[tuple[int, Example]], renderer: Renderer) -> list[Encoded]:
        """Documents as they are, everything else through the template."""
        documents = [(row_id, e) for row_id, e in examples if isinstance(e, Document)]
        asked = [(row_id, e) for row_id, e in examples if isinstance(e, Conversation | Labelled)]
        texts, answers = iter(renderer.render_documents(documents)), iter(renderer.render(asked))
        return [next(texts) if isinstance(example, Document) else next(answers) for _, example in examples]

    def collate(self, rows: Sequence[TokenSequence], pad_id: int, labels: Sequence[str]) -> Batch:
        """Targets are the token ids where a token is supervised, -100 elsewhere."""
        input_ids_bt, attention_mask_bt = pad([row.ids for row in rows], pad_id)
        supervised_bt, _ = pad([row.supervised for row in rows], 0)
        targets_bt = input_ids_bt.masked_fill(supervised_bt == 0, -100)
        count = int((targets_bt[:, 1:] >= 0).sum())
        return Batch(input_ids_bt, attention_mask_bt, targets_bt, [row.row_id for row in rows], count)

    def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        """Summed cross-entropy of the supervised tokens."""
        return self.loss_by_row(network, batch)[0].sum()

    def predicted(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The one place where labels are shifted: the hidden state of a position predicts the next token."""
        import torch

        rows_n, positions_n = torch.nonzero(batch.targets[:, 1:] >= 0, as_tuple=True)
        return rows_n, positions_n, batch.targets[rows_n, positions_n + 1]

    def loss_by_row(self, network: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """(summed loss, supervised tokens) of each row.

        Logits are computed only from the first position on that predicts something, and softmax only where one does:
        the output layer is the largest one of a small model.
        """
        from torch.nn.functional import cross_entropy

        from luthier.models.inference import accepts

        rows_n, positions_n, targets_n = self.predicted(batch)
        b, t = batch.input_ids_bt.shape
        n = t - int(positions_n.min()) if len(positions_n) else 1
        keep = {"logits_to_keep": n} if accepts(network, "logits_to_keep") else {}
        logits_bnv = network(batch.input_ids_bt, attention_mask=batch.attention_mask_bt, use_cache=False, **keep).logits
        logits_nv = logits_bnv[rows_n, positions_n - t + logits_bnv.shape[1]].float()
        losses_n = cross_entropy(logits_nv, targets_n, reduction="none")
        return losses_n.new_zeros(b).index_add(0, rows_n, losses_n), rows_n.bincount(minlength=b)

    def outputs(self, labels: Sequence[str]) -> Sequence[str]:
        """The vocabulary is the head."""
        return ()

    def baselines(self, labels: Sequence[str]) -> Sequence[str]:
        """Free answers have none."""
        return ("majority", "tfidf") if labels else ()

    def question(self, text: str, labels: Sequence[str]) -> Example:
        """A labelled text, or a user's message."""
        if labels:
            return Labelled(text, labels[0])
        return Conversation((Message("user", text), Message("assistant", "-")))

    def distributions(self, network: nn.Module, row: TokenSequence) -> torch.Tensor:
        """The token that follows the prompt, [1, v]."""
        import torch

        device = next(network.parameters()).device
        logits_1tv = network(torch.tensor([list(row.ids[: row.prompt_length])], device=device)).logits
        probabilities_1v: torch.Tensor = logits_1tv[:, -1].float().softmax(-1)
        return probabilities_1v

    def modes(self, labels: Sequence[str], *, answers: bool) -> tuple[str, ...]:
        """Labels are scored and generated; answers are measured and generated; running text is measured."""
        if labels:
            return ("labels", "generate")
        return ("likelihood", "generate") if answers else ("likelihood",)

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
        ask = {"labels": self._score_labels, "generate": self._generate, "likelihood": self._measure}[mode]
        return ask(network, renderer, rows, max_new_tokens, progress) if rows else []

    def _score_labels(
        self,
        network: nn.Module,
        renderer: Renderer,
        rows: Sequence[TokenSequence],
        max_new_tokens: int,
        progress: Callable[[int], None] | None,
    ) -> list[Prediction]:
        from luthier.models.inference import score_continuations

        answers = {label: renderer.answer_ids(label) for label in renderer.labels}
        prompts = [list(row.ids[: row.prompt_length]) for row in rows]
        scores_nk = score_continuations(
            network, prompts, list(answers.values()), renderer.tokenizer.pad_token_id, progress
        ).tolist()
        predictions = []
        for row, scores_k in zip(rows, scores_nk, strict=True):
            scores = dict(zip(answers, scores_k, strict=True))
            best = max(scores, key=lambda label: scores[label])
            loss = -scores[row.label] if row.label in scores else None
            tokens = len(answers[row.label]) if row.label in answers else 0
            predictions.append(Prediction(row.row_id, row.text, row.label, best, best, scores, loss, tokens))
        return predictions

    def _generate(
        self,
        network: nn.Module,
        renderer: Renderer,
        rows: Sequence[TokenSequence],
        max_new_tokens: int,
        progress: Callable[[int], None] | None,
    ) -> list[Prediction]:
        from luthier.models.inference import greedy_answers

        tokenizer = renderer.tokenizer
        prompts = [list(row.ids[: row.prompt_length]) for row in rows]
        answers = greedy_answers(network, prompts, renderer.stop_ids, max_new_tokens, tokenizer.pad_token_id, progress)
        predictions = []
        for row, ids in zip(rows, answers, strict=True):
            raw = tokenizer.decode(ids, skip_special_tokens=True)
            parsed = parse_label(raw, renderer.labels) if renderer.labels else raw.strip()
            cut = len(ids) >= max_new_tokens
            predictions.append(Prediction(row.row_id, row.text, row.label, raw, parsed, cut=cut, written=len(ids)))
        return predictions

    def _measure(
        self,
        network: nn.Module,
        renderer: Renderer,
        rows: Sequence[TokenSequence],
        max_new_tokens: int,
        progress: Callable[[int], None] | None,
    ) -> list[Prediction]:
        import torch

        from luthier.models.inference import batches_by_length

        pad_id = renderer.tokenizer.pad_token_id
        device = next(network.parameters()).device
        losses, counts = [math.nan] * len(rows), [0] * len(rows)
        with torch.inference_mode():
            for indices in batches_by_length([len(row.ids) for row in rows]):
                batch = self.collate([rows[index] for index in indices], pad_id, renderer.labels).to(device)
                loss_b, count_b = self.loss_by_row(network, batch)
                for index, loss, count in zip(indices, loss_b.tolist(), count_b.tolist(), strict=True):
                    losses[index], counts[index] = loss, count
                if progress:
                    progress(len(indices))
        return [
            Prediction(row.row_id, row.text, row.label, "", None, {}, loss, count)
            for row, loss, count in zip(rows, losses, counts, strict=True)
        ]


def parse_label(raw: str, labels: Sequence[str]) -> str | None:
    """The label that a written answer means: the one it begins with, else the only one it names, else None."""
    text = raw.strip().lower()
    by_length = sorted(labels, key=len, reverse=True)
    patterns = {label: rf"(?<!{_LETTER}){re.escape(label.lower())}(?!{_LETTER})" for label in by_length}
    for label, pattern in patterns.items():
        if re.match(pattern, text.lstrip("\"'*([ ")):
            return label
    named = [label for label, pattern in patterns.items() if re.search(pattern, text)]
    return named[0] if len(named) == 1 else None
