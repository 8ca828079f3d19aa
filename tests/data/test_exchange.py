"""From one format into another, and several files into one."""

import json
from pathlib import Path
from typing import Any

import pytest

from luthier.config import SourceConfig
from luthier.data.exchange import Exchange, convert, merge
from luthier.errors import ConfigError, DataError


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def converted(source: Path, to: str, output: Path, **options: Any) -> Exchange:
    return convert(SourceConfig(path=str(source), **options), to, output, lambda done: None)


def merged(output: Path, *sources: Path, to: str | None = None) -> Exchange:
    return merge([SourceConfig(path=str(source)) for source in sources], to, output, lambda done: None)


def test_every_row_is_written_refused_or_unreadable(tmp_path: Path) -> None:
    rows = write(
        tmp_path / "rows.jsonl",
        {"instruction": "公司？", "input": "", "output": "是。"},
        "{broken",
        {"instruction": "Why?", "input": "", "output": ""},
        {"instruction": "Why?", "input": "", "output": "So.", "history": [["Up?", "Up."]]},
        {"instruction": "Why?", "input": "it rose", "output": "So.", "system": "Be brief."},
    )
    made = converted(rows, "prompt_response", tmp_path / "out.jsonl")
    assert read(tmp_path / "out.jsonl") == [{"prompt": "公司？", "response": "是。"}]
    assert "公司" in (tmp_path / "out.jsonl").read_text(encoding="utf-8")
    [tally] = made.tallies
    assert (tally.read, tally.written, tally.format) == (5, 1, "alpaca")
    assert sum(tally.unreadable.values()) == 2
    assert tally.unreadable["column 'output' is empty"] == 1
    assert dict(tally.refused) == {
        "more than one question and answer": 1,
        "a system message has no place in this format": 1,
    }
    assert tally.first[1:] == [
        f"{rows}:3 column 'output' is empty",
        f"{rows}:4 more than one question and answer",
        f"{rows}:5 a system message has no place in this format",
    ]


def test_half_a_character_costs_its_row_only(tmp_path: Path) -> None:
    def row(said: str) -> dict[str, Any]:
        call = {"from": "function_call", "value": json.dumps({"name": "price", "arguments": {"of": said}})}
        turns = [{"from": "human", "value": "Up?"}, call, {"from": "gpt", "value": "Up."}]
        return {"conversations": turns, "tools": json.dumps([{"name": said}])}

    rows = write(tmp_path / "rows.jsonl", row("AAPL"), row("\ud83d"))
    [tally] = merged(tmp_path / "out.jsonl", rows).tallies
    assert (tally.written, sum(tally.unreadable.values())) == (1, 1)


