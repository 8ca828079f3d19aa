"""Tokenises texts piece by piece, exactly as whole ones.

Special tokens part a text before anything else does, so what stands between two of them has the same tokens wherever it
stands. Under a chat template most pieces are the same in every row, and a row's prompt is a piece of the row: each
different piece is tokenised once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

_PROBES = ("a", " a", "a ", "\n", "\na", " ", "利", "1")


class Pieces:
    """A tokenizer that is asked about pieces, or about whole texts where pieces would not be the same."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._between = _separators(tokenizer)
        if self._between is not None and not self._agrees():
            self._between = None

    def tokenise(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of every text, without special tokens beyond those that stand in it."""
        if self._between is None:
            return self._whole(texts)
        parted = [[piece for piece in self._between.split(text) if piece] for text in texts]
        different = list(dict.fromkeys(piece for pieces in parted for piece in pieces))
        ids = dict(zip(different, self._pieces(different), strict=True))
        return [list(chain.from_iterable([ids[piece] for piece in pieces])) for pieces in parted]

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
