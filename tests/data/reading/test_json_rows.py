import io
import json

import pytest

from luthier.data.reading import json_rows
from luthier.data.reading.json_rows import Item, read_json_document, read_json_lines
from luthier.data.reading.lines import Line

ROWS = [{"text": f"row {number}", "deep": {"list": [1, {"a": "}, {"}]}} for number in range(50)]


def document(text: str) -> list[Item]:
    return list(read_json_document(io.StringIO(text)))


def values(items: list[Item]) -> list[object]:
    return [item.value for item in items if item.problem is None]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("chunk", [16, 1 << 18])
def test_arrays_stream_whatever_the_chunk(monkeypatch: pytest.MonkeyPatch, indent: int | None, chunk: int) -> None:
    monkeypatch.setattr(json_rows, "_CHUNK", chunk)
    items = document(json.dumps(ROWS, indent=indent))
    assert values(items) == ROWS
    assert [item.position for item in items] == list(range(1, 51))


def test_object_of_id_to_row_keeps_the_id() -> None:
    items = document(json.dumps({"a1": {"text": "one"}, "b2": {"text": "two", "id": "own"}}, indent=1))
    assert values(items) == [{"id": "a1", "text": "one"}, {"id": "own", "text": "two"}]


def test_object_around_an_array_and_a_single_row() -> None:
    assert values(document(json.dumps({"data": ROWS, "version": 1}))) == ROWS
    assert values(document('{"text": "one", "tags": ["a"]}')) == [{"text": "one", "tags": ["a"]}]
    assert values(document('{"messages": [{"role": "user"}], "id": 1}')) != []


def test_objects_one_after_the_other() -> None:
    assert values(document('{"text": "one"}\n\n{\n"text": "two"}')) == [{"text": "one"}, {"text": "two"}]


def test_a_file_that_is_cut_off_keeps_the_rows_before() -> None:
    items = document(json.dumps(ROWS)[:-20])
    assert values(items) == ROWS[:-1]
    assert [item.problem for item in items if item.problem] == ["the file ends before its JSON does: it is cut off"]


def test_a_broken_element_costs_itself() -> None:
    text = '[{"text": "one"}, {"text": oops}, {"text": "three"}]'
    items = document(text)
    assert values(items) == [{"text": "one"}, {"text": "three"}]
    assert items[1].position == 2
    assert items[1].problem is not None
    assert items[1].problem.startswith("not JSON: expecting value")


def test_a_missing_quote_costs_one_element() -> None:
    text = json.dumps(ROWS, indent=1).replace('"row 3"', '"row 3')
    assert len(values(document(text))) == len(ROWS) - 1


def test_an_element_that_is_too_large_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_rows, "MAX_ROW_BYTES", 5000)
    monkeypatch.setattr(json_rows, "_CHUNK", 1000)
    items = document(json.dumps([ROWS[0], {"text": "x" * 60_000}, ROWS[1]]))
    assert values(items) == ROWS[:2]
    assert len(items) == 3


@pytest.mark.parametrize("text", ['"just text"', "nothing of the kind", "[" * 100_000, '[{"n": ' + "9" * 5000 + "}]"])
def test_what_is_no_document_is_one_problem(text: str) -> None:
    [item] = document(text)
    assert item.problem is not None


def test_text_after_the_array_is_noticed() -> None:
    assert [item.problem is None for item in document('[{"a": 1}] [{"a": 2}]')] == [True, False]


def test_lines_are_read_one_by_one() -> None:
    lines = [Line(1, '{"a": 1}'), Line(2, ""), Line(3, "{broken"), Line(4, "", "too large"), Line(5, '{"a": NaN}')]
    items = list(read_json_lines(iter(lines)))
    assert [(item.position, item.problem is None) for item in items] == [(1, True), (3, False), (4, False), (5, True)]
    assert items[2].problem == "too large"
