"""Long documents cut into pieces that fit, and where each piece begins to be learned."""

from __future__ import annotations

from dataclasses import dataclass

from luthier.data.records import Encoded, Rejected, TokenSequence


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a document's tokens.

    Attributes:
        start: first token.
        end: behind the last one.
        context: how many first tokens are only read: those the piece before has learned already, or the very first
            token, which nothing predicts.
    """

    start: int
    end: int
    context: int

    @property
    def learned(self) -> list[bool]:
        """For each token, whether it is learned."""
        return [place >= self.context for place in range(self.end - self.start)]


def pieces(length: int, size: int, overlap: int) -> list[Piece]:
    """Cuts a document so that every token is learned once, behind at least `overlap` tokens of context.

    Three pieces of size 8 with an overlap of 2, `.` is context:

        tokens   0 1 2 3 4 5 6 7 8 9 ...
        first    . 1 2 3 4 5 6 7
        second               . . 8 9 10 11 12 13
        third                                . . 14 ...

    Without overlap the first token of every piece is context, and is learned nowhere.

    Args:
        length: tokens of the document.
        size: most tokens of a piece.
        overlap: tokens that neighbours have in common, less than `size`.

    Returns:
        The pieces that have something to learn, in order.
    """
    found = []
    for start in range(0, max(length - overlap, 1), size - overlap):
        end = min(start + size, length)
        context = max(overlap if start else 0, 1)
        if end - start > context:
            found.append(Piece(start, end, context))
    return found


def cut_document(row_id: int, text: str, ids: list[int], size: int, too_long: str, overlap: int) -> Encoded:
    """Running text as token sequences.

    Args:
        row_id: its row.
        text: the whole text.
        ids: its tokens.
        size: most tokens of a sequence.
        too_long: what happens to longer ones: split, truncate, or they are rejected.
        overlap: tokens that the pieces of a split text have in common.
    """
    if len(ids) > size and too_long not in ("split", "truncate"):
        return Rejected(f"too long: {len(ids)} tokens, data.max_length is {size}")
    length = len(ids) if too_long == "split" else min(len(ids), size)
    sequences = [
        TokenSequence(ids[piece.start : piece.end], piece.learned, 0, row_id, text, None, len(ids) - length)
        for piece in pieces(length, size, overlap)
    ]
    return sequences or Rejected("no supervised token")
