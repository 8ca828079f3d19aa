"""The commands that need no model."""

import json

import pytest

from luthier import registry
from luthier.cli.frame import run
from luthier.config import load_config, parse_config


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        {"text": f"Sales {'rose' if n % 2 else 'fell'} by {n} percent.", "label": "up" if n % 2 else "down"}
        for n in range(60)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_new_says_what_it_sees_and_writes_a_configuration(data, capsys):
    assert run(["new", "rows.jsonl"]) == 0
    shown = capsys.readouterr().out
    assert "60 rows" in shown
    assert "labels: " in shown
    assert "luthier train run.yaml" in shown
    assert load_config(data / "run.yaml").data.labels == ["down", "up"]


def test_new_and_recipes_in_chinese(data, capsys):
    assert run(["new", "rows.jsonl", "--lang", "zh"]) == 0
    shown = capsys.readouterr().out
    assert "60 行" in shown
    assert "接下来可以" in shown
    assert load_config(data / "run.yaml").language == "zh"
    assert "# 训练数据的来源。" in (data / "run.yaml").read_text(encoding="utf-8")
    assert run(["recipes", "--lang", "zh"]) == 0
    assert "五分钟演示" in capsys.readouterr().out
    assert run(["recipes"]) == 0
    assert "Five minutes" in capsys.readouterr().out, "the language is of one command"
    assert run(["new", "rows.jsonl", "--lang", "xx"]) == 2


def test_new_does_not_write_over_a_file(data, capsys):
    (data / "run.yaml").write_text("mine")
    assert run(["new", "rows.jsonl"]) == 2
    assert "--force" in capsys.readouterr().err
    assert (data / "run.yaml").read_text() == "mine"
    assert run(["new", "rows.jsonl", "--force", "--base", "my/base"]) == 0
    assert load_config(data / "run.yaml").model.base == "my/base"


def test_new_as_json(data, capsys):
    assert run(["new", "rows.jsonl", "--output", "other.yaml", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["output"] == "other.yaml"
    assert document["profile"]["rows"] == 60
    assert document["config"]["data"]["labels"] == ["down", "up"]


def test_the_help_of_new_names_every_task(capsys):
    assert run(["new", "--help"]) == 0
    shown = capsys.readouterr().out
    assert [name for name in registry.names("task") if name not in shown] == []


def test_new_without_data_is_3(data, capsys):
    assert run(["new", "nowhere.csv"]) == 3
    assert "nowhere.csv" in capsys.readouterr().err
    assert not (data / "run.yaml").exists()


def test_recipes_are_listed(capsys):
    assert run(["recipes"]) == 0
    assert "finance_sentiment" in capsys.readouterr().out
    assert run(["recipes", "--json"]) == 0
    listing = json.loads(capsys.readouterr().out)
    assert "finance_sentiment" in [recipe["name"] for recipe in listing]
    assert all(recipe["description"] for recipe in listing)


def test_a_recipe_is_printed_as_it_stands(capsys):
    assert run(["recipes", "finance_sentiment"]) == 0
    text = capsys.readouterr().out
    assert parse_config(text).name == "finance-sentiment"
    assert run(["recipes", "finance_sentiment", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["yaml"] == text


def test_an_unknown_recipe_gets_the_nearest_name(capsys):
    assert run(["recipes", "finance_sentimen"]) == 2
    assert "did you mean 'finance_sentiment'?" in capsys.readouterr().err


def test_schema_is_one_json_document(capsys):
    assert run(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Luthier run"


def test_doctor(capsys):
    assert run(["doctor"]) == 0
    assert "number type" in capsys.readouterr().out
    assert run(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["packages"]["torch"]


def test_report_of_no_run_is_2(tmp_path, capsys):
    assert run(["report", str(tmp_path)]) == 2
    assert "there is no run in" in capsys.readouterr().err


def test_rows_are_generated_from_a_file(data, capsys, stub):
    def answer(body, number):
        rows = [("Compare the ports of", "Cargo differs."), ("Name a bridge in", "")]
        city = ["Turku", "Lima", "Osaka"][number % 3] * (1 + number)
        return "\n".join(json.dumps({"instruction": f"{asked} {city}", "output": said}) for asked, said in rows)

    arguments = ["data", "generate", "rows.jsonl", "--endpoint", stub(answer).url, "--model", "m", "--out", "new.jsonl"]
    assert run([*arguments, "--rows", "2", "--at-once", "1"]) == 0
    shown = capsys.readouterr().out
    assert "2 rows in new.jsonl" in shown
    assert "2 empty" in shown
    assert "2 rows were wanted" in shown
    assert run([*arguments, "--rows", "100", "--requests", "3", "--at-once", "1", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["rows"], made["requests"], made["ended"]) == (3, 3, "the budget of 3 requests")
    assert len((data / "new.jsonl").read_text().splitlines()) == 3


def test_a_budget_of_money_needs_prices(data, capsys):
    arguments = ["data", "generate", "rows.jsonl", "--endpoint", "http://127.0.0.1:1/v1", "--model", "m"]
    assert run([*arguments, "--out", "new.jsonl", "--money", "2"]) == 2
    assert "--prompt-price" in capsys.readouterr().err
    assert not (data / "new.jsonl").exists()


@pytest.mark.integration
@pytest.mark.usefixtures("own_cache")
def test_inspect_says_what_a_row_was_made_of(tmp_path, write_config, tiny_llama, labelled_file, capsys):
    augment = [{"name": "paraphrase", "wordings": ["Is it {labels}?"]}]
    config = write_config(tmp_path / "run.yaml", tiny_llama, labelled_file, data={"augment": augment})
    assert run(["inspect", str(config), "--row", "61", "--json"]) == 0
    parent = json.loads(capsys.readouterr().out)["ledger"]["parent_id"]
    assert run(["inspect", str(config), "--row", "61"]) == 0
    shown = capsys.readouterr().out
    assert f"origin: augmented, made of row {parent}\n" in shown
    assert "changes: asked in other words" in shown
