"""Asking a model behind an address: tries, pauses, refusals, the key."""

import pytest

from luthier.endpoint import Endpoint, TryFailed, tokens_in
from luthier.errors import ConfigError, LuthierError

HELLO = [{"role": "user", "content": "Say hello to them all"}]


def endpoint(server, **options):
    return Endpoint(server.url, "a-model", pause=0.001, **options)


def test_an_answer_with_its_tokens(stub):
    server = stub(lambda body, number: "hello you")
    reply = endpoint(server).ask(HELLO, temperature=0.5, max_tokens=9)
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens, reply.cut) == ("hello you", 5, 2, False)
    assert server.bodies == [{"model": "a-model", "messages": HELLO, "temperature": 0.5, "max_tokens": 9}]


def test_half_a_character_is_replaced(stub):
    server = stub(lambda body, number: "hello \ud83d")
    assert endpoint(server).ask(HELLO).text == "hello ?"


def test_the_key_comes_from_the_environment(stub, monkeypatch):
    server = stub(lambda body, number: "hello")
    endpoint(server).ask(HELLO)
    monkeypatch.setenv("OTHER_KEY", "s3cret")
    endpoint(server, key_variable="OTHER_KEY").ask(HELLO)
    assert [headers.get("Authorization") for headers in server.headers] == [None, "Bearer s3cret"]


@pytest.mark.parametrize("failure", [(500, {}, "oops"), (429, {"Retry-After": "0"}, "slow down"), (200, {}, "{}")])
def test_what_fails_is_tried_again(stub, failure):
    server = stub(lambda body, number: failure if number < 2 else "hello")
    tries = []
    reply = endpoint(server, tries=3).ask(HELLO, before=lambda: tries.append(1))
    assert reply.text == "hello"
    assert len(server.bodies) == len(tries) == 3


def test_after_the_last_try_the_last_reason_is_said(stub):
    server = stub(lambda body, number: (503, {}, "overloaded"))
    with pytest.raises(LuthierError, match=r"did not answer in 2 tries; the last time: .* 503 .*: overloaded"):
        endpoint(server, tries=2).ask(HELLO)
    assert len(server.bodies) == 2


def test_an_address_where_nobody_listens(stub):
    server = stub(lambda body, number: "hello")
    server.close()
    with pytest.raises(TryFailed):
        endpoint(server, timeout=2).try_once(HELLO)


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_is_final(stub, status):
    server = stub(lambda body, number: (status, {}, "no such model"))
    with pytest.raises(ConfigError, match=f"answered {status} .*: no such model") as refused:
        endpoint(server).ask(HELLO)
    assert len(server.bodies) == 1
    assert (refused.value.hint is not None) == (status == 401)


def test_a_redirect_is_not_followed_with_the_key(stub, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret")
    other = stub(lambda body, number: "hello")
    server = stub(lambda body, number: (302, {"Location": other.url + "/chat/completions"}, ""))
    with pytest.raises(ConfigError, match="answered 302"):
        endpoint(server).ask(HELLO)
    assert other.bodies == []


def test_pauses_grow_and_have_an_end():
    asked = Endpoint("http://127.0.0.1:1/v1", "m", pause=2.0)
    failed = TryFailed("x")
    for number, longest in enumerate((2, 4, 8, 16, 32, 60, 60)):
        assert longest / 2 <= asked.pause_after(number, failed) <= longest
    assert asked.pause_after(0, TryFailed("x", 7.0)) == 7.0
    assert asked.pause_after(0, TryFailed("x", 1e6)) == 60.0


def test_addresses_are_checked():
    with pytest.raises(ConfigError, match="no address of an endpoint"):
        Endpoint("file:///etc/passwd", "m")


def test_tokens_are_counted_rather_too_high():
    assert tokens_in("one two three four") == 6
    assert tokens_in("净利润", "x") == 4
