from __future__ import annotations

import io

import pytest
from rich.console import Console

from luthier.data.ledger import Summary, summarise
from luthier.reporting.tables import ledger_tables, mix_table, scores_tables
from luthier.runs.files import read_json


def printed(tables, **options) -> str:
    file = io.StringIO()
    console = Console(file=file, width=160, **options)
    for table in tables:
        console.print(table)
    return file.getvalue()


def test_scores_stand_base_tuned_difference_baselines_the_deciding_ones_first(full_run):
    text = printed(scores_tables(read_json(full_run.metrics_file)))
    assert text.index("test, labels scored: 300 rows") < text.index("test, answers generated: 300 rows")
    heading = next(line for line in text.splitlines() if "Tuned" in line)
    names = ["Base, untuned", "Tuned", "Difference", "Base, few-shot", "Commonest label", "TF-IDF + logistic"]
    places = [heading.index(name) for name in names]
    assert places == sorted(places)
    accuracy = read_json(full_run.metrics_file)["results"]["test"]["labels"]["tuned"]["accuracy"]
    assert f"{accuracy['value']:.3f}" in text
    assert f"{accuracy['low']:.3f} to {accuracy['high']:.3f}" in text
    assert "\x1b" not in text


def test_without_a_base_there_is_no_column_of_it(empty_run, evaluated):
    evaluated(empty_run, ["head"], base=False)
    text = printed(scores_tables(read_json(empty_run.metrics_file)))
    assert "classification head" in text
    assert "Difference" not in text
    assert "untuned" not in text


def test_a_gain_is_green_on_a_terminal(full_run):
    assert "\x1b[32m+0." in printed(
        scores_tables(read_json(full_run.metrics_file)), force_terminal=True, color_system="standard"
    )


def test_the_ledger_adds_up(full_run):
    text = printed(ledger_tables(summarise(full_run.ledger_file)))
    assert "2,000 rows in, 1,931 kept, 69 left out" in text
    for word in ("train", "validation", "too long", "repaired text", "longest row: 99 tokens"):
        assert word in text


def test_splits_stand_in_order_and_examples_of_one_row_are_explained():
    rows = {"test": 1, "train": 3, "validation": 2}
    summary = Summary(rows_in=4, kept=2, rows=rows, reasons=[("dropped", "exact duplicate of row N", 5)])
    text = printed(ledger_tables(summary))
    assert text.index("train") < text.index("validation") < text.index("test ")
    assert "examples of one row count one by one" in " ".join(text.split())
    assert "one by" not in printed(ledger_tables(Summary(rows_in=4, kept=2, reasons=[("dropped", "x", 2)])))


@pytest.mark.parametrize("reason", ["[bold]not markup[/bold]", "[/]"])
def test_what_stands_in_the_data_is_not_taken_for_markup(reason):
    assert reason in printed(ledger_tables(Summary(rows_in=1, reasons=[("quarantined", reason, 1)])))


def test_a_ledger_without_rows_says_so():
    assert "0 rows in, 0 kept, 0 left out" in printed(ledger_tables(Summary()))


def test_how_often_rows_are_seen():
    mix = [{"name": f"label {n} [b]", "rows": 1000 + n, "repeats": 1.5, "epochs": 3.0} for n in range(25)]
    text = printed([mix_table(mix)])
    assert "label 7 [b]" in text
    assert "1,007" in text
    assert "1.50 times" in text
    assert "3.00 times" in text
    assert "label 20" not in text
    assert "and 5 more in run.json" in text
