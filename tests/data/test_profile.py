import json
from pathlib import Path

import pytest

from luthier.config import SourceConfig
from luthier.data.profile import profile
from luthier.errors import DataError


def test_a_labelled_table(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    rows = [
        (f"headline number {number} about the markets", number, ["up", "down", "up"][number % 3])
        for number in range(30)
    ]
    rows += [rows[0], ("", 30, "up")]
    path.write_text("Title,Number,Sentiment\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    seen = profile(str(path))
    assert (seen.kind, seen.encoding, seen.files, seen.rows) == ("csv", "utf-8", 1, 32)
    assert [(column.name, column.kind) for column in seen.columns] == [
        ("Title", "text"),
        ("Number", "number"),
        ("Sentiment", "text"),
    ]
    assert seen.columns[0].examples[0] == "headline number 0 about the markets"
    assert (seen.format, seen.roles) == ("labelled", {"text": "Title", "label": "Sentiment"})
    assert seen.labels == {"up": 21, "down": 10}
    assert (seen.median, seen.longest) == (36, 36)
    assert (seen.bad_rows, seen.first_bad) == (1, [f"{path}:33 column 'Title' is empty"])
    assert seen.exact_duplicates == 1
    assert (seen.language, seen.task) == ("en", "classification")


def test_half_a_character_is_counted_and_can_be_printed(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "Profit rose", "label": "up", "by": "\\ud83d"}\n{"text": "\\ud83d", "label": "up"}\n')
    seen = profile(str(path))
    assert seen.first_bad == [f"{path}:2 column 'text' has bytes that are no text"]
    assert [column.examples for column in seen.columns] == [["Profit rose", "\\ud83d"], ["up"], ["\\ud83d"]]


def test_columns_whose_names_say_nothing_are_told_by_their_values(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    stories = [{"id": n, "c1": f"a longer story about company {n * 7919}", "c2": "ab"[n % 2]} for n in range(40)]
    path.write_text("".join(json.dumps(row) + "\n" for row in stories))
    seen = profile(str(path))
    assert (seen.format, seen.roles) == ("labelled", {"text": "c1", "label": "c2"})
    assert seen.labels == {"a": 20, "b": 20}
    assert "'c2' has few values" in seen.reason


def test_a_column_that_counts_something_is_no_label(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n" + "".join(f"a longer story about company {n * 7919},{n % 4 + 7}\n" for n in range(60)))
    assert profile(str(path)).format is None


def test_nothing_is_guessed_when_nothing_can_be(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"x": n, "y": n * n}) + "\n" for n in range(40)))
    seen = profile(str(path))
    assert (seen.format, seen.roles, seen.task, seen.rows) == (None, {}, "unknown", 40)
    assert seen.reason == "no format fits these rows"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("公司第三季度净利润同比增长百分之二十", "zh"),
        ("Profit rose by a fifth in the third quarter", "en"),
        ("株価は上昇しました。利益が増えたためです", "other"),
        ("Прибыль выросла на двадцать процентов", "other"),
        ("123", "other"),
    ],
)
def test_language_by_letters(tmp_path: Path, text: str, language: str) -> None:
    path = tmp_path / "rows.txt"
    path.write_text(text + "\n", encoding="utf-8")
    seen = profile(str(path))
    assert (seen.language, seen.task, seen.labels) == (language, "text", {})


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        profile(str(tmp_path / "none.csv"))


