"""One row under the lens: its tokens, what is learned of them, its line in the ledger, and what a server would send."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from luthier.config import RunConfig
from luthier.data.examples import Conversation, Example, Labelled, Preference
from luthier.data.ledger import Entry, read_ledger
from luthier.data.prepare import Encoder, Prepared
from luthier.data.records import Rejected
from luthier.data.rendering import Renderer
from luthier.errors import DataError


@dataclass(frozen=True)
class Token:
    """A token of a row.

    Attributes:
        text: its piece of text, special tokens included.
        supervised: whether it is learned.
    """

    id: int
    text: str
    supervised: bool


@dataclass(frozen=True)
class ServeCheck:
    """The prompt as trained beside the prompt as `transformers` would send it.

    Attributes:
        same: whether all tokens agree.
        position: the first place where they differ, from 0; None when they agree.
        trained: the tokens from a little before that place on, as trained.
        served: the same, as served.
    """

    same: bool
    position: int | None
    trained: list[str]
    served: list[str]


@dataclass(frozen=True)
class Inspection:
    """A row under the lens.

    Attributes:
        ledger: its line in the ledger (the first one, when it was split).
        sequences: its tokens; several lists when it was split, none when it was rejected; of a preference the better
            answer behind the prompt, then the worse one.
        rejected: why it has none.
        prompt_length: tokens that a server would send.
        truncated: tokens that were cut from it.
        serve: the comparison with `apply_chat_template`, when asked for.
    """

    ledger: Entry
    sequences: list[list[Token]]
    rejected: str
    prompt_length: int
    truncated: int
    serve: ServeCheck | None

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self) | {"ledger": self.ledger._asdict()}


def inspect_row(
    config: RunConfig, encoder: Encoder, prepared: Prepared, renderer: Renderer, row_id: int | None, *, serve: bool
) -> Inspection:
    """Renders one row again, as preparation did.

    Args:
        config: the run.
        encoder: the task.
        prepared: the prepared data.
        renderer: the run's renderer.
        row_id: its number in the ledger; None takes the first training row.
        serve: also compare with `apply_chat_template`.

    Raises:
        DataError: there is no such row.
    """
    if row_id is None:
        row_id = prepared.train[0].row_id
    entry = next((line for line in read_ledger(prepared.ledger) if line.row_id == row_id), None)
    if entry is None or entry.origin == "split":
        rows = prepared.summary.rows_in
        raise DataError(f"there is no row {row_id}", expected=f"a number from 0 to {rows - 1}, as in the ledger")
    example = prepared.examples[row_id].example
    if example is None:
        return Inspection(entry, [], entry.reason, 0, 0, None)
    encoded = encoder.encode([(row_id, example)], renderer)[0]
    check = serve_check(example, renderer) if serve else None
    if isinstance(encoded, Rejected):
        return Inspection(entry, [], encoded.reason, 0, 0, check)
    sequences = [
        [
            Token(number, renderer.tokenizer.decode([number]), learned)
            for number, learned in zip(sequence.ids, sequence.supervised, strict=True)
        ]
        for row in encoded
        for sequence in ([row, row.with_rejected()] if row.rejected else [row])
    ]
    return Inspection(entry, sequences, "", encoded[0].prompt_length, encoded[0].truncated, check)


def serve_check(example: Example, renderer: Renderer) -> ServeCheck:
    """Compares the prompt with what plain `transformers` makes of the same messages by the model's own template.

    Raises:
        DataError: the row is no chat.
    """
    if not isinstance(example, Conversation | Labelled | Preference):
        raise DataError("this row is not sent through a chat template", hint="inspect a conversation or labelled text")
    trained = renderer.prompt_ids(example)
    served = _served(example, renderer)
    if trained == served:
        return ServeCheck(True, None, [], [])
    shared = (place for place, (one, other) in enumerate(zip(trained, served, strict=False)) if one != other)
    position = next(shared, min(len(trained), len(served)))
    window = slice(max(position - 4, 0), position + 8)
    decode = renderer.tokenizer.decode
    return ServeCheck(False, position, [decode([i]) for i in trained[window]], [decode([i]) for i in served[window]])


def _served(example: Conversation | Labelled | Preference, renderer: Renderer) -> list[int]:
    conversation = renderer.conversation(example)
    messages = renderer.turns(conversation.messages)
    if messages[-1]["role"] == "assistant":
        messages.pop()
    own = {} if renderer.tokenizer.chat_template else {"chat_template": renderer.template_text}
    ids = renderer.tokenizer.apply_chat_template(
        messages,
        tools=list(conversation.tools) or None,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=False,
        **own,
    )
    return list(ids)
