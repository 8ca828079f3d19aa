"""The classification task: texts as the tokenizer makes them, the loss and the answers against one row at a time."""

import pytest
import torch

from luthier.config import ModelConfig
from luthier.data.examples import Labelled
from luthier.data.records import Rejected
from luthier.data.rendering import Renderer
from luthier.models.files import resolve
from luthier.models.loading import load_base
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
