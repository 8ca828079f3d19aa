"""A language model behind an OpenAI-compatible HTTP endpoint."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from luthier.errors import LuthierError

KEYS = ("LUTHIER_API_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold the key, the first that is set counts. It is read from nowhere else, and is not
kept.
"""

_BUSY = {408, 409, 429, 500, 502, 503, 504, 529}
"""Answers after which the same request may do better."""

_LONGEST_WAIT = 60.0


@dataclass(frozen=True)
class Endpoint:
    """Where requests go.

    Attributes:
        url: what stands before `/chat/completions`, such as `http://localhost:8000/v1`.
        model: its name there.
        timeout: seconds to wait for an answer.
        retries: how often a request is sent again when the endpoint is busy or away.
        backoff: seconds before it is sent again, twice as long each time.
    """

    url: str
    model: str
    timeout: float = 120.0
    retries: int = 5
    backoff: float = 1.0

    def complete(self, messages: Sequence[Mapping[str, str]], *, max_tokens: int, temperature: float = 0.0) -> str:
        """The endpoint's answer to a conversation.

        Args:
            messages: its turns, each a role and its content.
            max_tokens: longest answer.
            temperature: 0 asks for the likeliest answer.

        Raises:
            LuthierError: it does not answer, refuses, or answers with something else.
        """
        asked = {"model": self.model, "messages": list(messages), "max_tokens": max_tokens, "temperature": temperature}
        answer = self._post(json.dumps(asked).encode())
        try:
            content = json.loads(answer)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError):
            raise LuthierError(
                "the endpoint's answer is not that of a chat model",
                where=self._address,
                expected='{"choices": [{"message": {"content": ...}}]}',
            ) from None
        return str(content or "")

    @property
    def _address(self) -> str:
        return f"{self.url.rstrip('/')}/chat/completions"

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        if key := next((os.environ[name] for name in KEYS if os.environ.get(name)), None):
            headers["Authorization"] = f"Bearer {key}"
        try:
            request = urllib.request.Request(self._address, body, headers)
        except ValueError as error:
            raise LuthierError(f"that is no address: {error}", where=self.url, expected="http://HOST/v1") from None
        for attempt in range(self.retries + 1):
            try:
                with urllib.request.urlopen(request, timeout=self.timeout) as response:
                    answer: bytes = response.read()
                    return answer
            except urllib.error.HTTPError as error:
                if error.code not in _BUSY or attempt == self.retries:
                    raise self._refused(error) from None
                wait = _seconds(error.headers.get("Retry-After"))
            except OSError as error:  # no connection, or none any more, or too late
                if attempt == self.retries:
                    raise LuthierError(
                        f"the endpoint does not answer: {getattr(error, 'reason', error)}", where=self._address
                    ) from None
                wait = None
            time.sleep(wait if wait is not None else min(self.backoff * 2**attempt, _LONGEST_WAIT))
        raise AssertionError("the last attempt returns or raises")

    def _refused(self, error: urllib.error.HTTPError) -> LuthierError:
        said = error.read(2000).decode("utf-8", "replace").strip()
        hint = f"set {' or '.join(KEYS)}" if error.code in (401, 403) else None
        return LuthierError(
            f"the endpoint refuses: {error.code} {error.reason}" + (f": {_message(said)}" if said else ""),
            where=self._address,
            hint=hint,
        )


def _seconds(text: str | None) -> float | None:
    """What a Retry-After header asks for, where that is a number of seconds."""
    try:
        return min(float(text or ""), _LONGEST_WAIT)
    except ValueError:
        return None


def _message(said: str) -> str:
    """The message inside an error's body, as most endpoints write it, or the body itself."""
    try:
        found: Any = json.loads(said)["error"]
        return str(found["message"] if isinstance(found, dict) else found)[:300]
    except (ValueError, LookupError, TypeError):
        return said[:300]
