"""The classification task: texts as the tokenizer makes them, the loss and the answers against one row at a time."""

import pytest
import torch

from luthier.config import ModelConfig
from luthier.data.examples import Labelled, MultiLabelled, Scored
from luthier.data.records import Rejected
from luthier.data.rendering import Renderer
from luthier.models.files import resolve
from luthier.models.loading import load_base
from luthier.tasks import problem_of
from luthier.tasks.sequence_classification import SequenceClassification, SequenceClassificationOptions

LABELS = ("up", "down", "flat")
TEXTS = ("shares rose", "the board met on Monday and talked", "revenue fell")


@pytest.fixture(scope="module")
def base(own_cache, tiny_bert):
    torch.manual_seed(1)
    config = ModelConfig(base=str(tiny_bert), device="cpu", dtype="float32")
    return load_base(config, resolve(str(tiny_bert)), head="sequence_classification", labels=LABELS)


@pytest.fixture
def task():
    return SequenceClassification(SequenceClassificationOptions())


def renderer(base, **options):
    return Renderer(base.tokenizer, "", labels=LABELS, **options)


def encoded(task, made):
    pairs = [(n, Labelled(text, label)) for n, (text, label) in enumerate(zip(TEXTS, LABELS, strict=True))]
    return [row for [row] in task.encode(pairs, made)]


def test_a_row_is_its_text_with_the_tokenizers_special_tokens(task, base):
    for row, text in zip(encoded(task, renderer(base, instruction="{labels}?", system="no")), TEXTS, strict=True):
        assert list(row.ids) == base.tokenizer(text)["input_ids"]
        assert row.prompt_length == len(row.ids)
        assert row.supervised_count == 0


def test_too_long(task, base):
    text = "the board met on Monday and talked " * 5
    [rejected] = task.encode([(0, Labelled(text, "up"))], renderer(base, max_length=20))
    assert isinstance(rejected, Rejected)
    assert "too long" in rejected.reason
    [[cut]] = task.encode([(0, Labelled(text, "up"))], renderer(base, max_length=20, too_long="truncate"))
    whole = base.tokenizer(text)["input_ids"]
    assert list(cut.ids) == [*whole[:19], whole[-1]], "the end token stays"
    assert cut.truncated == len(whole) - 20
    assert cut.text == text


def test_a_question_of_its_own_is_nothing_to_this_task(task, base):
    [rejected] = task.encode([(0, Labelled("shares rose", "up", "Which way?"))], renderer(base))
    assert rejected == Rejected("it has an instruction of its own, and this task reads the text alone")


def test_loss_is_the_sum_over_rows_one_at_a_time(task, base):
    rows = encoded(task, renderer(base))
    batch = task.collate(rows, base.tokenizer.pad_token_id, LABELS)
    assert batch.count == 3
    assert batch.targets.tolist() == [0, 1, 2]
    expected = sum(
        float(base.network(torch.tensor([list(row.ids)]), labels=torch.tensor([number])).loss)
        for number, row in enumerate(rows)
    )
    assert float(task.loss(base.network, batch)) == pytest.approx(expected, rel=1e-5)


def test_answers_come_in_the_order_of_the_rows(task, base):
    made = renderer(base)
    rows = encoded(task, made)
    done = []
    found = task.predict(base.network, made, rows, mode="head", max_new_tokens=1, progress=done.append)
    assert sum(done) == 3
    for row, prediction in zip(rows, found, strict=True):
        logits = base.network(torch.tensor([list(row.ids)])).logits[0].log_softmax(-1)
        assert list(prediction.scores.values()) == pytest.approx(logits.tolist(), abs=1e-5)
        assert prediction.parsed == prediction.raw == LABELS[int(logits.argmax())]
        assert prediction.loss == pytest.approx(-float(logits[LABELS.index(row.label)]), abs=1e-5)
        assert (prediction.text, prediction.expected, prediction.tokens) == (row.text, row.label, 1)


def test_new_texts_have_no_loss(task, base):
    from dataclasses import replace

    made = renderer(base)
    rows = [replace(row, label=None) for row in encoded(task, made)]
    for prediction in task.predict(base.network, made, rows, mode="head", max_new_tokens=1):
        assert prediction.loss is None
        assert prediction.tokens == 0
        assert prediction.parsed in LABELS


# -- several labels ---------------------------------------------------------------------------------------------------


def headed(tiny_bert, labels):
    torch.manual_seed(1)
    config = ModelConfig(base=str(tiny_bert), device="cpu", dtype="float32")
    return load_base(config, resolve(str(tiny_bert)), head="sequence_classification", labels=labels)


def of_kind(kind):
    return SequenceClassification(SequenceClassificationOptions(kind=kind))


