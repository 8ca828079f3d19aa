"""Conversations as text, by a chat template, and what of the text is learned. Many are rendered at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from luthier.data.examples import Conversation, Message
from luthier.data.skeletons import Skeleton, marks, only_prints_contents
from luthier.data.templates import named_templates
from luthier.errors import ConfigError


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


def texts_of(tokenizer: Any, template: str, asked: Sequence[tuple[Conversation, int]], *, prompt: bool) -> list[str]:
    """The first messages of conversations as text.

    Args:
        tokenizer: a transformers tokenizer.
        template: the Jinja chat template.
        asked: each conversation, and how many of its messages.
        prompt: whether what opens the assistant's turn follows.

    Raises:
        ConfigError: there is no template.
    """
    if asked and not template:
        raise ConfigError(
            "this model has no chat template of its own",
            where="data.template: chat",
            hint=f"set data.template to one of {', '.join(named_templates())}, or write one inline",
        )

    def rendered(chats: Sequence[tuple[Conversation, int]], tools: list[Any] | None) -> list[str]:
        messages = [[{"role": m.role, "content": m.content} for m in chat.messages[:upto]] for chat, upto in chats]
        return list(
            tokenizer.apply_chat_template(
                messages, tools=tools, chat_template=template, add_generation_prompt=prompt, tokenize=False
            )
        )

    without = [each for each in asked if not each[0].tools]
    if only_prints_contents(template):
        plain = iter(_filled(without, rendered))
    else:
        plain = iter(rendered(without, None) if without else [])
    return [rendered([each], list(each[0].tools))[0] if each[0].tools else next(plain) for each in asked]


def _filled(asked: Sequence[tuple[Conversation, int]], rendered: Callable[..., list[str]]) -> Iterator[str]:
    """Renders once for every sequence of roles, and puts the contents in."""
    skeletons: dict[tuple[str, ...], Skeleton] = {}
    for chat, upto in asked:
        messages = chat.messages[:upto]
        roles = tuple(message.role for message in messages)
        if roles not in skeletons:
            marked = map(Message, (message.role for message in messages), marks(upto))
            [text] = rendered([(Conversation(tuple(marked)), upto)], None)
            skeletons[roles] = Skeleton(text, upto)
        yield skeletons[roles].fill([message.content for message in messages])


def learned_turns(
    tokenizer: Any, template: str, conversations: Sequence[Conversation], *, last: bool
) -> list[list[Turn]]:
    """The learned turns of each conversation, or only the last one. Earlier ones that the template rewrites later
    (hidden reasoning) are prompt only."""
    answers = [
        [index for index, message in enumerate(conversation.messages) if message.role == "assistant"]
        for conversation in conversations
    ]
    if last:
        answers = [indices[-1:] for indices in answers]
    asked = [(chat, index) for chat, indices in zip(conversations, answers, strict=True) for index in indices]
    prompts = iter(texts_of(tokenizer, template, asked, prompt=True))
    throughs = iter(texts_of(tokenizer, template, [(chat, index + 1) for chat, index in asked], prompt=False))
    return [
        _learned([(chat.messages[index].content, next(prompts), next(throughs)) for index in indices])
        for chat, indices in zip(conversations, answers, strict=True)
    ]


def _learned(turns: Sequence[tuple[str, str, str]]) -> list[Turn]:
    """Of a conversation's turns, each (answer, text before it, text through it), those that can be learned."""
    found: list[Turn] = []
    whole = turns[-1][2] if turns else ""
    for answer, prompt, through in turns:
        if not through.startswith(prompt) or not whole.startswith(through.rstrip()):
            continue
        tail = through[max(through.rfind(answer), 0) + len(answer) :]
        closed = bool(tail.strip())
        end = len(through.rstrip()) if closed else len(through) - len(tail)
        found.append(Turn(prompt, through[:end], closed))
    return found
