"""The judge of a training and the examiner after it, with a task that answers by script."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from luthier.config import parse_config
from luthier.data.records import TokenSequence
from luthier.data.rendering import Renderer
from luthier.errors import ConfigError
from luthier.evaluation.evaluate import Examiner, Judge, told
from luthier.tasks import Prediction

LABELS = ("up", "down", "flat")


class Scripted:
    """Answers with what the `network`, a function of a row, says."""

    base_answers = shots = True

    def __init__(self):
        self.asked = []

    def baselines(self, labels):
        return ("majority", "tfidf") if labels else ()

    def modes(self, labels, *, answers):
        return ("labels", "generate")

    def encode(self, examples, renderer):
        return [[TokenSequence([1], [True], 1, row_id, e.text, e.label)] for row_id, e in examples]

    def predict(self, network, renderer, rows, *, mode, max_new_tokens, progress=None):
        self.asked.append((mode, max_new_tokens, len(renderer.shots)))
        if progress:
            for _ in rows:
                progress(1)
        return [
            Prediction(row.row_id, row.text, row.label, network(row), network(row), loss=1.0, tokens=1) for row in rows
        ]


def rows(count=30, labels=LABELS):
    signs = {"up": "rose", "down": "fell", "flat": "met"}
    return [
        TokenSequence([1, 2], [False, True], 1, n, f"{signs[labels[n % len(labels)]]} {n}", labels[n % len(labels)])
        for n in range(count)
    ]


def config(**evaluation):
    lines = "".join(f"  {key}: {value}\n" for key, value in ({"few_shot": 4} | evaluation).items())
    return parse_config(f"model: {{base: x}}\ndata: {{train: y}}\nevaluation:\n{lines}")


def renderer(labels=LABELS):
    return Renderer(SimpleNamespace(chat_template=""), "", labels=labels)


def right(row):
    return row.label


def always_up(row):
    return "up"


def judge(validation, **evaluation):
    return Judge.for_training(config(**evaluation), Scripted(), renderer(), validation)


def test_a_judge_takes_the_same_sample_every_time():
    one, two = judge(rows(), limit=7), judge(rows(), limit=7)
    assert len(one.rows) == 7
    assert [row.row_id for row in one.rows] == [row.row_id for row in two.rows]
    assert len(judge(rows(), limit="null").rows) == 30


def test_the_shown_rows_take_labels_by_turns():
    shown = judge(rows(), samples=5).shown
    assert [row.label for row in shown[:3]] == ["up", "down", "flat"]
    assert len(shown) == 5
    assert judge(rows(), samples=0).samples(right) == []


def test_a_judge_scores_in_the_primary_way():
    made = judge(rows())
    assert made.score(right)["accuracy"] == 1.0
    assert made.score(always_up)["accuracy"] == pytest.approx(1 / 3)
    assert {mode for mode, *_ in made.task.asked} == {"labels"}


def test_samples_are_in_the_models_own_words():
    made = judge(rows(), samples=3)
    samples = told(made.samples(always_up))
    assert samples[1] == {"prompt": "fell 1", "expected": "down", "answer": "up", "valid": True}
    assert {mode for mode, *_ in made.task.asked} == {"generate"}


class Writing(Scripted):
    """Measures, and writes what the network says."""

    def modes(self, labels, *, answers):
        return ("likelihood", "generate")


def free_judge(**evaluation):
    return Judge.for_training(config(**evaluation), Writing(), renderer(()), rows())


def test_written_answers_are_scored_and_labels_are_not():
    made = free_judge(samples=4, metrics="[rouge_1, answer_length]", sections="{all: '^'}")
    scores = made.written_scores(made.samples(right))
    assert scores["rouge_1"] == 1.0
    assert scores["answer_length"] == 1.0
    assert scores["all/rouge_1"] == 1.0
    assert made.written_scores([]) == {}
    labelled = judge(rows(), samples=3)
    assert labelled.written_scores(labelled.samples(right)) == {}


def test_parts_are_scored_in_the_same_rows_as_everything_else():
    made = free_judge(samples=2, modes="[generate]", metrics="[rouge_1]", sections="{all: '^'}")

    def half(row):
        return row.label if row.row_id < 15 else "?"

    scores, shown = made.score(half), made.written_scores(made.samples(half))
    assert scores["rouge_1"] == scores["all/rouge_1"] == 0.5
    assert shown["rouge_1"] == shown["all/rouge_1"] == 1.0


def test_a_written_score_can_decide_unless_it_has_no_direction():
    made, names = free_judge(), ["answer_length", "loss", "rouge_1", "analysis/rouge_l"]
    assert made.deciding("auto", names, "here") == "loss"
    assert made.deciding("analysis/rouge_l", names, "here") == "analysis/rouge_l"
    assert made.better("analysis/rouge_l", 0.4, 0.3)
    with pytest.raises(ConfigError, match="neither a higher nor a lower 'answer_length' is better"):
        made.deciding("answer_length", names, "here")


def test_the_names_of_scores_are_known_before_they_are_there():
    for made in (judge(rows(), samples=2), free_judge(samples=4, metrics="[rouge_1]", sections="{all: '^'}")):
        names = made.score_names(always_up)
        assert made.task.asked[0][1] == 1, "for one token"
        assert names == list(made.score(right) | made.written_scores(made.samples(right)))


def test_a_row_without_an_answer_counts_for_the_names():
    answered = TokenSequence([1, 2], [False, True], 1, 0, "rose", "up")
    made = Judge.for_training(config(samples=0), Writing(), renderer(()), [answered] * 3)
    assert "exact_match" in made.score_names(always_up)
    made = Judge.for_training(config(samples=0), Writing(), renderer(()), [answered, replace(answered, label=None)])
    assert "exact_match" not in made.score_names(always_up)


def test_the_deciding_metric_is_one_that_validation_gives():
    names = ["accuracy", "loss"]
    assert judge(rows()).deciding("auto", names, "here") == "accuracy"
    assert judge(rows()).deciding("loss", names, "here") == "loss"
    with pytest.raises(ConfigError, match="'bleu' cannot be computed") as refused:
        judge(rows()).deciding("bleu", names, "here")
    assert (refused.value.where, refused.value.expected) == ("here", "auto, or one of accuracy, loss")
    assert judge(rows()).better("accuracy", 0.6, 0.5)
    assert judge(rows()).better("loss", 0.5, 0.6)
    assert not judge(rows()).better("loss", 0.5, 0.5)


def examiner(test=None, **evaluation):
    return Examiner(config(**evaluation), Scripted(), renderer(), "test", test or rows(12), rows(30))


def test_every_model_is_asked_in_every_way_about_the_same_rows():
    made = examiner(generate="{max_new_tokens: 3}")
    told = []
    answers = made.answers("base", always_up, lambda *state: told.append(state))
    assert [(a.model, a.split, a.mode, len(a.predictions)) for a in answers] == [
        ("base", "test", "labels", 12),
        ("base", "test", "generate", 12),
    ]
    assert {length for _, length, _ in made.task.asked} == {3}
    assert told[-1] == ("base (generate)", 12, 12)


def test_few_shot_prompts_show_training_rows_of_every_label():
    made = examiner()
    shown = made.few_shot_renderer()
    assert len(shown.shots) == 4
    assert {shot.label for shot in shown.shots} == set(LABELS)
    assert {shot.text for shot in shown.shots} <= {row.text for row in made.train}
    [labels, _] = made.answers("few_shot", right, renderer=shown)
    assert [p.row_id for p in labels.predictions] == [row.row_id for row in made.rows]
    assert made.task.asked[0][2] == 4


def test_no_few_shot_where_it_makes_no_sense():
    assert examiner(few_shot=0).few_shot_renderer() is None
    made = examiner()
    made.task.shots = False
    assert made.few_shot_renderer() is None


def test_baselines_learn_from_training_rows_only():
    made = examiner()
    majority, tfidf = made.baselines()
    assert (majority.model, tfidf.model) == ("majority", "tfidf")
    assert len({p.parsed for p in majority.predictions}) == 1
    assert all(p.parsed == p.expected for p in tfidf.predictions), "one word gives the label away"
    assert examiner(baselines="false").baselines() == []


def test_the_comparison_has_everybody_side_by_side():
    made = examiner()
    answers = [*made.answers("base", always_up), *made.answers("few_shot", always_up), *made.answers("tuned", right)]
    found = made.compare([*answers, *made.baselines()])
    assert found["primary"] == {"split": "test", "mode": "labels", "metric": "accuracy"}
    for mode in ("labels", "generate"):
        comparison = found["results"]["test"][mode]
        assert comparison["base"]["accuracy"]["value"] == pytest.approx(1 / 3)
        assert comparison["tuned"]["accuracy"]["value"] == 1.0
        assert set(comparison["baselines"]) == {"few_shot", "majority", "tfidf"}


def test_parts_of_written_answers_are_compared_too():
    made = Examiner(config(sections="{all: '^', none: '^Never:'}"), Writing(), renderer(()), "test", rows(6), rows(6))
    found = made.compare([*made.answers("base", always_up), *made.answers("tuned", right)])
    parts = found["results"]["test"]["generate"]["sections"]
    assert set(parts) == {"all"}
    assert parts["all"]["tuned"]["rouge_1"]["value"] == 1.0
    assert parts["all"]["missing"] == {"tuned": 0.0, "base": 0.0}


def test_only_a_model_that_writes_has_a_speed():
    assert examiner(modes="[labels]").speed(right) is None
    assert examiner().speed(right)["rows"] == 3


def forecasts(count=12):
    ways = ("up by 1-2%", "down by 0-1%", "up by more than 5%")
    return [
        TokenSequence([1, 2], [False, True], 1, n, f"news {n % 3}", f"Prediction: {ways[n % 3]}") for n in range(count)
    ]


def test_a_sample_without_a_forecast_is_told_as_invalid():
    made = Judge.for_training(config(samples=2), Writing(), renderer(()), forecasts())

    def said(row):
        return row.label if row.row_id == 0 else "Who knows?"

    assert [row["valid"] for row in told(made.samples(said))] == [True, False]


def test_metrics_bring_baselines_where_the_task_has_none():
    def asked(**evaluation):
        return Examiner(config(**evaluation), Writing(), renderer(()), "test", forecasts(), forecasts())

    made = asked(metrics="[direction_accuracy, move_mse]", modes="[generate]")
    found = made.compare([*made.answers("tuned", right), *made.baselines()])["results"]["test"]["generate"]
    assert set(found["baselines"]) == {"always_up", "last_move", "tfidf_moves"}
    assert found["baselines"]["always_up"]["direction_accuracy"]["value"] == pytest.approx(2 / 3)
    assert found["margins"]["always_up"]["direction_accuracy"]["value"] == pytest.approx(1 / 3)
    assert asked(metrics="[rouge_l]").baselines() == []
    assert asked(metrics="[direction_accuracy]", baselines="false").baselines() == []