def test_columns_that_play_no_role_are_named(tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.jsonl", {"id": 7, "text": "Profit rose", "label": "up", "date": "2024-01-05"})
    made = converted(rows, "labelled", tmp_path / "out.jsonl")
    assert list(made.tallies[0].left_out) == ["id", "date"]
    nested = write(tmp_path / "pairs.jsonl", {"translation": {"en": "Profit rose", "zh": "利润增长"}})
    assert not converted(nested, "pair", tmp_path / "out.jsonl").tallies[0].left_out


def test_there_and_back_again(tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "price", "arguments": {"of": "AAPL"}}}
    turns = [
        {"role": "user", "content": "AAPL?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "3", "tool_call_id": "c1"},
        {"role": "assistant", "content": "It is 3."},
    ]
    first = write(tmp_path / "a.jsonl", {"messages": turns, "tools": [{"name": "price"}]})
    converted(first, "sharegpt", tmp_path / "b.jsonl")
    assert read(tmp_path / "b.jsonl")[0]["conversations"][1]["from"] == "function_call"
    converted(tmp_path / "b.jsonl", "messages", tmp_path / "c.jsonl")
    assert read(tmp_path / "c.jsonl") == read(first)


def test_a_row_of_several_examples_becomes_several_rows(tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.jsonl", {"title": "News", "entities": {"Nokia": "up", "Telia": "down"}})
    made = converted(rows, "labelled", tmp_path / "out.jsonl")
    assert read(tmp_path / "out.jsonl") == [
        {"text": "News\nNokia", "label": "up"},
        {"text": "News\nTelia", "label": "down"},
    ]
    assert made.tallies[0].read == 2


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = write(tmp_path / "rows.jsonl", *[{"text": f"row {n}", "label": "up"} for n in range(5)])
    output = write(tmp_path / "out.jsonl", {"mine": 1})

    def full(file: Any, row: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("luthier.data.row_files._add", full)
    with pytest.raises(OSError, match="No space"):
        converted(rows, "labelled", output)
    assert read(output) == [{"mine": 1}]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "rows.jsonl"]


def test_what_cannot_be_done_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.jsonl", {"text": "Profit rose", "label": "up"})
    with pytest.raises(DataError, match="nothing can be written as text"):
        converted(rows, "text", tmp_path / "out.jsonl")
    with pytest.raises(ConfigError, match="can only be read") as caught:
        converted(rows, "phrasebank", tmp_path / "out.jsonl")
    assert "sharegpt" in str(caught.value.expected)
    with pytest.raises(ConfigError, match="did you mean 'alpaca'"):
        converted(rows, "alpacca", tmp_path / "out.jsonl")
    with pytest.raises(ConfigError, match="cannot be written at the same time"):
        converted(rows, "labelled", rows)
    assert not (tmp_path / "out.jsonl").exists()


def test_files_of_several_formats_become_one_of_messages(tmp_path: Path) -> None:
    one = write(tmp_path / "one.jsonl", *[{"question": f"Why {n}?", "answer": "So."} for n in (1, 2, 2)])
    two = write(
        tmp_path / "two.jsonl",
        {"instruction": "Why 2?", "input": "", "output": "So."},
        {"instruction": "Why 3?", "output": "So."},
    )
    (tmp_path / "three.csv").write_text("headline,sentiment\nProfit rose,up\nCosts fell,\n")
    made = merged(tmp_path / "out.jsonl", one, two, tmp_path / "three.csv")
    rows = read(tmp_path / "out.jsonl")
    assert (made.format, made.written) == ("messages", 6)
    assert [row["source"] for row in rows] == [str(one)] * 3 + [str(two)] * 2 + [str(tmp_path / "three.csv")]
    assert rows[5]["messages"] == [{"role": "user", "content": "Profit rose"}, {"role": "assistant", "content": "up"}]
    first, second, third = made.tallies
    assert (first.repeated, dict(first.shared)) == (1, {})
    assert (second.repeated, dict(second.shared)) == (0, {str(one): 1})
    assert (third.read, third.written, sum(third.unreadable.values())) == (2, 1, 1)


def test_the_same_conversation_with_other_tools_is_another_row(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    one = write(
        tmp_path / "one.jsonl", *[{"messages": turns, "tools": [{"name": name}]} for name in ("sing", "dance", "sing")]
    )
    [tally] = merged(tmp_path / "out.jsonl", one).tallies
    assert (tally.written, tally.repeated) == (3, 1)


def test_files_of_one_kind_keep_their_kind(tmp_path: Path) -> None:
    one = write(tmp_path / "one.jsonl", {"text": "Profit rose", "label": "up"})
    (tmp_path / "two.txt").write_text("Costs fell@down\nSales fell@down\n")
    made = merged(tmp_path / "out.jsonl", one, tmp_path / "two.txt")
    assert made.format == "labelled"
    assert read(tmp_path / "out.jsonl")[1] == {"text": "Costs fell", "label": "down", "source": f"{tmp_path}/two.txt"}


def test_a_merged_file_is_read_by_the_format_it_was_written_in(tmp_path: Path) -> None:
    pairs = write(tmp_path / "pairs.jsonl", {"en": "Profit rose.", "zh": "利润增长。"})
    merged(tmp_path / "out.jsonl", pairs)
    made = converted(tmp_path / "out.jsonl", "pair", tmp_path / "again.jsonl")
    assert made.tallies[0].format == "pair"
    assert read(tmp_path / "again.jsonl") == [{"source_text": "Profit rose.", "target_text": "利润增长。"}]


def test_kinds_that_do_not_go_together_need_a_format(tmp_path: Path) -> None:
    one = write(tmp_path / "one.jsonl", {"text": "Profit rose", "label": "up"})
    two = write(tmp_path / "two.jsonl", {"text": "A whole document."})
    with pytest.raises(ConfigError, match="no format holds all") as caught:
        merged(tmp_path / "out.jsonl", one, two)
    assert caught.value.where == f"{one}: a labelled text, {two}: running text"
    made = merged(tmp_path / "out.jsonl", one, two, to="labelled")
    assert [tally.written for tally in made.tallies] == [1, 0]
    assert sum(made.tallies[1].refused.values()) == 1


def test_progress_counts_over_all_sources(tmp_path: Path) -> None:
    files = [
        write(tmp_path / f"{name}.jsonl", *[{"text": f"{name} {n}", "label": "up"} for n in range(1500)])
        for name in "ab"
    ]
    told: list[int] = []
    merge([SourceConfig(path=str(file)) for file in files], None, tmp_path / "out.jsonl", told.append)
    assert told == [1000, 1500, 2500, 3000]


def test_a_table_holds_flat_rows_and_refuses_others(tmp_path: Path) -> None:
    turns = [("user", "Why?"), ("assistant", "So."), ("user", "And?"), ("assistant", "That.")]
    chat = write(
        tmp_path / "chat.jsonl",
        *[{"messages": [{"role": who, "content": said} for who, said in turns[:count]]} for count in (2, 4, 2)],
    )
    for name in ("rows.csv", "rows.parquet"):
        [tally] = converted(chat, "alpaca", tmp_path / name).tallies
        kind = name.partition(".")[2]
        assert dict(tally.refused) == {f"column 'history' has parts, for which {kind} has no room: write .jsonl": 1}
        back = converted(tmp_path / name, "messages", tmp_path / "back.jsonl")
        assert (back.tallies[0].format, back.written) == ("alpaca", 2)
        assert read(tmp_path / "back.jsonl")[0] == read(chat)[0]
    with pytest.raises(DataError, match="nothing can be written as sharegpt"):
        converted(chat, "sharegpt", tmp_path / "turns.csv")
    assert not (tmp_path / "turns.csv").exists()
