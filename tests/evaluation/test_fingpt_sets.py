"""The four sets of FinGPT's benchmark, read from files in their published shapes; the rows are made up."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from luthier.errors import DataError
from luthier.evaluation.fingpt_sets import LABELS, PUBLISHED, SETS, held_out, read_items


def test_fpb_is_a_quarter_of_phrasebanks_own_file(tmp_path):
    lines = [f"Sales of unit {n} rose , mail me@unit{n} .@{LABELS[n % 3]}" for n in range(40)]
    (tmp_path / "Sentences_50Agree.txt").write_text("\n".join(lines) + "\n", encoding="latin-1")
    items = read_items("fpb", [str(tmp_path / "Sentences_50Agree.txt")])
    order = np.random.default_rng(42).permutation(40)[:10]
    assert [item.text for item in items] == [f"Sales of unit {n} rose , mail me@unit{n} ." for n in order]
    assert [item.label for item in items] == [LABELS[n % 3] for n in order]
    assert {item.kind for item in items} == {"news"}
    assert len(read_items("fpb", [str(tmp_path / "Sentences_50Agree.txt")], as_given=True)) == 40


def test_the_held_out_rows_are_those_of_datasets():
    datasets = pytest.importorskip("datasets", reason="the datasets library is not installed")
    for rows, share in ((40, 0.25), (4846, 0.25), (1213, 0.226)):
        given = datasets.Dataset.from_dict({"place": list(range(rows))})
        theirs = given.train_test_split(share, seed=42)["test"]["place"]
        assert held_out(rows, share) == list(theirs)


def test_fiqa_is_three_files_with_scores_and_tells_tweets_from_news(tmp_path):
    scores = [-0.5, -0.1, 0.0, 0.0999, 0.1, 0.7]
    paths = []
    for part in ("train", "validation", "test"):
        rows = {
            "sentence": [f"{part} {score}" for score in scores],
            "sentiment_score": scores,
            "format": ["post", "headline"] * 3,
        }
        paths.append(str(tmp_path / f"{part}.parquet"))
        pq.write_table(pa.table(rows), paths[-1])
    items = read_items("fiqa", paths, as_given=True)
    assert [item.label for item in items[:6]] == ["negative", "neutral", "neutral", "neutral", "positive", "positive"]
    assert [item.kind for item in items[:2]] == ["tweet", "news"]
    assert [item.text for item in items[::6]] == ["train -0.5", "validation -0.5", "test -0.5"]
    assert [items[place] for place in held_out(18, 0.226)] == read_items("fiqa", paths)
    assert len(read_items("fiqa", paths)) == 5


def test_tfns_has_numbers_for_labels(tmp_path):
    (tmp_path / "valid.csv").write_text("text,label\n$AB falls,0\n$AB rises,1\n$AB meets,2\n")
    items = read_items("tfns", [str(tmp_path / "valid.csv")])
    assert [(item.label, item.kind) for item in items] == [
        ("negative", "tweet"),
        ("positive", "tweet"),
        ("neutral", "tweet"),
    ]


def test_nwgi_has_seven_labels_of_which_the_mild_ones_are_neutral(tmp_path):
    rows = [
        {"news": "A", "label": "strong negative"},
        {"news": "B", "label": "mildly negative"},
        {"news": "C", "label": "mildly positive"},
        {"news": "D", "label": "moderately positive"},
    ]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    items = read_items("nwgi", [str(tmp_path / "test.jsonl")])
    assert [item.label for item in items] == ["negative", "neutral", "neutral", "positive"]


@pytest.mark.parametrize(
    ("text", "message"),
    [("text,label\na,5\n", "'5' is no label of TFNS"), ("title,label\na,1\n", "no text or no label")],
)
def test_a_row_of_another_kind_is_named(tmp_path, text, message):
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(DataError, match=message) as raised:
        read_items("tfns", [str(tmp_path / "rows.csv")])
    assert raised.value.where.endswith("rows.csv:2")


def test_published_scores_are_of_these_sets_and_stand_in_the_docs():
    page = (Path(__file__).resolve().parents[2] / "docs" / "fingpt.md").read_text(encoding="utf-8")
    for model, scores in PUBLISHED.items():
        assert set(scores) <= set(SETS)
        cells = [f"{scores[name]:.3f}" if name in scores else "–" for name in SETS]
        assert f"| {model} | {' | '.join(cells)} |" in page


@pytest.mark.real
def test_phrasebank_has_the_published_number_of_test_rows(shared_data):
    items = read_items("fpb", [str(shared_data / "financial_phrasebank" / "Sentences_50Agree.txt")])
    assert len(items) == 1212
