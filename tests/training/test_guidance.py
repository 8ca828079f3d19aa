"""Remarks of a plan, each raised by what it is about."""

import json

import pytest

from luthier.training.guidance import memory_warning, remarks_for


@pytest.fixture
def remarked(bench):
    return lambda **parts: remarks_for(bench.materials(**parts))


@pytest.mark.integration
@pytest.mark.parametrize(("rank", "words"), [(64, "more than is needed"), (2, "little room")])
def test_a_rank_for_labels(remarked, rank, words):
    remark, _ = remarked(method={"name": "lora", "rank": rank})
    assert remark.startswith(f"method.rank is {rank}; usual for labels is 4 to 16")
    assert words in remark


@pytest.mark.integration
def test_a_rank_for_running_text(remarked, tmp_path):
    file = tmp_path / "text.jsonl"
    file.write_text("".join(json.dumps({"text": f"page {n} of a long book"}) + "\n" for n in range(30)))
    data = {"train": {"path": str(file), "format": "text"}, "labels": None, "instruction": None}
    parts = {"data": data | {"split": {"by": "random"}}}
    remark, _ = remarked(method={"name": "lora", "rank": 16}, **parts)
    assert "usual for running text is 64 to 256" in remark
    assert not remarked(method={"name": "lora", "rank": 64}, **parts)[0].startswith("method.rank")


@pytest.mark.integration
def test_few_rows(remarked):
    [remark] = remarked()
    assert "42 training rows; 10,000 to 100,000 are commonly advised" in remark
    for advice in ("more passes (training.epochs is 2)", "a lower rank (4)", "training.early_stopping"):
        assert advice in remark
    done = {"epochs": 5, "early_stopping": {"metric": "loss"}}
    [remark] = remarked(training=done, method={"name": "lora", "rank": 4}, evaluation={"few_shot": 0})
    assert remark.endswith("consider the few-shot base beside it (evaluation.few_shot)")


def test_memory():
    assert memory_warning(699, 1000) == ""
    warning = memory_warning(800, 1000)
    assert "the run takes 800 MB, 80% of the 1,000 MB that are free" in warning
    assert "training.micro_batch" in warning
