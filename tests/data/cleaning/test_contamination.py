import json

import pytest

from luthier.data.cleaning import DroppedRow
from luthier.data.examples import Conversation, Labelled, Message, Row
from luthier.errors import DataError

ROW = Row({}, "rows.jsonl", 1)
QUESTION = "A trader buys forty shares at six euros each and sells half of them at nine euros, what is her profit then"
CHINESE = "某公司第三季度营业收入为三百万元，同比增长百分之二十，问去年同期的收入是多少"


@pytest.fixture
def benchmark(tmp_path):
    """A benchmark of two questions, one of them Chinese, with a wording that all rows share."""
    rows = [{"id": "q1", "data": {"turns": [QUESTION, "yes"]}}, {"id": "q2", "question": CHINESE}]
    wording = "Answer the following question about finance and give your final answer as a single number please"
    rows += [{"prompt": f"{wording} {number}"} for number in "abcdefghijkl"]
    path = tmp_path / "traders.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def reason(made, text):
    try:
        made.repair(Labelled(text, "x"), ROW)
    except DroppedRow as error:
        return str(error)
    return None


def test_a_shared_run_names_the_benchmark_and_its_row(step, benchmark):
    made = step("contamination", benchmarks={"traders": benchmark})
    inside = "Read: a TRADER buys forty shares, at six euros each and sells half of them at... Well?"
    assert reason(made, inside) == "contamination: shares text with benchmark traders (traders.jsonl:1)"
    assert (
        reason(made, f"请回答：{CHINESE[:16]}") == "contamination: shares text with benchmark traders (traders.jsonl:2)"
    )
    assert reason(made, "A trader buys forty shares at six euros each and keeps them") is None, "eleven words"
    assert made.counts() == {"rows that share text with traders": 2}
    assert made.notes() == ["contamination: 2 rows share text with traders (dropped)"]


def test_the_wording_of_a_benchmark_is_not_its_content(step, benchmark):
    made = step("contamination", benchmarks={"traders": benchmark})
    wording = "Answer the following question about finance and give your final answer as a single number please: 5?"
    assert reason(made, wording) is None
    assert reason(made, "yes") is None
    assert reason(made, "q1") is None


def test_every_text_of_a_row_is_looked_at(step, benchmark):
    made = step("contamination", benchmarks={"traders": benchmark})
    chat = Conversation((Message("user", "Give me a problem"), Message("assistant", QUESTION)))
    with pytest.raises(DroppedRow):
        made.repair(chat, ROW)


def test_jaccard(step, benchmark):
    made = step("contamination", benchmarks={"traders": benchmark}, n=5, jaccard=0.6)
    assert reason(made, QUESTION + " tell me") is not None
    assert reason(made, f"{QUESTION} {CHINESE}") is None, "it is in there, but not the whole"


def test_files_are_part_of_the_digest_and_must_be_there(step, benchmark):
    assert [file.name for file in step("contamination", benchmarks={"a": benchmark}).files()] == [benchmark]
    with pytest.raises(DataError):
        step("contamination", benchmarks={"a": benchmark + ".gone"}).files()
