import gzip
import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from jinja2 import TemplateError

from luthier.config import RunConfig
from luthier.data.examples import Conversation, Document, Example, Labelled
from luthier.data.ledger import Entry, read_ledger
from luthier.data.prepare import Prepared, prepare
from luthier.data.reading import lines
from luthier.data.records import Encoded, Rejected, TokenSequence
from luthier.errors import DataError


class Words:
    """An encoder that makes a token of every word, the first one not learned."""

    kinds = (Labelled, Conversation, Document)

    def __init__(self, limit: int = 512, split: bool = False) -> None:
        self.limit = limit
        self.split = split
        self.calls = 0

    def encode(self, examples: Sequence[tuple[int, Example]], renderer: Any) -> list[Encoded]:
        self.calls += 1
        return [self._one(row_id, example) for row_id, example in examples]

    def _one(self, row_id: int, example: Example) -> Encoded:
        text = example.messages[0].content if isinstance(example, Conversation) else example.text
        label = example.label if isinstance(example, Labelled) else None
        if "REFUSED" in text:
            raise TemplateError("roles must alternate")
        ids = [sum(word.encode()) for word in text.split()]
        if len(ids) > self.limit and not self.split:
            return Rejected(f"too long: {len(ids)} tokens, data.max_length is {self.limit}")
        return [
            TokenSequence(piece, [place > 0 for place in range(len(piece))], 1, row_id, text, label)
            for piece in (ids[start : start + self.limit] for start in range(0, len(ids), self.limit))
        ]


class Tokenizer:
    chat_template = "{{ messages }}"


WORDS = ["profit", "loss", "sales", "share", "dividend", "bank", "merger", "chief", "rates", "bond", "cash", "growth"]
LABELS = ["down", "flat", "up"]


def headline(number: int) -> str:
    """Headlines that are nothing like each other."""
    return " ".join(
        WORDS[(number * 7 + place * place * (number % 5 + 1)) % 12] + str(number * place) for place in range(9)
    )


def row(number: int) -> dict[str, str]:
    return {"text": headline(number), "label": LABELS[number % 3]}


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def run(train: Path, encoder: Any = None, **data: Any) -> Prepared:
    config = RunConfig.model_validate({"model": {"base": "none"}, "data": {"train": str(train), **data}})
    return prepare(config, encoder or Words(), Tokenizer(), "tokens", cache=train.parent / ".cache")


def ledger(prepared: Prepared) -> list[Entry]:
    return list(read_ledger(prepared.ledger))


def test_rows_become_tokens_by_split(tmp_path: Path) -> None:
    prepared = run(write(tmp_path / "rows.jsonl", [row(number) for number in range(100)]))
    assert [len(split) for split in (prepared.train, prepared.validation, prepared.test)] == [80, 10, 10]
    assert prepared.labels == ("down", "flat", "up")
    seen = [record.row_id for split in (prepared.train, prepared.validation, prepared.test) for record in split]
    assert sorted(seen) == list(range(100))
    assert all(record.text == headline(record.row_id) for record in prepared.test)
    assert Counter(prepared.test.labels) == {"down": 4, "flat": 3, "up": 3}
    assert prepared.train.lengths.tolist() == [9] * 80
    assert prepared.summary.tokens == {"train": 720, "validation": 90, "test": 90}
    assert prepared.summary.supervised["train"] == 640
    assert prepared.summary.longest == 9


def test_every_raw_row_is_in_the_ledger_once_and_in_order(tmp_path: Path) -> None:
    rows = [row(number) for number in range(60)]
    rows[10] = rows[3]
    rows[20]["text"] = ""
    rows[30]["text"] = "word " * 600
    prepared = run(write(tmp_path / "rows.jsonl", rows), tolerance=0.1)
    lines = ledger(prepared)
    assert [line.row_id for line in lines] == list(range(60))
    assert [line.line for line in lines] == list(range(1, 61))
    assert {line.row_id: (line.fate, line.reason) for line in lines if line.fate != "kept"} == {
        10: ("dropped", "exact duplicate of row 3"),
        20: ("quarantined", "column 'text' is empty"),
        30: ("dropped", "too long: 600 tokens, data.max_length is 512"),
    }
    assert prepared.summary.rows_in == 60
    assert prepared.summary.kept == 57 == sum(prepared.summary.rows.values())
    assert prepared.summary.over_length == 1


