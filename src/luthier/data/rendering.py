"""The one renderer: examples -> text by a chat template -> token ids and a loss mask.

Training, evaluation, prediction, chat and `inspect` all come through here. Every template, the model's own, a named
one or an inline one, is a Jinja chat template as `transformers` knows it, so that what is trained is what a server that
calls `apply_chat_template` sends, and an exported tokenizer carries the very template that was trained.

What is supervised is decided by position: text before an answer is the prompt, the answer and its end-of-turn token are
learned, whitespace that a template adds after the end of a turn belongs to the next prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from luthier.data.documents import cut_document
from luthier.data.examples import Conversation, Document, Labelled, Message, Preference
from luthier.data.pieces import pieces_of
from luthier.data.records import Encoded, Rejected, TokenSequence
from luthier.data.templates import template_text
from luthier.data.tools import as_functions, with_tools_described
from luthier.data.turns import ChatTemplate, Turn
from luthier.errors import ConfigError

if TYPE_CHECKING:
    from luthier.config import DataConfig


Rendered = Conversation | Labelled | Preference
"""What goes through a template."""


@dataclass(frozen=True)
class Renderer:
    """Turns examples into token sequences.

    Attributes:
        tokenizer: a transformers tokenizer.
        template_text: the Jinja chat template.
        system: system message, None = what the template does by itself.
        instruction: asked before a labelled text; `{labels}` stands for the allowed labels.
        labels: the allowed labels, in order.
        max_length: longest row in tokens.
        too_long: drop | truncate | split | fail.
        overlap: tokens that pieces of a document have in common.
        shots: labelled examples shown in the prompt before the question.
    """

    tokenizer: Any
    template_text: str
    system: str | None = None
    instruction: str | None = None
    labels: tuple[str, ...] = ()
    max_length: int = 512
    too_long: str = "drop"
    overlap: int = 0
    shots: tuple[Labelled, ...] = ()

    @classmethod
    def for_data(cls, config: DataConfig, tokenizer: Any, labels: Sequence[str]) -> Renderer:
        """The renderer that a run's data configuration asks for."""
        return cls(
            tokenizer,
            template_text(config.template, tokenizer),
            config.system,
            config.instruction,
            tuple(labels),
            config.max_length,
            config.too_long,
            config.overlap,
        )

    def with_shots(self, shots: Sequence[Labelled]) -> Renderer:
        """The same renderer with examples in its prompt, and room for them."""
        return replace(self, shots=tuple(shots), max_length=self.max_length * (len(shots) + 1))

    def conversation(self, example: Rendered) -> Conversation:
        """An example as the conversation that is rendered: system message, shots, question, (better) answer."""
        if isinstance(example, Labelled):
            messages = [turn for shot in (*self.shots, example) for turn in self._question_and_answer(shot)]
        elif isinstance(example, Preference):
            messages = [*example.messages, Message("assistant", example.chosen)]
        else:
            messages = list(example.messages)
        if self.system is not None and messages[0].role != "system":
            messages.insert(0, Message("system", self.system))
        tools = as_functions(example.tools) if isinstance(example, Conversation) else ()
        if tools and "tools" not in self._template.words:
            return Conversation(with_tools_described(messages, tools))
        return Conversation(tuple(messages), tools)

    @cached_property
    def _template(self) -> ChatTemplate:
        return ChatTemplate(self.tokenizer, self.template_text)

    def _question_and_answer(self, example: Labelled) -> tuple[Message, Message]:
        instruction = self.instruction if example.instruction is None else example.instruction
        asked = (instruction or "").replace("{labels}", ", ".join(self.labels))
        question = f"{asked}\n{example.text}" if asked else example.text
        return Message("user", question), Message("assistant", example.label)

    def text(self, conversation: Conversation, *, upto: int, prompt: bool) -> str:
        """The first `upto` messages as text; with `prompt`, followed by what opens the assistant's turn.

        Raises:
            ConfigError: the model has no chat template and the configuration names no other.
        """
        return self._template.texts([(conversation, upto)], prompt=prompt)[0]

    def turns(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """Messages as the template takes them."""
        return self._template.as_dicts(messages)

    def render(self, examples: Sequence[tuple[int, Conversation | Labelled]]) -> list[Encoded]:
        """Tokens of (row id, example) pairs. The tokenizer is called once for all of them.

        Each answer is tokenised behind its prompt; where the tokenizer would merge across the boundary, the prompt
        keeps the tokens that a server would send and the answer is tokenised alone.
        """
        conversations = [self.conversation(example) for _, example in examples]
        turns = self._template.learned(conversations)
        texts = [text for row in turns for turn in row for text in (turn.prompt, turn.through)]
        ids = iter(self._tokenise(texts))
        encoded: list[Encoded] = []
        for (row_id, example), conversation, row_turns in zip(examples, conversations, turns, strict=True):
            sequence = self._assemble(row_id, conversation, row_turns, [(next(ids), next(ids)) for _ in row_turns])
            encoded.append(self._fit(row_id, example, sequence))
        return encoded

    def render_preferences(self, pairs: Sequence[tuple[int, Preference]]) -> list[Encoded]:
        """Tokens of (row id, prompt with two answers): the better answer is learned, the worse one stands aside."""
        return [self._render_pair(row_id, pair) for row_id, pair in pairs]

    def _render_pair(self, row_id: int, pair: Preference) -> Encoded:
        """Where rows are truncated, the oldest turns of a long conversation go first."""
        whole = sequence = self._both_answers(row_id, pair)
        if _same_answers(whole) and whole.supervised_count:
            return Rejected("both answers are the same")
        while self.too_long == "truncate" and _length(sequence) > self.max_length and (later := _later_turns(pair)):
            pair = replace(pair, messages=later)
            sequence = self._both_answers(row_id, pair)
        fitting = self._fit(row_id, pair, sequence)
        if isinstance(fitting, Rejected):
            return fitting
        if _same_answers(fitting[0]):
            return Rejected(f"too long: of {_length(whole)} tokens, those that tell the answers apart are cut off")
        return [replace(fitting[0], truncated=_length(whole) - _length(fitting[0]))]

    def _both_answers(self, row_id: int, pair: Preference) -> TokenSequence:
        better, worse = (
            self._last_turn(row_id, self.conversation(replace(pair, chosen=answer)))
            for answer in (pair.chosen, pair.rejected)
        )
        return replace(better, rejected=worse.ids[worse.prompt_length :])

    def _last_turn(self, row_id: int, conversation: Conversation) -> TokenSequence:
        [turns] = self._template.learned([conversation], last=True)
        ids = self._tokenise([text for turn in turns for text in (turn.prompt, turn.through)])
        return self._assemble(row_id, conversation, turns, [(ids[0], ids[1])] if turns else [])

    def _tokenise(self, texts: list[str]) -> list[list[int]]:
        return pieces_of(self.tokenizer).tokenise(texts)

    def _assemble(
        self, row_id: int, conversation: Conversation, turns: list[Turn], token_ids: list[tuple[list[int], list[int]]]
    ) -> TokenSequence:
        ids: list[int] = []
        supervised: list[bool] = []
        consumed = ""
        prompt_length = 0
        for turn, (prompt_ids, through_ids) in zip(turns, token_ids, strict=True):
            if prompt_ids[: len(ids)] != ids:
                prompt_ids = ids + self._tokenise([turn.prompt[len(consumed) :]])[0]
            if through_ids[: len(prompt_ids)] != prompt_ids:
                through_ids = prompt_ids + self._tokenise([turn.through[len(turn.prompt) :]])[0]
            if not turn.closed and self.tokenizer.eos_token_id is not None:
                through_ids = [*through_ids, self.tokenizer.eos_token_id]
            supervised += [False] * (len(prompt_ids) - len(ids)) + [True] * (len(through_ids) - len(prompt_ids))
            ids, consumed, prompt_length = through_ids, turn.through, len(prompt_ids)
        answer = next((m.text for m in reversed(conversation.messages) if m.role == "assistant"), None)
        asked = next((m.content for m in reversed(conversation.messages) if m.role == "user"), "")
        return TokenSequence(ids, supervised, prompt_length, row_id, asked, answer)

    def _fit(self, row_id: int, example: Rendered, sequence: TokenSequence) -> Encoded:
        if isinstance(example, Labelled):
            sequence = replace(sequence, text=example.text, label=example.label)
        length = _length(sequence)
        if length > self.max_length:
            if self.too_long != "truncate":
                return Rejected(f"too long: {length} tokens, data.max_length is {self.max_length}")
            return self._truncate(row_id, example, sequence)
        return [sequence] if sequence.supervised_count else Rejected("no supervised token")

    def _truncate(self, row_id: int, example: Rendered, sequence: TokenSequence) -> Encoded:
        """Cuts the end of the last question until the row fits; the answers stay whole while they can."""
        length = _length(sequence)
        question = sequence.text
        ids = self._tokenise([question])[0]
        keep = len(ids) - (length - self.max_length)
        while keep > 0:
            shorter = self.render_one(row_id, _with_question(example, str(self.tokenizer.decode(ids[:keep]))))
            if isinstance(shorter, list):
                return [replace(shorter[0], text=question, truncated=length - _length(shorter[0]))]
            keep -= 4
        cut = replace(
            sequence,
            ids=sequence.ids[: self.max_length],
            supervised=sequence.supervised[: self.max_length],
            rejected=sequence.rejected[: max(self.max_length - sequence.prompt_length, 0)],
            truncated=length - self.max_length,
        )
        return [cut] if cut.supervised_count else Rejected(f"too long: no supervised token is left of {length}")

    def render_one(self, row_id: int, example: Rendered) -> Encoded:
        """One example that must fit as it is: longer ones are rejected."""
        strict = replace(self, too_long="drop")
        if isinstance(example, Preference):
            return strict.render_preferences([(row_id, example)])[0]
        return strict.render([(row_id, example)])[0]

    def render_documents(self, documents: Sequence[tuple[int, Document]]) -> list[Encoded]:
        """Running text: every token is learned but the first, which nothing predicts; an end token closes it."""
        end = [] if self.tokenizer.eos_token_id is None else [self.tokenizer.eos_token_id]
        encoded: list[Encoded] = []
        for (row_id, document), ids in zip(
            documents, self.tokenizer([d.text for _, d in documents])["input_ids"] if documents else [], strict=True
        ):
            encoded.append(
                cut_document(row_id, document.text, [*ids, *end], self.max_length, self.too_long, self.overlap)
            )
        return encoded

    def prompt_ids(self, example: Rendered) -> list[int]:
        """The prompt before the last answer, as a server would send it."""
        conversation = self.conversation(example)
        upto = len(conversation.messages) - (conversation.messages[-1].role == "assistant")
        return self._tokenise([self.text(conversation, upto=upto, prompt=True)])[0]

    def answer_ids(self, label: str) -> list[int]:
        """Tokens of a label as an answer, its end-of-turn token included."""
        encoded = replace(self, shots=(), max_length=1 << 30).render([(0, Labelled("-", label))])[0]
        if isinstance(encoded, Rejected):
            raise ConfigError(f"the template gives the label '{label}' no token to learn", where="data.template")
        return list(encoded[0].ids[encoded[0].prompt_length :])

    @cached_property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end an answer: the tokenizer's end token and the one that closes a turn in the template."""
        ends = {self.answer_ids(self.labels[0] if self.labels else "x")[-1]}
        return frozenset(ends if self.tokenizer.eos_token_id is None else ends | {self.tokenizer.eos_token_id})


def _length(sequence: TokenSequence) -> int:
    """Tokens of a row; of two answers, the longer one counts."""
    return max(len(sequence.ids), sequence.prompt_length + len(sequence.rejected))


def _same_answers(sequence: TokenSequence) -> bool:
    return list(sequence.ids[sequence.prompt_length :]) == list(sequence.rejected)


def _later_turns(pair: Preference) -> tuple[Message, ...]:
    """The prompt without its oldest question and what follows it; empty when there is no later question."""
    questions = [place for place, message in enumerate(pair.messages) if message.role == "user"]
    return (*pair.messages[: questions[0]], *pair.messages[questions[1] :]) if len(questions) > 1 else ()


def _with_question(example: Rendered, question: str) -> Rendered:
    if isinstance(example, Labelled):
        return replace(example, text=question)
    last = max(index for index, message in enumerate(example.messages) if message.role == "user")
    messages = list(example.messages)
    messages[last] = replace(messages[last], content=question)
    return replace(example, messages=tuple(messages))
