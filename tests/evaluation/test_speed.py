"""How quickly a model writes, with a task and a clock that follow a script."""

import pytest

from luthier.evaluation import speed
from luthier.evaluation.speed import describe_speed, measure_speed
from luthier.tasks import Prediction


class Writer:
    """Takes 0.5 s for the first token of an answer and 0.1 s for each other one."""

    def __init__(self, tokens):
        self.tokens, self.now, self.asked = tokens, 0.0, []

    def predict(self, network, renderer, rows, *, mode, max_new_tokens):
        self.asked.append((mode, len(rows)))
        written = min(self.tokens, max_new_tokens)
        self.now += 0.5 + 0.1 * max(written - 1, 0)
        return [Prediction(0, "", None, "x", "x", written=written) for _ in rows]


@pytest.fixture
def measure(monkeypatch):
    def run(tokens, length):
        writer = Writer(tokens)
        monkeypatch.setattr(speed.time, "perf_counter", lambda: writer.now)
        return writer, measure_speed(writer, None, None, list(range(20)), length)

    return run


def test_the_first_token_and_those_behind_it(measure):
    writer, found = measure(tokens=11, length=64)
    assert found == {"rows": 3, "first_token_ms": 500.0, "tokens_per_second": 10.0}
    assert set(writer.asked) == {("generate", 1)}


def test_answers_of_one_token_have_no_rate(measure):
    _, found = measure(tokens=1, length=8)
    assert found["tokens_per_second"] is None


def test_in_words():
    record = {
        "speed": {"rows": 3, "first_token_ms": 84.6, "tokens_per_second": 21.4},
        "asking": {"tuned": {"generate": {"rows": 100, "seconds": 4.0, "tokens": 800}}},
    }
    said = "first token after 85 ms; then 21 tokens/s, one answer at a time; 200 tokens/s, 100 rows in batches"
    assert describe_speed(record) == said
    assert describe_speed({"speed": {"rows": 1, "first_token_ms": 9.0, "tokens_per_second": None}}) == (
        "first token after 9 ms"
    )
    assert describe_speed({"speed": None}) is None
    assert describe_speed({}) is None
