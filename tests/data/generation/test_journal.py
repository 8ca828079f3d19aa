"""The journal: budgets, and what a kill leaves."""

import json

import pytest

from luthier.data.generation.journal import Budget, BudgetSpent, Journal
from luthier.endpoint import Reply
from luthier.errors import ConfigError

ABOUT = {"model": "m", "seeds": "ab"}


class Book:
    """Opens the same journal again and again, and keeps what it was told."""

    def __init__(self, path):
        self.path = path

    def open(self, about=ABOUT, **budget):
        self.told = []
        return Journal(self.path, about, Budget(**budget), lambda number, reply: self.told.append((number, reply)))


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path / "journal")


def reply(text, read=10, written=5):
    return Reply(text, read, written, False)


def test_what_was_asked_and_answered_is_there_again(book):
    journal = book.open()
    first, second, third = (journal.ask(20, 30) for _ in range(3))
    journal.answer(second, reply("two\nlines – 净"))
    journal.fail(first, "overloaded")
    journal.close()
    again = book.open()
    assert book.told == [(second, reply("two\nlines – 净"))]
    assert (again.spent.requests, again.spent.prompt_tokens, again.spent.completion_tokens) == (3, 10, 5)
    assert again.spent.open == {third: (20, 30)}
    assert again.lost == 1
    assert again.ask(1, 1) == 3, "numbers go on"


@pytest.mark.parametrize("cut", range(1, 40, 7))
def test_a_line_broken_off_by_a_kill_is_as_if_it_was_never_written(book, cut):
    journal = book.open()
    journal.answer(journal.ask(20, 30), reply("whole"))
    whole = book.path.stat().st_size
    journal.answer(journal.ask(20, 30), reply("broken off"))
    journal.close()
    lines = book.path.read_bytes()
    asked = lines.index(b"\n", whole) + 1
    book.path.write_bytes(lines[: asked + cut])
    again = book.open()
    assert [each.text for _, each in book.told] == ["whole"]
    assert (again.spent.requests, again.lost) == (2, 1)
    again.close()
    assert book.path.read_bytes() == lines[:asked]


def test_requests_are_counted_when_they_are_sent(book):
    journal = book.open(requests=2)
    journal.fail(journal.ask(1, 1), "overloaded")
    journal.ask(1, 1)
    with pytest.raises(BudgetSpent, match="the budget of 2 requests"):
        journal.ask(1, 1)
    assert sum(b'"asked"' in line for line in book.path.read_bytes().splitlines()) == 2


def test_tokens_are_set_aside_until_the_answer_is_there(book):
    journal = book.open(tokens=100)
    number = journal.ask(20, 30)
    with pytest.raises(BudgetSpent, match="the budget of 100 tokens"):
        journal.ask(21, 30)
    journal.answer(number, reply("short", 20, 5))
    journal.ask(45, 30)
    with pytest.raises(BudgetSpent):
        journal.ask(1, 0)


def test_money(book):
    journal = book.open(money=0.0001, prompt_price=1.0, completion_price=4.0)
    journal.ask(20, 20)
    with pytest.raises(BudgetSpent, match=r"the budget of 0\.0001"):
        journal.ask(1, 0)


def test_another_generation_is_refused(book):
    book.open().close()
    with pytest.raises(ConfigError, match="its model is 'm', now it is 'n'"):
        book.open(ABOUT | {"model": "n"})
    book.path.write_text(json.dumps({"text": "a row of the user's"}) + "\n")
    with pytest.raises(ConfigError, match="is no journal"):
        book.open()
