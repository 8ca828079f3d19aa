"""Conversations as text, by a chat template, and what of the text is learned. Many are rendered at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from luthier.data.examples import Conversation, Message
from luthier.data.skeletons import Skeleton, marks, only_prints_contents
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
        chats = [(chat.messages[:upto], chat.tools) for chat, upto in asked]
        plain = [not tools and self._is_plain(messages) for messages, tools in chats]
        alike = iter(self._plain([messages for (messages, _), same in zip(chats, plain, strict=True) if same], prompt))
        return [
            next(alike) if same else self._rendered([messages], prompt, list(tools) or None)[0]
            for (messages, tools), same in zip(chats, plain, strict=True)
        ]

    def _is_plain(self, messages: Sequence[Message]) -> bool:
        """Whether messages are nothing but roles and contents to the template."""
        return "tool_calls" not in self.words or not any(message.calls or message.call_id for message in messages)

    def _plain(self, chats: Sequence[Sequence[Message]], prompt: bool) -> Iterator[str]:
        """Chats of nothing but roles and contents: in one call, or once for every sequence of roles."""
        if not only_prints_contents(self.text):
            yield from self._rendered(chats, prompt) if chats else []
            return
        skeletons: dict[tuple[str, ...], Skeleton] = {}
        for messages in chats:
            roles = tuple([message.role for message in messages])
            if roles not in skeletons:
                marked = [Message(role, mark) for role, mark in zip(roles, marks(len(roles)), strict=True)]
                skeletons[roles] = Skeleton(self._rendered([marked], prompt)[0], len(roles))
            yield skeletons[roles].fill([message.text for message in messages])

    def _rendered(self, chats: Sequence[Sequence[Message]], prompt: bool, tools: list[Any] | None = None) -> list[str]:
        return list(
            self.tokenizer.apply_chat_template(
                [self.as_dicts(messages) for messages in chats],
                tools=tools,
                chat_template=self.text,
                add_generation_prompt=prompt,
                tokenize=False,
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
