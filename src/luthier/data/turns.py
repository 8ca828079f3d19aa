"""Conversations as text, by a chat template, and what of the text is learned. Many are rendered at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from luthier.data.examples import Conversation, Message
from luthier.data.templates import named_templates
from luthier.errors import ConfigError

_STAND_IN = "an answer"

Asked = tuple[Conversation, int]
"""A conversation, and how many of its messages are meant."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One learned turn: all text before it, and all text up to its end-of-turn token.

    Attributes:
        prompt: the text before it.
        through: the text before it and its own.
        closed: whether the template ends it with a mark.
    """

    prompt: str
    through: str
    closed: bool


@dataclass(frozen=True)
class ChatTemplate:
    """A Jinja chat template with the tokenizer of `transformers` that renders it."""

    tokenizer: Any
    text: str

    @cached_property
    def words(self) -> frozenset[str]:
        """All words of the template: a field of a message that it does not name, it would lose."""
        return frozenset(re.findall(r"\w+", self.text))

    def as_dicts(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """Messages as the template takes them; where it knows no calls of functions, they are JSON in the text."""
        if "tool_calls" in self.words:
            return [message.as_dict() for message in messages]
        return [{"role": message.role, "content": message.text} for message in messages]

    def texts(self, asked: Sequence[Asked], *, prompt: bool) -> list[str]:
        """The first messages of conversations as text; with `prompt`, followed by what opens the assistant's turn.

        Raises:
            ConfigError: there is no template.
        """
        if asked and not self.text:
            raise ConfigError(
                "this model has no chat template of its own",
                where="data.template: chat",
                hint=f"set data.template to one of {', '.join(named_templates())}, or write one inline",
            )
        without = [each for each in asked if not each[0].tools]
        plain = iter(self._rendered(without, None, prompt) if without else [])  # one call for all of them
        return [
            self._rendered([each], list(each[0].tools), prompt)[0] if each[0].tools else next(plain) for each in asked
        ]

    def _rendered(self, asked: Sequence[Asked], tools: list[Any] | None, prompt: bool) -> list[str]:
        messages = [self.as_dicts(chat.messages[:upto]) for chat, upto in asked]
        return list(
            self.tokenizer.apply_chat_template(
                messages, tools=tools, chat_template=self.text, add_generation_prompt=prompt, tokenize=False
            )
        )

    def learned(self, conversations: Sequence[Conversation], *, last: bool = False) -> list[list[Turn]]:
        """The learned turns of each conversation, or only the last one. Earlier ones that the template rewrites later
        (hidden reasoning) are prompt only."""
        answers = [
            [index for index, message in enumerate(conversation.messages) if message.role == "assistant"]
            for conversation in conversations
        ]
        if last:
            answers = [indices[-1:] for indices in answers]
        asked = [(chat, index) for chat, indices in zip(conversations, answers, strict=True) for index in indices]
        prompts = self.texts(asked, prompt=True)
        throughs = self.texts([(chat, index + 1) for chat, index in asked], prompt=False)
        turns = iter(zip(prompts, throughs, self._tails(asked, throughs), strict=True))
        return [_learned([next(turns) for _ in indices]) for indices in answers]

    def _tails(self, asked: Sequence[Asked], throughs: Sequence[str]) -> list[str]:
        """What the template writes behind each answer, such as its end-of-turn token.

        Calls of functions are written in the template's own words: behind them stands what stands behind a text.
        """
        knows_calls = "tool_calls" in self.words
        tails: list[str] = []
        for (chat, index), through in zip(asked, throughs, strict=True):
            said, written = chat.messages[index].text, through
            if knows_calls and chat.messages[index].calls:
                plain = (*chat.messages[:index], Message("assistant", said := _STAND_IN))
                [written] = self.texts([(Conversation(plain, chat.tools), index + 1)], prompt=False)
            tail = written[max(written.rfind(said), 0) + len(said) :]
            tails.append(tail if through.endswith(tail) else "")
        return tails


def _learned(turns: Sequence[tuple[str, str, str]]) -> list[Turn]:
    """Of a conversation's turns, each (text before it, text through it, what ends it), those that can be learned."""
    found: list[Turn] = []
    whole = turns[-1][1] if turns else ""
    for prompt, through, tail in turns:
        if not through.startswith(prompt) or not whole.startswith(through.rstrip()):
            continue
        closed = bool(tail.strip())
        end = len(through.rstrip()) if closed else len(through) - len(tail)
        found.append(Turn(prompt, through[:end], closed))
    return found