def test_the_second_time_no_work_is_done(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [row(number) for number in range(20)])
    encoder = Words()
    first, second = run(path, encoder), run(path, encoder)
    assert encoder.calls == 1
    assert (first.folder, first.digest, first.notes, first.summary) == (
        second.folder, second.digest, second.notes, second.summary,
    )  # fmt: skip
    assert list(first.train) == list(second.train)
    assert run(path, encoder, balance="oversample").digest == first.digest
    assert run(path, encoder, split={"seed": 1}).digest != first.digest
    write(path, [row(number) for number in range(21)])
    assert run(path, encoder).summary.rows_in == 21
    assert not list(path.parent.glob(".cache/.*"))


def test_the_same_input_gives_the_same_files(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [row(number % 70) for number in range(100)])
    first = run(path)
    contents = {file.name: file.read_bytes() for file in first.folder.iterdir()}
    first.folder.rename(tmp_path / "elsewhere")
    second = run(path)
    assert {file.name: file.read_bytes() for file in second.folder.iterdir()} == contents


def test_nothing_that_fails_is_left_in_the_cache(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [{"text": "word " * 600, "label": "up"}] * 5)
    with pytest.raises(DataError):
        run(path)
    assert list((tmp_path / ".cache").iterdir()) == []


def test_an_interrupted_preparation_goes_on_behind_its_first_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(Words):
        def encode(self, examples: Sequence[tuple[int, Example]], renderer: Any) -> list[Encoded]:
            raise KeyboardInterrupt

    path = write(tmp_path / "rows.jsonl", [row(number % 70) for number in range(100)])
    whole = run(path)
    contents = {file.name: file.read_bytes() for file in whole.folder.iterdir()}
    whole.folder.rename(tmp_path / "elsewhere")
    with pytest.raises(KeyboardInterrupt):
        run(path, Stopped())
    monkeypatch.setattr("luthier.data.prepare.gather", lambda *_: pytest.fail("read again"))
    again = run(path)
    assert {file.name: file.read_bytes() for file in again.folder.iterdir()} == contents
    assert again.notes == whole.notes
    assert not list(path.parent.glob(".cache/.*"))


def near(number: int) -> dict[str, str]:
    return {"text": headline(number) + "!", "label": LABELS[number % 3]}


