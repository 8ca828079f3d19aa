import pytest

from luthier.data.reading.delimited import Record, read_delimited, sniff_delimiter
from luthier.data.reading.lines import Line


def read(text: str, delimiter: str | None = None) -> list[Record]:
    lines = (Line(number, line) for number, line in enumerate(text.split("\n"), start=1))
    return list(read_delimited(lines, delimiter))


def good(records: list[Record]) -> list[tuple[int, ...]]:
    return [(record.line, *map(int, record.fields.values())) for record in records if not record.problem]


def test_quoted_line_breaks_and_true_line_numbers() -> None:
    records = read('text,label\n"one\ntwo",a\n\n"say ""so""",b\n')
    assert records == [
        Record(2, {"text": "one\ntwo", "label": "a"}),
        Record(5, {"text": 'say "so"', "label": "b"}),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_sniffed(delimiter: str) -> None:
    lines = [f"text{delimiter}label", *[f'"a, b; c"{delimiter}x'] * 3]
    assert sniff_delimiter(lines) == delimiter


def test_wrong_number_of_cells_costs_the_row() -> None:
    records = read("a,b\n1,2\n3\n4,5,6\n7,8,,\n")
    assert good(records) == [(2, 1, 2), (5, 7, 8)]
    assert [record.problem for record in records if record.problem] == [
        "1 cells, the header has 2",
        "3 cells, the header has 2",
    ]


@pytest.mark.parametrize("later", ['5,"6"\n', "5,6\n", '"5",6\n'])
def test_a_quote_never_closed_costs_its_own_line(later: str) -> None:
    records = read('a,b\n1,2\n"3,4\n' + later + "7,8\n")
    assert good(records) == [(2, 1, 2), (4, 5, 6), (5, 7, 8)]
    [broken] = [record for record in records if record.problem]
    assert (broken.line, broken.problem) == (3, "a quote is opened and never closed")


def test_a_quote_never_closed_in_the_last_line() -> None:
    assert [record.problem is None for record in read('a,b\n1,2\n"3,4')] == [True, False]


def test_lines_with_a_problem_are_reported_where_they_are() -> None:
    lines = [Line(1, "a,b"), Line(2, "1,2"), Line(3, "\ufffd,2", "not utf-8"), Line(4, "", "too large"), Line(5, "5,6")]
    records = list(read_delimited(iter(lines)))
    assert good(records) == [(2, 1, 2), (5, 5, 6)]
    assert [(record.line, record.problem) for record in records if record.problem] == [
        (3, "not utf-8"),
        (4, "too large"),
    ]


def test_nameless_and_repeated_columns_are_kept() -> None:
    [record] = read(",text,text\n1,2,3\n")
    assert record.fields == {"column_1": "1", "text": "2", "text_3": "3"}


def test_nothing_but_a_header_or_nothing_at_all() -> None:
    assert read("a,b\n") == []
    assert read("") == []
