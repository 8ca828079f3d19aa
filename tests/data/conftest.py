"""A model behind an OpenAI-compatible endpoint on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

import pytest

Answer = Callable[[dict[str, Any], int], Any]


class Stub:
    """Answers requests by a function of (body, number of the request, from 0).

    The function returns text, or (status, headers, body).

    Attributes:
        bodies: what was asked, in the order of arrival.
        headers: of every request.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._lock = Lock()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with stub._lock:
                    number = len(stub.bodies)
                    stub.bodies.append(body)
                    stub.headers.append(dict(self.headers))
                status, headers, content = stub.respond(self.path, body, number)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        self._thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def respond(self, path: str, body: dict[str, Any], number: int) -> tuple[int, dict[str, str], bytes]:
        if path != "/v1/chat/completions":
            return 404, {}, b"no such path"
        said = self.answer(body, number)
        if isinstance(said, tuple):
            status, headers, content = said
            return status, headers, content.encode()
        asked = sum(len(message["content"].split()) for message in body["messages"])
        usage = {"prompt_tokens": asked, "completion_tokens": len(said.split())}
        choice = {"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        return 200, {"Content-Type": "application/json"}, json.dumps({"choices": [choice], "usage": usage}).encode()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], Stub]]:
    """`stub(answer)` starts a server that answers by a function; it is stopped when the test ends."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    started: list[Stub] = []

    def start(answer: Answer) -> Stub:
        started.append(Stub(answer))
        return started[-1]

    yield start
    for each in started:
        each.close()
