"""Warnings of a plan, each raised by what it is about and by nothing else."""

import json

import pytest

from luthier.methods import count_parameters
from luthier.training.warnings import warnings_for

pytestmark = pytest.mark.integration

USUAL = {"learning_rate": 5e-4}


@pytest.fixture
def warned(bench):
    def warnings(**parts):
        trainer = bench.trainer(bench.materials(**{"training": USUAL} | parts))
        return warnings_for(trainer.session, count_parameters(trainer.network)[1])

    return warnings


def rows(folder, *labels):
    words = ["amber", "bridge", "candle", "dolphin", "engine", "forest", "garden"]
    file = folder / "rows.jsonl"
    lines = [
        {"text": f"{words[n % 7]} {words[n * 5 % 6]} {n * 7919}", "label": label} for n, label in enumerate(labels)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return {"train": str(file), "labels": sorted(set(labels)), "split": {"test": 0, "validation": 0, "by": "random"}}


def test_nothing_to_warn_of(warned):
    assert warned() == []


@pytest.mark.parametrize(("rate", "method"), [(0.05, "lora"), (1e-6, "lora"), (1e-3, "full")])
def test_an_unusual_learning_rate(warned, rate, method):
    [warning] = warned(training={"learning_rate": rate}, method={"name": method})
    assert f"training.learning_rate is {rate:g}" in warning
    assert f"usual for {method}" in warning


def test_imbalance(warned, tmp_path):
    data = rows(tmp_path, *["up"] * 20, *["down"] * 5)
    [warning] = warned(data=data)
    assert "'up' has 20 training rows, 'down' only 5" in warning
    assert warned(data=data | {"balance": "oversample"}) == [], "something is done about it"


def test_less_than_four_to_one_is_no_imbalance(warned, tmp_path):
    assert warned(data=rows(tmp_path, *["up"] * 19, *["down"] * 5)) == []


def test_rows_over_the_length(warned):
    [warning] = warned(data={"max_length": 70, "too_long": "truncate"})
    assert "are longer than data.max_length 70; data.too_long is truncate" in warning
    assert int(warning.split()[0]) > 0


def test_label_words_that_begin_alike(warned, tmp_path):
    [warning] = warned(data=rows(tmp_path, *["up"] * 8, *["upper"] * 8, *["down"] * 8))
    assert "the labels up, upper begin with the same token" in warning


def test_an_answer_of_an_open_template_still_ends(warned):
    open_ended = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}{% endif %}"
    assert warned(data={"template": open_ended}) == [], "the renderer adds the tokenizer's end token"


def test_a_classifier_has_no_label_words(warned, tmp_path):
    data = rows(tmp_path, *["up"] * 8, *["upper"] * 8) | {"max_length": 128}
    assert warned(base="bert", task="sequence_classification", data=data) == []


def test_rows_beyond_the_positions_of_the_base(warned):
    [warning] = warned(data={"max_length": 600})
    assert "data.max_length is 600, and the base has 512 positions" in warning
    for kind in ("linear", "yarn"):
        assert warned(data={"max_length": 600}, model={"rope_scaling": {"type": kind, "factor": 2}}) == []


def test_dynamic_positions_depend_on_other_rows(warned):
    [warning] = warned(data={"max_length": 600}, model={"rope_scaling": {"type": "dynamic", "factor": 2}})
    assert "depend on the longest row beside it" in warning
