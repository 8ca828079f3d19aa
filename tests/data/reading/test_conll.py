from typing import Any

from luthier.config import SourceConfig
from luthier.data.examples import BadRow, Row, TaggedWords
from luthier.data.formats import detect, load_format
from luthier.data.reading.conll import Sentence, read_conll
from luthier.data.reading.lines import Line
from luthier.data.reading.sources import read_rows

FILE = """-DOCSTART- -X- -X- O

# sent_id = 1
Nokia NNP B-NP B-ORG
# CD B-NP O
rose VBD B-VP O

Fortum\tB-ORG

"""


def sentences(text: str) -> list[Sentence]:
    return list(read_conll(Line(number, line) for number, line in enumerate(text.splitlines(), start=1)))


def test_a_sentence_is_what_stands_between_empty_lines() -> None:
    first, second = sentences(FILE)
    assert (first.line, first.words, first.tags) == (4, ["Nokia", "#", "rose"], ["B-ORG", "O", "O"])
    assert (second.line, second.words, second.tags) == (8, ["Fortum"], ["B-ORG"])


def test_a_broken_line_breaks_its_sentence_only() -> None:
    lines = [
        Line(1, "Nokia O"),
        Line(2, "rose"),
        Line(3, ""),
        Line(4, "a\ufffd O", "not utf-8"),
        Line(5, ""),
        Line(6, "b O"),
    ]
    found = list(read_conll(lines))
    assert [sentence.problem for sentence in found] == ["line 2 has a word without a tag", "not utf-8", None]
    assert [sentence.line for sentence in found] == [1, 4, 6]


def test_files_are_read_by_their_suffix(tmp_path: Any) -> None:
    (tmp_path / "train.conll").write_text(FILE + "oops\n", encoding="utf-8")
    first, second, bad = read_rows(SourceConfig(path=str(tmp_path / "train.conll")))
    assert isinstance(first, Row)
    assert detect([first, second], {})[0] == "tagged"  # type: ignore[list-item]
    assert load_format("tagged", {}).example(first) == TaggedWords(("Nokia", "#", "rose"), ("B-ORG", "O", "O"))
    assert isinstance(bad, BadRow)
    assert (bad.line, bad.reason) == (10, "line 10 has a word without a tag")
