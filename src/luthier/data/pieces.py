"""Tokenises texts piece by piece, exactly as whole ones.

Special tokens part a text before anything else does, so what stands between two of them has the same tokens wherever it
stands. Under a chat template most pieces are the same in every row, and a row's prompt is a piece of the row: each
different piece is tokenised once.

Many tokenizers of bytes part a piece further, by a regular expression in which a space only begins a match or follows
other white space: what they make of a word does not depend on the words around it. There each different word is
tokenised once, and remembered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

_PROBES = ("a", " a", "a ", "\n", "\na", " ", "利", "1", "It's a 12 b,  c\n d.")
_MOST_CHARACTERS = 1_000_000
"""Of the words that are remembered: about 70 MB with their tokens."""

_BORDER = re.compile(r" (?<=\S )")
"""A space behind something else than white space."""

_PATTERNS = (
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    *(
        rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        for digits in (r"\p{N}", r"\p{N}{1,3}")
    ),
)
"""How GPT-2 and its kin, Qwen, and Llama 3 part a text: no match goes on behind a border."""


class Pieces:
    """A tokenizer that is asked about pieces, or about whole texts where pieces would not be the same."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._between = _separators(tokenizer)
        self._by_words = self._between is not None and _parts_at_borders(tokenizer)
        self._known: dict[str, list[int]] = {}
        self._characters = 0
        if self._between is not None and not self._agrees():
            self._between = None

    def tokenise(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of every text, without special tokens beyond those that stand in it."""
        if self._between is None:
            return self._whole(texts)
        parted = [[piece for piece in self._between.split(text) if piece] for text in texts]
        different = list(dict.fromkeys(chain.from_iterable(parted)))
        encoded = self._words_of(different) if self._by_words else self._pieces(different)
        ids = dict(zip(different, encoded, strict=True))
        return [list(chain.from_iterable([ids[piece] for piece in pieces])) for pieces in parted]

    def _words_of(self, pieces: Sequence[str]) -> list[list[int]]:
        """Word by word; what was tokenised lately is known."""
        parted = [_words(piece) for piece in pieces]
        known = self._known
        new = list(set().union(*parted).difference(known))
        known.update(zip(new, self._pieces(new), strict=True))
        self._characters += sum(map(len, new))
        if self._characters > _MOST_CHARACTERS:
            self._known, self._characters = {}, 0
        return [list(chain.from_iterable(map(known.__getitem__, words))) for words in parted]

    def _pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """Without what a call of the tokenizer makes besides the ids: offsets, masks and their containers."""
        backend = self._tokenizer.backend_tokenizer
        if backend.truncation is not None:
            backend.no_truncation()
        if backend.padding is not None:
            backend.no_padding()
        return [encoding.ids for encoding in backend.encode_batch_fast(texts, add_special_tokens=False)]

    def _whole(self, texts: Sequence[str]) -> list[list[int]]:
        return list(self._tokenizer(list(texts), add_special_tokens=False)["input_ids"]) if texts else []

    def _agrees(self) -> bool:
        """Tries it out: some tokenizers treat the beginning of a text differently from the rest."""
        special = next(token.content for token in self._tokenizer.added_tokens_decoder.values() if not token.normalized)
        texts = [before + special + behind for before in _PROBES for behind in _PROBES]
        return self.tokenise(texts) == self._whole(texts)


@lru_cache(maxsize=4)
def pieces_of(tokenizer: Any) -> Pieces:
    """The same for the same tokenizer, whose added tokens must not change any more."""
    return Pieces(tokenizer)


def _separators(tokenizer: Any) -> re.Pattern[str] | None:
    """What parts a text: added tokens that are looked for in the text as it stands and take nothing beside them along.

    Returns:
        A pattern with one group; None for tokenizers of which that is not known.
    """
    if not getattr(tokenizer, "is_fast", False) or getattr(tokenizer, "split_special_tokens", False):
        return None
    tokens = [token for token in tokenizer.added_tokens_decoder.values() if not token.normalized]
    if not tokens or any(token.lstrip or token.rstrip or token.single_word for token in tokens):
        return None
    longest_first = sorted((token.content for token in tokens), key=len, reverse=True)
    return re.compile(f"({'|'.join(map(re.escape, longest_first))})")


def _words(piece: str) -> list[str]:
    first, *others = _BORDER.split(piece)
    return [first, *[f" {word}" for word in others]]


def _parts_at_borders(tokenizer: Any) -> bool:
    """Whether a tokenizer parts every text at every border, and nothing else in it looks across one."""
    backend = tokenizer.backend_tokenizer
    if backend.pre_tokenizer is None or any(token.normalized for token in tokenizer.added_tokens_decoder.values()):
        return False
    if backend.normalizer is not None and json.loads(backend.normalizer.__getstate__())["type"] != "NFC":
        return False
    steps = json.loads(backend.pre_tokenizer.__getstate__())
    *splits, last = steps.get("pretokenizers", [steps])
    known = [step for step in splits if step["type"] == "Split" and _is_known(step)]
    return (
        last["type"] == "ByteLevel"
        and not last["add_prefix_space"]
        and (last["use_regex"] or bool(known))
        and all(step in known or step["type"] == "Digits" for step in splits)
    )


def _is_known(split: dict[str, Any]) -> bool:
    return split["pattern"].get("Regex") in _PATTERNS and split["behavior"] == "Isolated" and not split["invert"]
