"""A tag for every word: named entities, parts of speech.

A text is its words with spaces between them, tokenised as any other text; the first token of each word carries its tag.

    Nokia  opened   a  plant  in  Komarom
    B-ORG    O      O    O    O    B-LOC
    Nok|ia open|ed  a  plant  in  Kom|arom
     x      x       x    x    x    x          learned

Shapes: b = rows, t = tokens of the longest row, n = tokens that are learned, k = tags.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Literal

from luthier.data.examples import Example, TaggedWords
from luthier.data.records import Batch, Encoded, Rejected, TokenSequence
from luthier.data.words import split_words
from luthier.errors import ModelError
from luthier.models.base import Head
from luthier.registry import Options
from luthier.tasks import Form, Prediction, pad
from luthier.tasks._heads import logits_of_rows, prediction

if TYPE_CHECKING:
    import torch
    from torch import nn

    from luthier.data.rendering import Renderer


class TokenClassificationOptions(Options):
    """A head that gives every word a tag; the head is trained with the base."""

    name: Literal["token_classification"] = "token_classification"


@dataclass(frozen=True)
class _Tokens:
    """Words as tokens: `firsts` is the place of each word's first one, -1 for a word without."""

    ids: list[int]
    firsts: list[int]


class TokenClassification:
    """Learns the tags of words. There is one way to ask: `head`, the likeliest tag of each word."""

    Options = TokenClassificationOptions
    kinds = (TaggedWords,)
    head: Head = "token_classification"
    peft_task = "TOKEN_CLS"
    base_answers = False
    shots = False
    form: Form = "tags"

    def __init__(self, options: TokenClassificationOptions) -> None:
        self.options = options

    def encode(self, examples: Sequence[tuple[int, Example]], renderer: Renderer) -> list[Encoded]:
        """Words with a space between them; no template, no instruction.

        Raises:
            ModelError: the tokenizer cannot say which words its tokens come from.
        """
        tagged = [(row_id, example) for row_id, example in examples if isinstance(example, TaggedWords)]
        tokens = _tokenise(renderer.tokenizer, [example.words for _, example in tagged])
        return [
            self._encoded(row_id, example, whole, renderer)
            for (row_id, example), whole in zip(tagged, tokens, strict=True)
        ]

    def _encoded(self, row_id: int, example: TaggedWords, tokens: _Tokens, renderer: Renderer) -> Encoded:
        if problem := _problem(example, tokens):
            return Rejected(problem)
        length = len(tokens.ids)
        if length <= renderer.max_length:
            return [_sequence(row_id, example, tokens)]
        if renderer.too_long not in ("truncate", "split"):
            return Rejected(f"too long: {length} tokens, data.max_length is {renderer.max_length}")
        pieces = list(_pieces(example, tokens, renderer))
        if renderer.too_long == "truncate" and pieces:
            cut = length - len(pieces[0][1].ids)
            return [replace(_sequence(row_id, *pieces[0]), truncated=cut)]
        if sum(len(piece.words) for piece, _ in pieces) < len(example.words):
            return Rejected(f"too long: one of its words alone, data.max_length is {renderer.max_length}")
        return [_sequence(row_id, *piece) for piece in pieces]

    def collate(self, rows: Sequence[TokenSequence], pad_id: int, labels: Sequence[str]) -> Batch:
        """Targets are tag numbers [b, t] where a word begins, -100 elsewhere."""
        input_ids_bt, attention_mask_bt = pad([row.ids for row in rows], pad_id)
        numbers = {label: number for number, label in enumerate(labels)}
        targets_bt, _ = pad([_tag_numbers(row, numbers) for row in rows], -100)
        count = int((targets_bt >= 0).sum())
        return Batch(input_ids_bt, attention_mask_bt, targets_bt, [row.row_id for row in rows], count)

    def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        """Summed cross-entropy of the tags."""
        logits_btk = network(batch.input_ids_bt, attention_mask=batch.attention_mask_bt).logits
        return self.loss_of_tags(logits_btk[self.tagged(batch)], batch)

    def tagged(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows and positions of the words' first tokens, int64 [n] each."""
        import torch

        rows_n, positions_n = torch.nonzero(batch.targets >= 0, as_tuple=True)
        return rows_n, positions_n

    def loss_of_tags(self, logits_nk: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Summed cross-entropy of the tags from the logits of the words' first tokens."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(logits_nk.float(), batch.targets[batch.targets >= 0], reduction="sum")

    def outputs(self, labels: Sequence[str]) -> Sequence[str]:
        """One for each tag."""
        return labels

    def baselines(self, labels: Sequence[str]) -> Sequence[str]:
        """A table of words."""
        return ("word_tags",)

    def question(self, text: str, labels: Sequence[str]) -> Example:
        """Its words, as spaces part them; characters of Chinese and Japanese."""
        words = split_words(text)
        return TaggedWords(tuple(words), (labels[0],) * len(words))

    def distributions(self, network: nn.Module, row: TokenSequence) -> torch.Tensor:
        """The tags of every word, [n, k]."""
        import torch

        device = next(network.parameters()).device
        logits_tk = network(torch.tensor([list(row.ids)], device=device)).logits[0]
        probabilities_nk: torch.Tensor = logits_tk[_places(row)].float().softmax(-1)
        return probabilities_nk

    def modes(self, labels: Sequence[str], *, answers: bool) -> tuple[str, ...]:
        """Only the head answers."""
        return ("head",)

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
        """The likeliest tag of every word, with spaces between them."""
        labels = renderer.labels
        numbers = {label: number for number, label in enumerate(labels)}

        def collate(some: Sequence[TokenSequence]) -> Batch:
            return self.collate(some, renderer.tokenizer.pad_token_id, labels)

        found: dict[int, Prediction] = {}
        for index, logits_tk in logits_of_rows(network, rows, collate, progress):
            row = rows[index]
            scores_nk = logits_tk[_places(row)].log_softmax(-1)
            answer = " ".join(labels[number] for number in scores_nk.argmax(-1).tolist())
            right = [numbers[tag] for tag in row.label.split(" ")] if row.label is not None else []
            loss = float(-scores_nk[range(len(right)), right].sum())
            found[index] = prediction(row, answer, self.form, {}, loss, len(right))
        return [found[index] for index in range(len(rows))]


def _tokenise(tokenizer: Any, rows: Sequence[Sequence[str]]) -> list[_Tokens]:
    """Words with spaces between them as tokens, all rows at once.

    Tokens find their words by their characters' places in the text. Given words apart, byte-level tokenizers would need
    to be told that a word has a space before it, and others would see a text that no user writes.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            "the tokenizer cannot say which words its tokens come from",
            where="model.base",
            hint="choose a base with a tokenizer.json",
        )
    if not rows:
        return []
    made = tokenizer([" ".join(words) for words in rows], return_offsets_mapping=True)
    return [
        _Tokens(list(ids), _first_tokens(words, offsets))
        for words, ids, offsets in zip(rows, made["input_ids"], made["offset_mapping"], strict=True)
    ]


def _first_tokens(words: Sequence[str], offsets: Sequence[tuple[int, int]]) -> list[int]:
    """Place of every word's first token; a token belongs to the word of its first character that is no space."""
    owners = [owner for number, word in enumerate(words) for owner in (*[number] * len(word), -1)]
    firsts = [-1] * len(words)
    for place, (begin, end) in enumerate(offsets):
        owner = next((owner for owner in owners[begin:end] if owner >= 0), -1)
        if owner >= 0 and firsts[owner] < 0:
            firsts[owner] = place
    return firsts


def _problem(example: TaggedWords, tokens: _Tokens) -> str:
    """Why a row cannot be learned from; empty when it can."""
    if not example.words:
        return "it has no words"
    if spaced := [text for text in (*example.words, *example.tags) if " " in text]:
        return f"'{spaced[0]}' has a space in it; words and tags have none"
    if -1 in tokens.firsts:
        number = tokens.firsts.index(-1)
        return f"the tokenizer has no token for word {number + 1}, {example.words[number]!r}"
    return ""


def _pieces(example: TaggedWords, tokens: _Tokens, renderer: Renderer) -> Iterator[tuple[TaggedWords, _Tokens]]:
    """The row cut between words, each piece as long as fits; ends before a word that is too long by itself."""
    sizes = [after - before for before, after in pairwise([*tokens.firsts, len(tokens.ids)])]
    room = renderer.max_length - renderer.tokenizer.num_special_tokens_to_add()
    begin = 0
    while begin < len(sizes):
        count = max(sum(total <= room for total in accumulate(sizes[begin:])), 1)
        while count:
            end = begin + count
            piece = TaggedWords(example.words[begin:end], example.tags[begin:end])
            [made] = _tokenise(renderer.tokenizer, [piece.words])
            if len(made.ids) <= renderer.max_length:
                break
            count -= 1  # a word may have more tokens at the beginning of a text than inside
        else:
            return
        yield piece, made
        begin = end


def _sequence(row_id: int, example: TaggedWords, tokens: _Tokens) -> TokenSequence:
    supervised = [False] * len(tokens.ids)
    for place in tokens.firsts:
        supervised[place] = True
    text, label = " ".join(example.words), " ".join(example.tags)
    return TokenSequence(tokens.ids, supervised, len(tokens.ids), row_id, text, label)


def _places(row: TokenSequence) -> list[int]:
    """Where the words of a row begin."""
    return [place for place, first in enumerate(row.supervised) if first]


def _tag_numbers(row: TokenSequence, numbers: dict[str, int]) -> list[int]:
    """The tag's number where a word begins, -100 elsewhere and where the tags are unknown."""
    targets = [-100] * len(row.ids)
    if row.label is not None:
        for place, tag in zip(_places(row), row.label.split(" "), strict=True):
            targets[place] = numbers[tag]
    return targets