def test_an_empty_file_is_told_not_raised(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("")
    seen = profile(str(path))
    assert (seen.rows, seen.bad_rows, seen.format, seen.reason) == (1, 1, None, "no row could be read")


@pytest.mark.real
def test_real_sets(shared_data: Path) -> None:
    bank = profile(str(shared_data / "financial_phrasebank" / "Sentences_75Agree.txt"))
    assert (bank.encoding, bank.rows, bank.format, bank.language) == ("latin-1", 3453, "phrasebank", "en")
    assert set(bank.labels) == {"negative", "neutral", "positive"}
    [table] = (shared_data / "cn_medical_dialogue_sample").glob("*.csv")
    dialogues = profile(str(table))
    assert (dialogues.encoding, dialogues.rows, dialogues.language) == ("gb18030", 7644, "zh")
    assert dialogues.roles == {"prompt": "ask", "response": "answer"}
    assert dialogues.task == "conversation"


def test_a_folder_is_one_set_and_says_what_it_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "a.jsonl").write_text('{"text": "Profit rose", "label": "up"}\n{"text": "", "label": "up"}\nno json\n')
    (folder / "b.csv").write_bytes("text,label\nBénéfice en hausse,up\nProfit  rose,up\n".encode("latin-1"))
    (folder / "c.bin").write_bytes(b"\0\1")
    seen = profile(str(folder))
    assert (seen.files, seen.unknown_files) == (2, [str(folder / "c.bin")])
    assert seen.encodings == {"utf-8": 1, "latin-1": 1}
    assert (seen.rows, seen.bad_rows, seen.exact_duplicates) == (5, 2, 1)
    assert sum(seen.bad_reasons.values()) == 2
    assert "column 'text' is empty" in seen.bad_reasons
    assert seen.scripts == {"Latin": 3}
    assert seen.remarks == [
        f"unreadable: 2 of 5 rows, such as {folder / 'a.jsonl'}:2 column 'text' is empty",
        f"left out: 1 files that are no rows, such as {folder / 'c.bin'}",
    ]


def test_a_source_may_say_more_than_its_path(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("Profit rose\nSales fell\n")
    (tmp_path / "note.md").write_text("# Note\n\nThe board met.\n")
    seen = profile(str(tmp_path))
    assert (seen.rows, seen.kinds) == (2, {"txt": 1})
    assert seen.remarks[-1].endswith("note.md; documents among them are read with {path: ..., documents: true}")
    assert profile(SourceConfig(path=str(tmp_path), documents=True)).rows == 2
    (tmp_path / "rows.csv").write_text("a,b\nProfit rose,up\nSales fell,down\n")
    told = profile(SourceConfig(path=str(tmp_path / "rows.csv"), columns={"text": "a", "label": "b"}))
    assert (told.format, told.roles, told.labels) == ("labelled", {"text": "a", "label": "b"}, {"up": 1, "down": 1})
    told = profile(SourceConfig(path=str(tmp_path / "rows.csv"), format="text", columns={"text": "a"}))
    assert (told.format, told.task, told.reason) == ("text", "text", "text, as it was told")


def test_near_duplicates_are_counted_besides_exact_ones(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    long = "Operating profit rose to EUR 13.1 mn from EUR 8.7 mn in the same period of the year before"
    path.write_text(f"{long}\n{long}!\n{long}\nnothing alike\n")
    seen = profile(str(path))
    assert (seen.exact_duplicates, seen.near_duplicates, seen.sampled) == (1, 1, 4)


def test_tokens_are_counted_batch_by_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luthier.data.tally._BATCH", 3)
    path = tmp_path / "rows.txt"
    path.write_text("".join(f"{'word ' * n}\n" for n in range(1, 8)))
    sizes = []

    def tokenizer(texts: list[str], **_: bool) -> dict[str, list[list[int]]]:
        sizes.append(len(texts))
        return {"input_ids": [[0] * len(text.split()) for text in texts]}

    seen = profile(str(path), tokenizer)
    assert sizes == [3, 3, 1]
    assert seen.tokens is not None
    assert (seen.tokens.median, seen.tokens.longest, seen.tokens.total) == (4, 7, 28)


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luthier.data.profile._TELL", 2)
    path = tmp_path / "rows.txt"
    path.write_text("one\ntwo\nthree\n")
    told: list[tuple[str, int, int | None]] = []
    profile(str(path), progress=lambda *facts: told.append(facts))
    assert told == [(f"reading {path}", 2, None), (f"reading {path}", 3, 3)]