def test_several_labels_are_decided_each_by_itself(base):
    task, made = of_kind("several"), renderer(base)
    examples = [MultiLabelled(TEXTS[0], ("up", "flat")), MultiLabelled(TEXTS[1], ()), Labelled(TEXTS[2], "down")]
    rows = [row for [row] in task.encode(list(enumerate(examples)), made)]
    assert [row.label for row in rows] == ["flat | up", "", "down"]
    batch = task.collate(rows, base.tokenizer.pad_token_id, LABELS)
    assert batch.targets.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    assert batch.count == 3
    logits = [base.network(torch.tensor([list(row.ids)])).logits[0].double() for row in rows]
    losses = [
        float(-sum((p if true else 1 - p).log() for p, true in zip(x.sigmoid(), targets, strict=True)))
        for x, targets in zip(logits, batch.targets, strict=True)
    ]
    assert float(task.loss(base.network, batch)) == pytest.approx(sum(losses), rel=1e-5)
    for row, x, loss, found in zip(
        rows, logits, losses, task.predict(base.network, made, rows, mode="head", max_new_tokens=1), strict=True
    ):
        named = sorted(label for label, value in zip(LABELS, x, strict=True) if value > 0)
        assert found.parsed == found.raw == " | ".join(named)
        assert (found.expected, found.form, found.tokens) == (row.label, "labels", 1)
        assert found.loss == pytest.approx(loss, rel=1e-4)
        assert [found.scores[label] for label in LABELS] == pytest.approx(x.sigmoid().log().tolist(), rel=1e-4)
        assert task.distributions(base.network, row).sum(-1).tolist() == pytest.approx([1.0] * 3)
        assert task.distributions(base.network, row)[:, 0].tolist() == pytest.approx(x.sigmoid().tolist(), rel=1e-4)


def test_a_label_with_the_separator_is_rejected(base):
    [rejected] = of_kind("several").encode([(0, MultiLabelled("shares rose", ("up|down",)))], renderer(base))
    assert isinstance(rejected, Rejected)
    assert "'up|down' has a |" in rejected.reason


# -- numbers ----------------------------------------------------------------------------------------------------------


def test_regression_learns_numbers_by_squared_error(tiny_bert):
    task = of_kind("regression")
    assert task.outputs(()) == ("score",)
    base = headed(tiny_bert, task.outputs(()))
    made = Renderer(base.tokenizer, "")
    rows = [row for [row] in task.encode([(n, Scored(TEXTS[n], n - 0.125)) for n in range(3)], made)]
    assert [row.label for row in rows] == ["-0.125", "0.875", "1.875"]
    batch = task.collate(rows, base.tokenizer.pad_token_id, ())
    values = [float(base.network(torch.tensor([list(row.ids)])).logits) for row in rows]
    errors = [(value - n + 0.125) ** 2 for n, value in enumerate(values)]
    assert float(task.loss(base.network, batch)) == pytest.approx(sum(errors), rel=1e-5)
    found = task.predict(base.network, made, rows, mode="head", max_new_tokens=1)
    assert [float(row.parsed or "") for row in found] == pytest.approx(values, rel=1e-4)
    assert [row.loss for row in found] == pytest.approx(errors, rel=1e-4)
    assert {(row.form, row.tokens) for row in found} == {("number", 1)}


def test_half_the_difference_of_two_numbers_is_their_distance():
    from luthier.export.parity import distances
    from luthier.tasks._heads import Number

    def asked(value):
        return Number().distributions(torch.tensor([value]))

    near, large = distances([asked(0.01), asked(1000.0)], [asked(0.03), asked(1010.0)])
    assert near == pytest.approx(0.01, rel=1e-3)
    assert large == pytest.approx(0.005, rel=1e-2)


@pytest.mark.parametrize(
    ("kind", "example", "wanted"),
    [
        ("single", Scored("shares rose", 0.5), "kind: regression"),
        ("single", MultiLabelled("shares rose", ("up",)), "kind: several"),
        ("regression", Labelled("shares rose", "up"), "kind: single"),
        ("several", Scored("shares rose", 0.5), "kind: regression"),
    ],
)
def test_rows_of_another_kind_say_which_task_learns_from_them(base, kind, example, wanted):
    [rejected] = of_kind(kind).encode([(0, example)], renderer(base))
    assert isinstance(rejected, Rejected)
    assert wanted in rejected.reason


@pytest.mark.parametrize("kind", ["single", "several", "regression"])
def test_a_question_is_what_the_kind_learns_from(base, kind):
    task = of_kind(kind)
    [[row]] = task.encode([(0, task.question("shares rose", LABELS))], renderer(base))
    assert row.text == "shares rose"


@pytest.mark.parametrize(
    ("kind", "problem"),
    [("single", None), ("several", "multi_label_classification"), ("regression", "regression")],
)
def test_pipelines_of_transformers_are_told_how_to_read_the_head(kind, problem):
    assert problem_of(of_kind(kind)) == problem