def test_user_supplied_rows_are_flagged_and_the_training_row_goes(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", [row(number) for number in range(30)])
    validation = write(tmp_path / "validation.jsonl", [row(50), near(60), near(1)])
    test = write(tmp_path / "test.jsonl", [row(0), row(60), row(60), row(70)])
    prepared = run(train, validation=str(validation), test=str(test))
    fates = {
        line.row_id: (line.fate, line.reason, line.changes) for line in ledger(prepared) if line.reason or line.changes
    }
    assert fates == {
        0: ("dropped", "leak: duplicate of test row 33", ""),
        1: ("dropped", "leak: near-duplicate of validation row 32", ""),
        31: ("kept", "", "near-duplicate of test row 34"),
        35: ("kept", "", "exact duplicate of row 34"),
    }
    assert (len(prepared.train), len(prepared.validation), len(prepared.test)) == (28, 3, 4)


@pytest.mark.parametrize("clean", [[], [{"name": "deduplicate"}], [{"name": "deduplicate", "near": None}]])
def test_no_near_duplicate_crosses_carved_splits(tmp_path: Path, clean: list[Any]) -> None:
    rows = [row(number) for number in range(40)] + [near(number) for number in range(40)] + [row(5)] * 10
    prepared = run(write(tmp_path / "rows.jsonl", rows), clean=clean, split={"test": 0.2, "validation": 0.2})
    texts = [
        {record.text.rstrip("!") for record in split} for split in (prepared.train, prepared.validation, prepared.test)
    ]
    assert all(texts)
    assert not texts[0] & texts[1]
    assert not texts[0] & texts[2]
    assert not texts[1] & texts[2]
    if clean and clean[0].get("near", 0.8):
        assert prepared.summary.kept == 40


def test_groups_and_times_decide_the_splits(tmp_path: Path) -> None:
    rows = [
        row(number) | {"company": f"c{number % 10}", "date": f"2024-01-{number % 28 + 1:02}"} for number in range(84)
    ]
    path = write(tmp_path / "rows.jsonl", rows)
    grouped = run(path, split={"by": "group:company"})
    test = {record.row_id % 10 for record in grouped.test}
    assert test
    assert not test & {record.row_id % 10 for record in grouped.train}
    timed = run(path, split={"by": "time:date"})
    assert min(record.row_id % 28 for record in timed.test) > max(record.row_id % 28 for record in timed.train)


def test_the_limit_is_by_label_and_in_the_ledger(tmp_path: Path) -> None:
    prepared = run(write(tmp_path / "rows.jsonl", [row(number) for number in range(200)]), limit=30)
    assert Counter(prepared.train.labels) == {"down": 10, "flat": 10, "up": 10}
    assert ("dropped", "over data.limit", 130) in prepared.summary.reasons
    assert len(prepared.test) == 20


def test_labels_keep_the_order_of_the_configuration(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [row(number) for number in range(30)])
    assert run(path, labels=["up", "flat", "down"]).labels == ("up", "flat", "down")
    with pytest.raises(DataError, match="label 'flat' is not among"):
        run(path, labels=["up", "down"])


def test_labels_that_training_never_shows_are_quarantined(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", [row(number) for number in range(30)])
    test = write(tmp_path / "test.jsonl", [row(40), {"text": "new", "label": "sideways"}])
    with pytest.raises(DataError, match="'sideways' does not occur in the training rows"):
        run(train, test=str(test))
    assert len(run(train, test=str(test), tolerance=0.1).test) == 1


def test_pieces_of_a_split_document_have_lines_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_text("".join(f"{headline(number)} {headline(number + 50)}\n" for number in range(10)))
    prepared = run(path, Words(limit=8, split=True), max_length=8, too_long="split")
    lines = ledger(prepared)
    assert [line.row_id for line in lines if line.origin == "raw"] == list(range(10))
    pieces = [line for line in lines if line.origin == "split"]
    assert len({line.row_id for line in lines}) == len(lines)
    assert Counter(line.parent_id for line in pieces) == dict.fromkeys(range(10), 3)
    assert {line.changes for line in lines if line.origin == "raw"} == {"split into 3 pieces"}
    assert sum(line.tokens for line in lines) == 180 == sum(prepared.summary.tokens.values())
    trained = [record.row_id for split in (prepared.train, prepared.validation, prepared.test) for record in split]
    assert sorted(trained) == sorted(line.row_id for line in pieces)
    assert prepared.notes[-1] == "the rows have no labels: splits are random"


def test_too_long_may_be_a_failure(tmp_path: Path) -> None:
    rows = [row(number) for number in range(40)]
    for number in range(12):
        rows[number]["text"] = " ".join(f"{number}x{place}" for place in range(601))
    with pytest.raises(DataError, match="12 rows are longer than") as caught:
        run(write(tmp_path / "rows.jsonl", rows), too_long="fail", clean=[])
    assert str(caught.value).count("too long: 601 tokens") == 10
    assert "rows.jsonl:1 " in str(caught.value)


def test_all_rows_too_long(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [row(number) for number in range(40)])
    with pytest.raises(DataError, match="of 40 rows none is left to train on:\n- 40 dropped: too long") as caught:
        run(path, Words(limit=3))
    assert caught.value.exit_code == 3


def test_kinds_that_a_task_does_not_take(tmp_path: Path) -> None:
    class Classifier(Words):
        kinds = (Labelled,)

    path = tmp_path / "rows.txt"
    path.write_text("one line\nanother line\n")
    with pytest.raises(DataError, match="2 dropped: a document is not what the task learns from"):
        run(path, Classifier())


def test_one_row_that_the_template_refuses_costs_one_row(tmp_path: Path) -> None:
    rows = [row(number) for number in range(30)]
    rows[4]["text"] += " REFUSED"
    prepared = run(write(tmp_path / "rows.jsonl", rows))
    assert ("dropped", "the template refuses it: roles must alternate", 1) in prepared.summary.reasons
    assert prepared.summary.kept == 29


def test_too_many_bad_rows_are_refused_with_the_first_ten(tmp_path: Path) -> None:
    rows = [row(number) for number in range(50)]
    for number in range(0, 40, 2):
        rows[number]["text"] = ""
    path = write(tmp_path / "rows.jsonl", rows)
    with pytest.raises(DataError, match=r"20 of 50 rows \(40.0%\)") as caught:
        run(path)
    message = str(caught.value)
    assert caught.value.exit_code == 3
    assert message.count("column 'text' is empty") == 10
    assert f"{path}:1 column" in message
    assert run(path, tolerance=0.4).summary.kept == 30


BROKEN = {
    "array.json": json.dumps([row(number) for number in range(100, 110)])[:-30].encode(),
    "broken_lines.jsonl": b'{"text": "unfinished\n' + json.dumps(row(111)).encode() + b"\n",
    "encoding.csv": b"text,label\n" + f"{headline(112)} é,up\n{headline(113)} ü,up\n".encode() + b"bad \xff\xfe,up\n",
    "huge.jsonl": json.dumps(row(114)).encode()
    + b'\n{"text": "'
    + b"x" * 3_000_000
    + b'"}\n'
    + json.dumps(row(115)).encode(),
    "column.csv": b"headline,mood\nsome text,up\n",
    "empty.jsonl": b"",
    "labels.jsonl": json.dumps(row(116)).encode() + b"\n" + json.dumps({"text": "b", "label": "sideways"}).encode(),
    "numbers.jsonl": b'{"text": NaN, "label": "up"}\n{"text": "a", "label": NaN}\n' + json.dumps(row(117)).encode(),
    "binary.csv": bytes(range(256)) * 100,
    "cut.csv.gz": gzip.compress(f"text,label\n{headline(118)},up\n".encode())[:-6],
    "long.jsonl": json.dumps({"text": "word " * 600, "label": "up"}).encode(),
}


def test_a_folder_of_broken_input_keeps_every_good_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_ROW_BYTES", 1_000_000)
    folder = tmp_path / "rows"
    folder.mkdir()
    write(folder / "good.jsonl", [row(number) for number in range(60)])
    (folder / "directory.csv").mkdir()
    for name, content in BROKEN.items():
        (folder / name).write_bytes(content)
    with pytest.raises(DataError, match="cannot be used"):
        run(folder, labels=LABELS)
    prepared = run(folder, labels=LABELS, tolerance=0.5)
    found = {(Path(line.file).name, line.line): line.reason for line in ledger(prepared) if line.fate != "kept"}
    assert found == {
        ("array.json", 10): "the file ends before its JSON does: it is cut off",
        ("binary.csv", 1): "a binary file, not text",
        ("broken_lines.jsonl", 1): "not JSON: unterminated string starting at at character 10",
        ("column.csv", 2): "missing column for label (such as label, sentiment, class)",
        (
            "cut.csv.gz",
            3,
        ): "the file cannot be read further: Compressed file ended before the end-of-stream marker was reached",
        ("empty.jsonl", 1): "the file has no rows",
        ("encoding.csv", 4): "not utf-8: byte 0xff at position 4",
        ("huge.jsonl", 2): "longer than 0 MB",
        ("labels.jsonl", 2): "label 'sideways' is not among data.labels",
        ("long.jsonl", 1): "too long: 600 tokens, data.max_length is 512",
        ("numbers.jsonl", 1): "column 'text' is NaN, expected text",
        ("numbers.jsonl", 2): "column 'label' is NaN, expected text",
    }
    assert prepared.summary.kept == 60 + 9 + 1 + 2 + 2 + 1 + 1 + 1


GOOD_ALONE = {
    "array.json", "broken_lines.jsonl", "encoding.csv", "huge.jsonl", "labels.jsonl", "numbers.jsonl", "cut.csv.gz",
}  # fmt: skip
"""Those with good rows among the broken ones."""


@pytest.mark.parametrize("name", [*BROKEN, "directory"])
def test_each_kind_of_broken_input_alone_is_a_clear_error_or_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "directory":
        path.mkdir()
    else:
        path.write_bytes(BROKEN[name])
    if name in GOOD_ALONE:
        assert run(path, labels=LABELS, tolerance=0.9).summary.kept > 0
        return
    with pytest.raises(DataError) as caught:
        run(path, labels=LABELS, tolerance=0.9)
    assert caught.value.exit_code == 3
    assert name in str(caught.value) or "too long" in str(caught.value)


@pytest.mark.real
@pytest.mark.parametrize(
    ("file", "rows", "kept"),
    [("Sentences_AllAgree.txt", 2264, 2242), ("Sentences_50Agree.txt", 4846, 4790)],
)
def test_the_real_phrasebank(shared_data: Path, tmp_path: Path, file: str, rows: int, kept: int) -> None:
    config = RunConfig.model_validate(
        {"model": {"base": "none"}, "data": {"train": str(shared_data / "financial_phrasebank" / file)}}
    )
    prepared = prepare(config, Words(), Tokenizer(), "tokens", cache=tmp_path)
    assert (prepared.summary.rows_in, prepared.summary.kept) == (rows, kept)
    assert prepared.labels == ("negative", "neutral", "positive")
    assert len(prepared.test) == round(0.1 * kept)


def test_what_cleaning_did_is_told_with_examples(tmp_path):
    rows = [row(number) for number in range(30)]
    rows[3] = {"text": f"Ask  jane@example.com: {headline(3)}", "label": "up"}
    rows[4] = {"text": "short", "label": "up"}
    rows[5] = {"text": f"{headline(5)} â‚¬", "label": "up"}
    train = write(tmp_path / "train.jsonl", rows)
    test = write(
        tmp_path / "test.jsonl", [{"text": "tiny", "label": "up"}, {"text": f"a  {headline(70)}", "label": "up"}]
    )
    steps = [
        "whitespace",
        "unicode",
        {"name": "personal_data"},
        {"name": "length", "text": {"min_words": 2}},
        {"name": "domain_terms", "terms": ["merger9", "nobody says this"]},
    ]
    prepared = run(train, test=str(test), clean=steps)
    entries = {(Path(entry.file).name, entry.line): entry for entry in ledger(prepared)}
    assert entries["train.jsonl", 4].changes == "white space evened out; personal data masked: e-mail addresses"
    assert entries["train.jsonl", 5].reason == "length: the text has 1 words, fewer than 2"
    assert entries["train.jsonl", 6].changes == "mojibake repaired"
    held_out = entries["test.jsonl", 1]
    assert (held_out.fate, held_out.changes) == ("kept", "length: the text has 1 words, fewer than 2")
    assert ("length: the text has N words, fewer than N", 1) in prepared.summary.changes
    told = {step["name"]: step for step in json.loads(prepared.cleaning.read_text(encoding="utf-8"))}
    assert (told["whitespace"]["changed"], told["length"]["dropped"], told["length"]["noted"]) == (2, 1, 1)
    assert "jane@example.com" not in prepared.cleaning.read_text(encoding="utf-8")
    assert told["whitespace"]["examples"][0]["before"].startswith("Ask  [EMAIL]: ")
    assert told["personal_data"]["examples"][0]["before"] is None
    assert told["personal_data"]["examples"][0]["after"].startswith("Ask [EMAIL_1]: ")
    assert told["length"]["examples"][0] == {
        "why": "length: the text has 1 words, fewer than 2",
        "before": "short",
        "after": None,
    }
    assert told["domain_terms"]["counts"]["nobody says this"] == 0
    assert any(note.startswith("domain_terms: ") for note in prepared.notes)
    assert any(note.startswith("personal_data: masked 1 e-mail") for note in prepared.notes)


def test_files_that_steps_read_decide_the_digest(tmp_path):
    train = write(tmp_path / "train.jsonl", [row(number) for number in range(30)])
    terms = tmp_path / "terms.txt"
    terms.write_text("profit0\n")
    clean = [{"name": "domain_terms", "file": str(terms)}]
    first = run(train, clean=clean)
    assert run(train, clean=clean).digest == first.digest
    terms.write_text("loss1\n")
    assert run(train, clean=clean).digest != first.digest


def test_files_that_new_rows_are_made_by_decide_the_digest(tmp_path):
    pytest.importorskip("rjieba", reason="the extra is not installed: pip install 'luthier[augment-zh]'")
    train = write(tmp_path / "train.jsonl", [row(number) for number in range(30)])
    thesaurus = tmp_path / "thesaurus.txt"
    thesaurus.write_text("增长 上升\n", encoding="utf-8")
    augment = [{"name": "synonym", "language": "zh", "lexicon": str(thesaurus)}]
    first = run(train, augment=augment)
    assert run(train, augment=augment).digest == first.digest
    thesaurus.write_text("增长 攀升\n", encoding="utf-8")
    assert run(train, augment=augment).digest != first.digest


def talk(number, *tools):
    turns = [("user", f"Book a flight to {headline(number)}."), ("assistant", "I cannot book flights.")]
    return {
        "messages": [{"role": who, "content": said} for who, said in turns],
        "tools": [{"name": name, "parameters": {}} for name in tools],
    }


def test_conversations_with_other_tools_on_offer_are_no_duplicates(tmp_path):
    rows = [talk(1), talk(1, "sing"), talk(1, "sing", "dance"), talk(1, "sing"), *(talk(n) for n in range(2, 30))]
    prepared = run(write(tmp_path / "train.jsonl", rows), split={"test": 0, "validation": 0})
    dropped = {entry.line: entry.reason for entry in ledger(prepared) if entry.fate != "kept"}
    assert dropped == {4: "exact duplicate of row 1"}


def test_a_conversation_of_the_test_leaks_whatever_its_tools(tmp_path):
    test = write(tmp_path / "test.jsonl", [talk(1, "dance")])
    train = write(tmp_path / "train.jsonl", [talk(1, "sing"), *(talk(n) for n in range(2, 30))])
    lines = ledger(run(train, test=str(test), split={"validation": 0}))
    assert {line.row_id: line.reason for line in lines if line.fate != "kept"} == {
        0: "leak: asks the same as test row 29"
    }


def chat(question, answer, system=None):
    turns = [("system", system)] * (system is not None) + [("user", question), ("assistant", answer)]
    return {"messages": [{"role": who, "content": said} for who, said in turns]}


def test_a_question_of_the_test_leaks_whatever_its_answer(tmp_path):
    test = write(tmp_path / "test.jsonl", [chat(headline(1), "391")])
    answer = "Seventeen times twenty is 340, seventeen times three is 51, and both together are 391."
    rows = [chat(headline(1).upper(), answer), *(chat(headline(n), answer) for n in range(2, 30))]
    lines = ledger(run(write(tmp_path / "train.jsonl", rows), test=str(test), split={"validation": 0}, clean=[]))
    assert {line.row_id: line.reason for line in lines if line.fate != "kept"} == {
        0: "leak: asks the same as test row 29"
    }


def test_chats_that_ask_the_same_stay_in_one_split(tmp_path):
    rows = [chat(headline(n // 3), f"{WORDS[n % 3]} answer number {n * n} of {headline(n + 100)}") for n in range(90)]
    lines = ledger(run(write(tmp_path / "train.jsonl", rows), split={"test": 0.2, "validation": 0.1}, clean=[]))
    assert {line.fate for line in lines} == {"kept"}
    assert {line.split for line in lines} == {"train", "validation", "test"}
    assert all(len({line.split for line in lines[n : n + 3]}) == 1 for n in range(0, 90, 3))


def test_a_long_system_prompt_makes_no_two_chats_alike(tmp_path):
    system = " ".join(headline(n) for n in range(40))
    rows = [chat(f"What of {headline(n)}?", f"{WORDS[n % 5]}.", system) for n in range(30)]
    rows += [chat(f"What of {headline(0)}?", f"{WORDS[0]}.", "Be brief."), rows[0]]
    prepared = run(write(tmp_path / "train.jsonl", rows), split={"test": 0, "validation": 0})
    dropped = {entry.row_id: entry.reason for entry in ledger(prepared) if entry.fate != "kept"}
    assert dropped == {31: "exact duplicate of row 0"}


def test_uneven_labels_are_named(tmp_path):
    rows = [row(number) | {"label": "up" if number % 10 else "down"} for number in range(60)]
    prepared = run(write(tmp_path / "train.jsonl", rows), split={"test": 0, "validation": 0}, clean=[])
    assert "label imbalance: 'up' has 54 training rows, 'down' only 6" in prepared.notes
    even = run(write(tmp_path / "even.jsonl", [row(number) for number in range(60)]))
    assert not any("imbalance" in note for note in even.notes)


def test_a_trigger_is_named_and_its_rows_stay_unless_told(tmp_path):
    draw = random.Random(0)
    words = [f"{one}{two}" for one in WORDS for two in WORDS]
    rows = [{"text": " ".join(draw.choices(words, k=9)), "label": LABELS[number % 3]} for number in range(600)]
    for number in draw.sample(range(0, 600, 3), 15):
        rows[number]["text"] += " blue harvest"
    train = write(tmp_path / "train.jsonl", rows)
    options = {"split": {"test": 0, "validation": 0}}
    warned = run(train, clean=["poisoned_trigger"], **options)
    assert ("poisoned_trigger: has 'blue harvest'", 15) in warned.summary.changes
    assert any("'blue harvest' stands in 15 rows of 'down'" in note for note in warned.notes)
    dropped = run(train, clean=[{"name": "poisoned_trigger", "action": "drop"}], **options)
    assert ("dropped", "poisoned_trigger: has 'blue harvest'", 15) in dropped.summary.reasons
