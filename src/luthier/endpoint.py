"""Asks a model behind an OpenAI-compatible endpoint (`/chat/completions`), and asks again when it fails."""

from __future__ import annotations

import http.client
import json
import os
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from luthier.errors import ConfigError, LuthierError

_TEMPORARY = {408, 409, 425, 429, 500, 502, 503, 504, 529}
_LONGEST_PAUSE = 60.0
_SHOWN = 300

Messages = Sequence[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model wrote.

    Attributes:
        text: its message.
        prompt_tokens: tokens it read, as the endpoint counts them, else as `tokens_in` does.
        completion_tokens: tokens it wrote.
        cut: whether it was cut off at the longest length allowed.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    cut: bool


class TryFailed(Exception):
    """One try that did not work; another may. `pause` is what the endpoint asks for, in seconds."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would take the key to another host."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True)
class Endpoint:
    """A model behind an address.

    Attributes:
        url: the address up to and with `/v1`.
        model: the model's name there.
        key_variable: the environment variable that holds the key; without it no key is sent.
        timeout: seconds to wait for an answer.
        tries: how often a request is tried.
        pause: seconds before the second try, twice as many before each further one.
    """

    url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    timeout: float = 120.0
    tries: int = 5
    pause: float = 1.0

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ConfigError(
                f"'{self.url}' is no address of an endpoint", expected="an address such as http://127.0.0.1:8000/v1"
            )

    def ask(self, messages: Messages, *, before: Callable[[], None] = lambda: None, **settings: Any) -> Reply:
        """An answer to a conversation.

        Args:
            messages: role and content of each.
            before: called before every try; may raise to stop.
            settings: such as temperature and max_tokens.

        Raises:
            ConfigError: the endpoint refuses the request.
            LuthierError: it did not answer in any try.
        """
        for number in range(self.tries):
            before()
            try:
                return self.try_once(messages, **settings)
            except TryFailed as failed:
                if number + 1 == self.tries:
                    raise self.given_up(str(failed)) from failed
                time.sleep(self.pause_after(number, failed))
        raise self.given_up("no try was allowed")

    def pause_after(self, number: int, failed: TryFailed) -> float:
        """Seconds to wait after a try, counted from 0: what the endpoint asks for, else longer each time, with chance
        so that requests which failed together do not come again together."""
        if failed.pause is not None:
            return min(failed.pause, _LONGEST_PAUSE)
        return min(self.pause * 2.0**number, _LONGEST_PAUSE) * random.uniform(0.5, 1.0)

    def try_once(self, messages: Messages, **settings: Any) -> Reply:
        """One request.

        Raises:
            TryFailed: it may work another time.
            ConfigError: it will not.
        """
        body = {"model": self.model, "messages": list(messages), **settings}
        request = urllib.request.Request(
            self.url.rstrip("/") + "/chat/completions", json.dumps(body).encode(), self._headers(), method="POST"
        )
        try:
            with urllib.request.build_opener(_NoRedirects).open(request, timeout=self.timeout) as response:
                return _read(json.load(response), messages)
        except urllib.error.HTTPError as error:
            raise self._refused(error) from error
        except (OSError, http.client.HTTPException, ValueError, KeyError, IndexError, TypeError) as error:
            raise TryFailed(f"{type(error).__name__}: {error}") from error

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "luthier"}
        if key := os.environ.get(self.key_variable):
            headers["Authorization"] = f"Bearer {key}"
        return headers

    def _refused(self, error: urllib.error.HTTPError) -> Exception:
        said = error.read(4096).decode("utf-8", "replace").strip()[:_SHOWN]
        reason = f"the endpoint answered {error.code} {error.reason}" + (f": {said}" if said else "")
        if error.code in _TEMPORARY:
            asked = error.headers.get("Retry-After", "")
            return TryFailed(reason, float(asked) if asked.isdigit() else None)
        hint = (
            f"the key is read from the environment variable {self.key_variable}" if error.code in (401, 403) else None
        )
        return ConfigError(reason, where=self.url, hint=hint)

    def given_up(self, reason: str) -> LuthierError:
        """The error to raise after the last try."""
        return LuthierError(
            f"the endpoint did not answer in {self.tries} tries; the last time: {reason}",
            where=self.url,
            hint="what was answered so far is kept: the same command goes on from there",
        )


def _read(answer: Any, messages: Messages) -> Reply:
    choice = answer["choices"][0]
    text = choice["message"].get("content") or ""
    if not isinstance(text, str):
        raise TypeError("the message is no text")
    text = text.encode("utf-8", "replace").decode()  # an escape can be half a character, which no file takes
    usage = answer.get("usage") or {}
    read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
    return Reply(
        text,
        tokens_in(*(message["content"] for message in messages)) if read is None else int(read),
        tokens_in(text) if written is None else int(written),
        choice.get("finish_reason") == "length",
    )


def tokens_in(*texts: str) -> int:
    """About how many tokens texts have, rather too many: a third of their bytes, so a Chinese character is one."""
    return sum(-(-len(text.encode("utf-8", "replace")) // 3) for text in texts)
