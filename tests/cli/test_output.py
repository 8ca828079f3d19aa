import io
import json
import math
from pathlib import Path

from luthier.cli.output import console, emit, plain, table


def test_json_is_one_strict_document(capsys):
    emit({"path": Path("a/b"), "loss": math.nan, "数": (1, math.inf)}, lambda _: None, as_json=True)
    shown = capsys.readouterr().out
    assert "NaN" not in shown
    assert json.loads(shown) == {"path": "a/b", "loss": None, "数": [1, None]}


def test_plain_keeps_booleans_and_numbers():
    assert plain([True, 1, 1.5, None, "x"]) == [True, 1, 1.5, None, "x"]


def test_text_of_users_is_printed_as_it_stands(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    console().print("[red]x[/red] :smile: 12.5")
    assert stream.getvalue() == "[red]x[/red] :smile: 12.5\n"


def test_a_title_longer_than_its_table_stays_on_one_line(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    rows = table("a", title="a title that is longer than the table")
    rows.add_row("1")
    console().print(rows)
    assert stream.getvalue().splitlines()[0].strip() == "a title that is longer than the table"
