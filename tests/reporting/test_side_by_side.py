"""Finished runs side by side, from made-up folders."""

from dataclasses import replace

import pytest

from luthier.errors import ConfigError
from luthier.evaluation.comparison import compare
from luthier.evaluation.results import primary
from luthier.languages import speaking
from luthier.reporting.claims import claims
from luthier.reporting.comparison_table import Comparison, cells, markdown, page
from luthier.reporting.side_by_side import method_text, read_runs
from luthier.runs.files import read_json

LABELS = ["negative", "neutral", "positive"]
ATTACK = "<script>alert('x')</script>"


def test_facts_of_a_run(finished):
    [facts] = read_runs([finished("one", "{name: lora, rank: 8, dora: true}")])
    assert (facts.name, facts.task, facts.method) == ("one", "causal_lm", "lora (rank 8, dora true)")
    assert (facts.metric, facts.score) == ("accuracy", facts.scores["accuracy"])
    assert facts.base_score["value"] < facts.score["value"]
    assert (facts.trainable, facts.share) == (4884480, 4884480 / 139399872)
    assert (facts.artefact_mb, facts.base_mb) == (0.04, 1.0)
    assert (facts.steps, facts.training_seconds, facts.step_seconds) == (40, 56.0, pytest.approx(1.4))
    assert (facts.peak_memory_mb, facts.answer_ms, facts.base_answer_ms) == (2000.0, 20.0, 10.0)
    assert facts.difference is None
    assert facts.unpaired == ""


def test_differences_are_paired_on_the_same_rows(finished, made_up_answers):
    runs = [finished("one", right=0.95), finished("other", right=0.6)]
    one, other = read_runs(runs)
    assert one.difference is None
    rows = [made_up_answers(right, 2) for right in (0.95, 0.6)]
    expected = compare(*rows, {}, ["accuracy"], LABELS, 42)["difference"]["accuracy"]
    assert other.difference["value"] == pytest.approx(expected["value"])
    assert other.difference["high"] < 0
    assert other.unpaired == ""


def test_other_rows_give_no_difference(finished):
    _, other = read_runs([finished("one"), finished("other", rows=200)])
    assert other.difference is None
    assert other.unpaired == "other test rows: 300 and 200, 200 shared"


def test_a_run_that_is_not_finished(finished, empty_run):
    with pytest.raises(ConfigError, match="is not finished"):
        read_runs([finished("one"), empty_run])


def test_a_method_in_words():
    from luthier import registry

    assert method_text(registry.load("method", "lora").Options()) == "lora (rank 16)"
    assert method_text(registry.load("method", "full").Options()) == "full"
    assert "freeze" in method_text(registry.load("method", "full").Options(freeze={"embeddings": True}))


@pytest.fixture
def pair(finished):
    """LoRA of rank 16 and full tuning."""
    lora, full = read_runs([finished("lora"), finished("full", "full", adapter=1_000_000)])
    return replace(lora, difference=None), full


def test_claims_that_hold(pair):
    lora, full = pair
    latency = {"merged_ms": 10.2, "base_ms": 10.0, "unmerged_ms": 14.0, "rows": 8, "mode": "labels", "dtype": "float32"}
    lora = replace(lora, latency=latency, training_seconds=0.8 * full.training_seconds)
    found = claims([full, lora])
    assert [claim.holds for claim in found] == [True, True, True, True]
    quality, storage, speed, merged = (claim.measured for claim in found)
    assert quality.startswith("100.0%")
    assert storage.startswith("4.0%: 0.0 MB against 1.0 MB")
    assert speed.startswith("+20% time saved")
    assert merged.startswith("+2.0%: 10.2 ms an answer merged")


def test_claims_that_do_not_hold(pair):
    lora, full = pair
    latency = {"merged_ms": 12.0, "base_ms": 10.0, "unmerged_ms": 14.0, "rows": 8, "mode": "labels", "dtype": "float32"}
    worse = replace(lora, score={"value": 0.9 * full.score["value"], "low": 0, "high": 1}, artefact_mb=0.06)
    found = claims([replace(worse, latency=latency), full])
    assert [claim.holds for claim in found] == [False, False, False, False]


def test_claims_that_were_not_measured(pair):
    lora, full = pair
    assert [claim.holds for claim in claims([lora])] == [None], "the latency alone needs no other run"
    assert claims([full]) == []
    other = replace(full, base="another/base")
    assert [claim.holds for claim in claims([lora, other])] == [None], "another base is no comparison"
    [quality, _] = claims([lora, replace(full, data="other")])
    assert (quality.holds, quality.measured) == (None, "other rows")
    small = replace(lora, options=lora.options | {"rank": 8})
    assert claims([small, full]) == []


def test_claims_are_about_runs_that_can_be_compared(pair):
    """What comes first is another LoRA, or another full tuning, than the claims are about."""
    lora, full = pair
    frozen = replace(full, name="frozen", options=full.options | {"freeze": {"embeddings": True, "layers": []}})
    quantised = replace(lora, name="quantised", quantise="nf4")
    elsewhere = replace(lora, name="elsewhere", data="other")
    found = claims([quantised, elsewhere, frozen, lora, full])
    about = [claim.about for claim in found if claim.holds is not None]
    assert about == ["lora, lora (rank 16), against full"] * 3
    assert [claim.about.split(",")[0] for claim in found if claim.holds is None] == [
        "quantised",
        "elsewhere",
        "elsewhere",
        "lora",
    ]


def test_markdown_and_page_have_the_same_cells(finished):
    runs = [finished("one"), finished("other", "{name: lora, rank: 4}", right=0.8)]
    first, second = read_runs(runs)
    found = Comparison.of([first, replace(second, method=ATTACK)])
    text, html = markdown(found), page(found)
    assert text.count("\n| ") >= 3
    for run in found.runs:
        for value, below in cells(run):
            assert value in text
            assert below in text
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert found.runs[0].method in html
    assert "What people say" in html
    assert found.to_dict()["runs"][1]["difference"]["p"] <= 1


def test_what_could_not_be_trained_is_a_note(finished):
    found = Comparison.of(read_runs([finished("one")]), ["tiny-bitfit could not be trained: it has no biases"])
    assert found.notes == found.to_dict()["notes"] == found.refused
    assert found.refused[0] in page(found)
    with speaking("zh"):
        assert found.notes == ["tiny-bitfit 无法训练：it has no biases"]


def test_the_same_in_chinese(pair):
    with speaking("zh"):
        found = Comparison.of(pair)
        text, html = markdown(found), page(found)
    assert text.startswith("| 运行 | 方法 | 得分 |")
    assert "秩为 16 的 LoRA 达到全量微调的 97%" in text
    assert "常见说法" in html
    assert "What people say" not in html


def test_the_deciding_comparison_is_read(finished):
    run = finished("one")
    results = read_json(run.metrics_file)
    [facts] = read_runs([run])
    assert facts.score == primary(results)["tuned"]["accuracy"]
