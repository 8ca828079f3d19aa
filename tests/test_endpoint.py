"""The HTTP client against a server on this machine."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from luthier.endpoint import KEYS, Endpoint
from luthier.errors import LuthierError


@pytest.fixture
def server(monkeypatch):
    """Answers with what is in `replies`, (status, body, headers) one after the other; `seen` has the requests."""
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "*")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.server.seen.append((self.path, dict(self.headers), body))
            status, answer, headers = self.server.replies.pop(0)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *arguments):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.seen, running.replies = [], []
    running.url = f"http://127.0.0.1:{running.server_port}/v1"
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def said(text):
    return 200, json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}), {}


def ask(server, **options):
    endpoint = Endpoint(server.url, "small", backoff=0.0, **options)
    return endpoint.complete([{"role": "user", "content": "你好"}], max_tokens=8)


def test_a_conversation_is_sent_and_its_answer_read(server):
    server.replies = [said("Hello!")]
    assert ask(server) == "Hello!"
    ((path, headers, body),) = server.seen
    assert path == "/v1/chat/completions"
    assert "Authorization" not in headers
    assert body == {
        "model": "small", "messages": [{"role": "user", "content": "你好"}], "max_tokens": 8, "temperature": 0.0,
    }  # fmt: skip


def test_the_key_comes_from_the_environment_and_is_not_kept(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "other")
    monkeypatch.setenv("LUTHIER_API_KEY", "secret")
    server.replies = [said("x")]
    ask(server)
    assert server.seen[0][1]["Authorization"] == "Bearer secret"
    assert "secret" not in repr(Endpoint(server.url, "small"))


def test_a_busy_endpoint_is_asked_again(server):
    server.replies = [(429, "", {"Retry-After": "0"}), (503, "later", {}), said("at last")]
    assert ask(server) == "at last"
    assert len(server.seen) == 3


def test_it_gives_up_and_says_what_the_endpoint_said(server):
    server.replies = [(500, json.dumps({"error": {"message": "out of memory"}}), {})] * 3
    with pytest.raises(LuthierError, match=r"refuses: 500 .*out of memory"):
        ask(server, retries=2)
    assert len(server.seen) == 3


def test_a_refusal_is_not_repeated(server):
    server.replies = [(401, '{"error": "no key"}', {})]
    with pytest.raises(LuthierError, match="no key") as raised:
        ask(server)
    assert "LUTHIER_API_KEY" in raised.value.hint
    assert len(server.seen) == 1


@pytest.mark.parametrize("body", ["<html>", "{}", '{"choices": []}', '{"choices": [{"message": null}]}'])
def test_something_else_than_a_chat_model(server, body):
    server.replies = [(200, body, {})]
    with pytest.raises(LuthierError, match="not that of a chat model"):
        ask(server)


def test_nobody_there(server):
    url = server.url
    server.shutdown()
    server.server_close()
    with pytest.raises(LuthierError, match="does not answer"):
        Endpoint(url, "small", retries=1, backoff=0.0).complete([], max_tokens=1)


def test_no_address():
    with pytest.raises(LuthierError, match="that is no address"):
        Endpoint("localhost", "small").complete([], max_tokens=1)
