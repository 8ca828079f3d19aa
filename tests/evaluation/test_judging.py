"""A judge that follows a script: which answer wins, what counts as a tie, and going on after an interruption."""

import json

import pytest

from luthier.endpoint import Reply
from luthier.errors import ConfigError, LuthierError
from luthier.evaluation.judging import Pair, judge_pairs, pairs, read_verdict, summary
from luthier.evaluation.results import Answers, assemble, write_predictions
from luthier.runs import Run
from luthier.runs.files import write_json
from luthier.tasks import Prediction

PAIRS = [Pair(n, f"request {n}", f"good {n}", f"bad {n}") for n in range(4)]


class Scripted:
    """Replies by what it is shown."""

    model = "scripted"

    def __init__(self, reply, breaks_after=None):
        self.reply, self.asked, self.breaks_after = reply, [], breaks_after

    def ask(self, messages, *, max_tokens, temperature):
        if len(self.asked) == self.breaks_after:
            raise LuthierError("gone")
        self.asked.append(messages[-1]["content"])
        return Reply(self.reply(self.asked[-1]), 0, 0, False)


def prefers(word):
    """Chooses the answer that has the word, wherever it stands."""
    return lambda shown: "A" if f"Answer A:\n{word}" in shown else "B"


def test_an_answer_wins_when_it_is_chosen_in_both_places(tmp_path):
    judge = Scripted(prefers("good"))
    found = judge_pairs(judge, PAIRS, tmp_path / "log.jsonl")
    assert (found["wins"], found["losses"], found["ties"], found["inconsistent"]) == (4, 0, 0, 0)
    assert found["score"]["value"] == 1.0
    assert found["first_place"] == 0.5
    assert len(judge.asked) == 8
    assert judge_pairs(Scripted(prefers("bad")), PAIRS, tmp_path / "other.jsonl")["losses"] == 4


def test_a_judge_that_always_takes_the_first_place_finds_nothing(tmp_path):
    found = judge_pairs(Scripted(lambda shown: "A"), PAIRS, tmp_path / "log.jsonl")
    assert (found["ties"], found["inconsistent"], found["first_place"]) == (4, 4, 1.0)
    assert found["score"] == {"value": 0.5, "low": 0.5, "high": 0.5}


def test_what_was_judged_is_not_asked_again(tmp_path):
    log = tmp_path / "evaluation" / "log.jsonl"
    broken = Scripted(prefers("good"), breaks_after=3)
    with pytest.raises(LuthierError, match="gone"):
        judge_pairs(broken, PAIRS, log)
    log.write_text(log.read_text() + '{"key": "cut o')
    again = Scripted(prefers("good"))
    assert judge_pairs(again, PAIRS, log)["wins"] == 4
    assert len(again.asked) == 5
    third = Scripted(prefers("good"))
    judge_pairs(third, PAIRS, log)
    assert third.asked == []
    judge_pairs(third, PAIRS, log, question="Which one is shorter?")
    assert len(third.asked) == 8, "another question"


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("A", "first"),
        ("B.", "second"),
        ("tie", "tie"),
        ("Tie", "tie"),
        ("**B**", "second"),
        ("Answer: A", "first"),
        ("A is better", "first"),
        ("I prefer A for its tone", "first"),
        ("A, not B", "first"),
        ("A tie", "tie"),
        ("TIE", "tie"),
        ("They are tied", "tie"),
        ("A and B are a tie", "tie"),
        ("A close call, but B", "second"),
        ("A difficult choice", None),
        ("Neither A nor B", None),
        ("I cannot tell", None),
        ("", None),
    ],
)
def test_verdicts_are_read(reply, verdict):
    assert read_verdict(reply) == verdict


def test_every_outcome_is_counted():
    verdicts = [
        ("first", "second"),
        ("first", "second"),
        ("second", "first"),
        ("tie", "tie"),
        ("first", "first"),
        ("first", "tie"),
        (None, "second"),
    ]
    found = summary(verdicts)
    assert (found["rows"], found["wins"], found["losses"], found["ties"]) == (7, 2, 1, 4)
    assert (found["inconsistent"], found["unreadable"]) == (2, 1)
    assert found["score"]["value"] == pytest.approx((2 + 4 / 2) / 7)
    assert found["score"]["low"] < found["score"]["value"] < found["score"]["high"]
    assert found["first_place"] == pytest.approx(6 / 10)
    json.dumps(found, allow_nan=False)


def evaluated(folder, **answers):
    """A run whose models said these to the requests 0, 1, ..."""
    folder.mkdir()
    run = Run(folder)
    write_json(run.metrics_file, assemble({"test": {"generate": {"tuned": {}}}}, "test", "generate"))
    groups = [
        Answers(model, "test", "generate", [Prediction(n, f"request {n}", None, t, t) for n, t in enumerate(said)])
        for model, said in answers.items()
    ]
    write_predictions(run.predictions_file, groups)
    return run


def test_pairs_of_two_runs_or_of_a_run_and_its_base(tmp_path):
    one = evaluated(tmp_path / "one", tuned=["a", "b", "c"], base=["x", "y", "z"])
    other = evaluated(tmp_path / "other", tuned=["d", "e"])
    assert [(pair.one, pair.other) for pair in pairs(one, other, None)] == [("a", "d"), ("b", "e")]
    assert [(pair.request, pair.one, pair.other) for pair in pairs(one, None, 1)] == [("request 0", "a", "x")]
    with pytest.raises(ConfigError, match=r"the base model of .* has written no answers"):
        pairs(other, None, None)
    (tmp_path / "bare").mkdir()
    with pytest.raises(ConfigError, match="was not evaluated yet"):
        pairs(Run(tmp_path / "bare"), other, None)


def test_other_rows_cannot_be_compared(tmp_path):
    one, other = evaluated(tmp_path / "one", tuned=["a"]), evaluated(tmp_path / "other", tuned=["b"])
    text = other.predictions_file.read_text().replace("request 0", "another request")
    other.predictions_file.write_text(text)
    with pytest.raises(ConfigError, match="not asked about the same rows"):
        pairs(one, other, None)
