from pathlib import Path

import pytest

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
from luthier.data.records import TokenSequence
from luthier.data.store import Examples, ExampleWriter, Kept, Records, RecordsWriter, pack, unpack


@pytest.mark.parametrize(
    "example",
    [
        Labelled("净利润 “up”\n", "正面"),
        Document("text\twith\\ marks"),
        MultiLabelled("a", ("b", "c")),
        MultiLabelled("none", ()),
        Scored("a", -0.25),
        TaggedWords(("Nokia", "rose"), ("B-ORG", "O")),
        Pair("one", "eins"),
        Preference((Message("user", "a"),), "good", "bad"),
        Conversation((Message("user", "a"), Message("assistant", "b")), ({"name": "price", "args": [1]},)),
        Conversation(
            (
                Message("user", "a"),
                Message("assistant", "", ({"name": "price", "arguments": {"of": "AAPL"}, "id": "1"},)),
                Message("tool", "3", (), "1"),
            )
        ),
    ],
)
def test_examples_survive_packing(example: Example) -> None:
    assert unpack(pack(example)) == example


def test_rows_kept_aside_come_back_in_order(tmp_path: Path) -> None:
    rows = [Kept(0, number, Labelled(f"row {number}", "up"), changes="mended") for number in range(2500)]
    rows[7] = Kept(1, 7, None, "broken")
    rows[8] = Kept(1, 8, None, "unwanted", dropped=True)
    rows[9] = Kept(1, 9, None, parts=2)
    rows[10] = Kept(1, 9, Labelled("a part", "up"), parent_id=9)
    with ExampleWriter(tmp_path / "rows.arrow") as writer:
        for row in rows:
            writer.write(row)
    examples = Examples(tmp_path / "rows.arrow")
    assert [row._replace(content="") for batch in examples.batches() for row in batch] == rows
    assert examples.example(2222) == Labelled("row 2222", "up")


@pytest.mark.parametrize("count", [0, 1, 2345])
def test_records_are_a_sequence(tmp_path: Path, count: int) -> None:
    rows = [
        TokenSequence(
            list(range(n % 7)),
            [place % 2 == 1 for place in range(n % 7)],
            n % 3,
            n,
            f"t{n}",
            "a" if n % 2 else None,
            rejected=list(range(n % 4)),
        )
        for n in range(count)
    ]
    with RecordsWriter(tmp_path / "train.arrow") as writer:
        for row in rows:
            writer.write(row)
    records = Records(tmp_path / "train.arrow")
    assert len(records) == count
    assert list(records) == rows
    assert list(records[1:count:500]) == rows[1:count:500]
    assert records.lengths.tolist() == [len(row.ids) + len(row.rejected) for row in rows]
    assert records.supervised.tolist() == [row.supervised_count for row in rows]
    assert records.labels == [row.label for row in rows]
    assert records.row_ids.tolist() == [row.row_id for row in rows]
    with pytest.raises(IndexError):
        records[count]
    if count:
        assert records[-1] == rows[-1]


def test_the_hash_of_an_example_follows_its_content(tmp_path: Path) -> None:
    texts = ["rose", "fell", "rose"]
    with ExampleWriter(tmp_path / "examples.arrow") as writer:
        for line, text in enumerate(texts):
            writer.write(Kept(0, line, Labelled(text, "up")))
        writer.write(Kept(0, 3, None, "broken"))
    [rows] = Examples(tmp_path / "examples.arrow").batches()
    assert rows[0].content == rows[2].content != rows[1].content
    assert (len(rows[0].content), rows[3].content) == (16, "")
