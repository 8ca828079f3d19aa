from __future__ import annotations

from luthier.evaluation.results import Answers, assemble, write_predictions
from luthier.reporting.answers import answers_over_time, sample_groups
from luthier.tasks import Prediction


def row(number: int, expected: str | None, parsed: str | None, raw: str | None = None) -> Prediction:
    return Prediction(number, f"text {number}", expected, raw if raw is not None else parsed or "?", parsed)


LABELLED = assemble({"test": {"labels": {"tuned": {}, "classes": ["a", "b"]}}}, "test", "labels")


def test_rows_are_grouped_by_what_tuning_changed(tmp_path):
    path = tmp_path / "predictions.jsonl"
    base = [row(0, "a", "b"), row(1, "a", "a"), row(2, "a", None), row(3, "b", "b"), row(4, "b", "a")]
    tuned = [row(0, "a", "a"), row(1, "a", "b"), row(2, "a", "b"), row(3, "b", "b"), row(4, "b", "b")]
    write_predictions(path, [Answers("base", "test", "labels", base), Answers("tuned", "test", "labels", tuned)])
    groups = {group.title: group for group in sample_groups(path, LABELLED, each=1)}
    assert {title: group.count for title, group in groups.items()} == {
        "Put right by tuning": 2,
        "Made wrong by tuning": 1,
        "Still wrong": 1,
        "Right before and after": 1,
    }
    assert len(groups["Put right by tuning"].samples) == 1
    (sample,) = groups["Still wrong"].samples
    assert [(said.text, said.mark) for said in sample.answers] == [("?", "invalid"), ("b", "wrong")]


def test_without_a_base_rows_are_right_or_wrong(tmp_path):
    path = tmp_path / "predictions.jsonl"
    write_predictions(path, [Answers("tuned", "test", "labels", [row(0, "a", "a"), row(1, "a", "b")])])
    groups = sample_groups(path, LABELLED)
    assert [(group.title, list(group.headings)) for group in groups] == [("Wrong", ["tuned"]), ("Right", ["tuned"])]


def test_answers_that_were_only_measured_give_way_to_written_ones(tmp_path):
    path = tmp_path / "predictions.jsonl"
    results = assemble({"test": {"likelihood": {"tuned": {}}, "generate": {"tuned": {}}}}, "test", "likelihood")
    measured, written = [row(0, "Yes, it rose.", None, "")], [row(0, "Yes, it rose.", "yes, it rose", "yes, it rose")]
    write_predictions(path, [Answers("tuned", "test", "likelihood", measured)])
    assert sample_groups(path, results) == []
    others = [Answers("tuned", "test", "generate", [*written, row(1, "No.", "Perhaps.")])]
    write_predictions(path, [Answers("tuned", "test", "likelihood", measured), *others])
    (group,) = sample_groups(path, results)
    assert group.title == "Answers"
    assert [sample.answers[0].mark for sample in group.samples] == ["right", "plain"]


def test_an_answer_without_a_forecast_is_marked_as_invalid(tmp_path):
    path = tmp_path / "predictions.jsonl"
    results = assemble({"test": {"generate": {"tuned": {}}}}, "test", "generate")
    right = "Prediction: Up by 1-2%"
    rows = [row(0, right, right), row(1, right, "Prediction: Down by 1-2%"), row(2, right, "Who knows?")]
    write_predictions(path, [Answers("tuned", "test", "generate", rows)])
    (group,) = sample_groups(path, results)
    assert [sample.answers[0].mark for sample in group.samples] == ["right", "plain", "invalid"]


def test_long_texts_are_cut(tmp_path):
    path = tmp_path / "predictions.jsonl"
    write_predictions(path, [Answers("tuned", "test", "labels", [row(0, "a", "a", "x" * 10_000)])])
    ((sample,),) = [group.samples for group in sample_groups(path, LABELLED)]
    assert len(sample.answers[0].text) < 500


def test_answers_over_time_keep_the_first_and_the_last_step():
    events = [
        {
            "kind": "samples",
            "step": step,
            "rows": [{"prompt": "p", "expected": "Up", "answer": "up" if step > 40 else "hm", "valid": step > 40}],
        }
        for step in range(0, 101, 10)
    ]
    group = answers_over_time(events)
    assert group.headings[0] == "step 0"
    assert group.headings[-1] == "step 100"
    assert len(group.headings) == 6
    ((sample,),) = [group.samples]
    assert [said.mark for said in sample.answers] == ["invalid"] * 3 + ["right"] * 3
    assert answers_over_time([]) is None


def test_scores_of_the_sampled_answers_stand_under_the_same_steps():
    row = {"prompt": "p", "expected": "Up", "answer": "up", "valid": True}
    events = [{"kind": "samples", "step": step, "rows": [row]} for step in (0, 10, 20)]
    scores = {0: {"rouge_l": 0.1}, 20: {"rouge_l": 0.6, "analysis/chrf": 40.0}}
    events += [
        {"kind": "evaluation", "split": "samples", "step": step, "metrics": found} for step, found in scores.items()
    ]
    events.append({"kind": "evaluation", "split": "validation", "step": 10, "metrics": {"loss": 1.0}})
    assert answers_over_time(events).scores == [
        ("ROUGE-L", [0.1, None, 0.6]),
        ("analysis: chrF", [None, None, 40.0]),
    ]


def test_a_row_that_was_not_asked_at_a_step_has_no_answer_there():
    ask = {"expected": None, "answer": "text", "valid": True}
    events = [
        {"kind": "samples", "step": 0, "rows": [{"prompt": "one", **ask}]},
        {"kind": "samples", "step": 5, "rows": [{"prompt": "one", **ask}, {"prompt": "two", **ask}]},
    ]
    first, second = answers_over_time(events).samples
    assert [said.mark for said in first.answers] == ["plain", "plain"]
    assert second.answers[0] is None


def test_tags_are_shown_beside_their_words_and_compared_exactly(tmp_path):
    path = tmp_path / "predictions.jsonl"
    results = assemble({"test": {"head": {"tuned": {}, "form": "tags"}}}, "test", "head")
    tagged = [
        Prediction(0, "Nokia rose", "B-ORG O", "B-ORG O", "B-ORG O", form="tags"),
        Prediction(1, "Kone .", "NN .", "NN ,", "NN ,", form="tags"),
    ]
    write_predictions(path, [Answers("tuned", "test", "head", tagged)])
    wrong, right = sample_groups(path, results)
    assert (wrong.title, right.title) == ("Wrong", "Right")
    assert (right.samples[0].expected, right.samples[0].answers[0].text) == ("Nokia/B-ORG rose", "Nokia/B-ORG rose")


def test_no_label_is_an_answer_too(tmp_path):
    path = tmp_path / "predictions.jsonl"
    results = assemble({"test": {"head": {"tuned": {}, "form": "labels"}}}, "test", "head")
    write_predictions(path, [Answers("tuned", "test", "head", [Prediction(0, "text", "", "", "", form="labels")])])
    (group,) = sample_groups(path, results)
    assert (group.title, group.samples[0].answers[0].text) == ("Right", "none")
