import json
from pathlib import Path

import pytest

from luthier.config import SourceConfig
from luthier.data.examples import (
    Conversation,
    Document,
    Example,
    Labelled,
    Message,
    MultiLabelled,
    Pair,
    Preference,
    Scored,
    TaggedWords,
)
from luthier.data.formats import detect, load_format
from luthier.data.readable import readable
from luthier.data.reading.sources import read_rows
from luthier.data.store import KINDS

ASKED = (Message("system", "Be brief."), Message("user", "What is EBIT?"))
EXAMPLES: dict[str, Example] = {
    "labelled": Labelled("利润增长。", "positive"),
    "multi_labelled": MultiLabelled("Profit rose, two sites closed.", ("results", "closures")),
    "scored": Scored("Profit rose.", 0.7),
    "tagged": TaggedWords(("Nokia", "rose"), ("B-ORG", "O")),
    "pair": Pair("Profit rose.", "利润增长。"),
    "preference": Preference(ASKED, "Earnings before interest and taxes.", "A tax."),
    "messages": Conversation((*ASKED, Message("assistant", "Earnings.")), ({"name": "look", "parameters": {}},)),
    "text": Document("A whole\ndocument."),
}


def test_every_kind_is_here() -> None:
    assert {type(example) for example in EXAMPLES.values()} == set(KINDS.values())


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_written_is_read_back_as_it_was(tmp_path: Path, name: str) -> None:
    path = tmp_path / "rows.jsonl"
    row = readable(EXAMPLES[name]) | {"row_id": 7}
    path.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    [read] = read_rows(SourceConfig(path=str(path)))
    assert detect([read], {})[0] == name
    assert load_format(name, {}).example(read) == EXAMPLES[name]
