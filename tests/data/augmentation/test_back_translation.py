"""There and back, by a local endpoint or a function of an entry point."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from luthier.config import DataConfig
from luthier.data.augmentation.back_translation import BackTranslation, BackTranslationOptions
from luthier.data.examples import Document, Example, Labelled
from luthier.errors import ConfigError

ROWS: list[tuple[int, Example]] = [(7, Labelled("Profit rose.", "up")), (8, Labelled("Sales fell.", "down"))]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


def make(rows: list[tuple[int, Example]], **options: Any) -> list[Any]:
    step = BackTranslation(BackTranslationOptions(**options), DataConfig.model_validate({"train": "rows.jsonl"}))
    return list(step.make(rows))


def translate(body: dict[str, Any], number: int) -> str:
    """Marks a text with the language it was translated to; English is said anew."""
    task, text = (message["content"] for message in body["messages"])
    target = task.split(" to ")[1].split(".")[0]
    return text.replace("rose", "grew").removeprefix("German: ") if target == "English" else f"{target}: {text}"


def test_texts_go_there_and_back(stub: Any) -> None:
    server = stub(translate)
    made = make(ROWS, endpoint=server.url, model="m")
    assert [(row.parent, row.example, row.change, row.refused) for row in made] == [
        (7, Labelled("Profit grew.", "up"), "translated to German and back", ""),
        (8, Labelled("Sales fell.", "down"), "translated to German and back", ""),
    ]
    assert len(server.bodies) == 4
    assert {body["temperature"] for body in server.bodies} == {0}


def test_what_was_answered_is_not_asked_again(stub: Any) -> None:
    server = stub(translate)
    made = make(ROWS, endpoint=server.url, model="m")
    assert make(ROWS, endpoint=server.url, model="m") == made
    assert len(server.bodies) == 4
    make(ROWS, endpoint=server.url, model="another")
    assert len(server.bodies) == 8


def test_a_new_row_for_each_language(stub: Any) -> None:
    server = stub(translate)
    made = make(ROWS[:1], endpoint=server.url, model="m", via=["German", "French"])
    assert [row.example.text for row in made] == ["Profit grew.", "French: Profit grew."]


def test_an_empty_translation_is_refused(stub: Any) -> None:
    server = stub(lambda body, number: " ")
    made = make(ROWS[:1], endpoint=server.url, model="m")
    assert [row.refused for row in made] == ["the translation is empty"]
    assert len(server.bodies) == 1, "nothing to translate back"


def test_running_text_is_left_alone(stub: Any) -> None:
    server = stub(translate)
    assert make([(0, Document("Profit rose."))], endpoint=server.url, model="m") == []
    assert server.bodies == []


def test_a_function_of_an_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dictionary.py").write_text("def turn(text, source, target):\n    return f'{text} {source}>{target}'\n")
    info = tmp_path / "dictionary-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dictionary\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[luthier.translator]\ndictionary = dictionary:turn\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    [made] = make(ROWS[:1], translator="dictionary", language="Finnish", via=["Swedish"])
    assert made.example.text == "Profit rose. Finnish>Swedish Swedish>Finnish"
    with pytest.raises(ConfigError, match="there is no translator 'dictionnary'") as refused:
        make(ROWS, translator="dictionnary")
    assert "dictionary" in str(refused.value.expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either an endpoint with a model, or a translator"),
        ({"endpoint": "http://x/v1", "translator": "x"}, "either an endpoint with a model, or a translator"),
        ({"endpoint": "http://x/v1"}, "needs the model's name"),
    ],
)
def test_who_translates_is_said_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        BackTranslationOptions(**options)
