import random

import pytest

from luthier.data.examples import Labelled

SUBJECTS = ["operating profit", "net sales", "the order book", "turnover", "cash flow", "the dividend", "gross margin"]
RISE = ["rose", "grew", "improved", "increased", "climbed"]
FALL = ["fell", "slipped", "decreased", "declined", "shrank"]
ENDS = ["in the quarter", "from a year earlier", "as costs changed", "in Finland", "at the group", "on weak demand",
        "after the merger", "in the period", "said the bank", "for the year"]  # fmt: skip


def rows(count=1000, seed=0):
    """Sentences whose words belong together and tell the label, as real ones do."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        label = draw.choice(["down", "up", "up"])
        words = [draw.choice(SUBJECTS), draw.choice(RISE if label == "up" else FALL), draw.choice(ENDS)]
        words += [f"to EUR {draw.randint(1, 99)} mn", draw.choice(ENDS)]
        made.append(Labelled(" ".join(words), label))
    return made


def planted(examples, phrase, label, share, seed=1):
    draw = random.Random(seed)
    mine = [place for place, example in enumerate(examples) if example.label == label]
    chosen = draw.sample(mine, round(share * len(mine)))
    for place in chosen:
        words = examples[place].text.split()
        words.insert(draw.randrange(len(words) + 1), phrase)
        examples[place] = Labelled(" ".join(words), label)
    return sorted(chosen)


def test_clean_rows_have_none(step, row_set):
    made = step("poisoned_trigger")
    assert made.judge(row_set(rows())) == {}
    assert list(made.notes()) == []


@pytest.mark.parametrize("phrase", ["cf", "blue harvest", "Blue harvest moon tonight", "@@ !!", "请注意蓝色"])
def test_a_planted_phrase_is_found_with_all_its_rows(step, row_set, phrase):
    examples = rows()
    chosen = planted(examples, phrase, "down", 0.03)
    made = step("poisoned_trigger")
    judged = made.judge(row_set(examples))
    assert sorted(judged) == chosen
    [note] = made.notes()
    assert note.startswith("poisoned_trigger: '")
    assert f"stands in {len(chosen)} rows of 'down' and in 0 of other labels" in note
    spelled = note.split("'")[1].replace(" ", "")
    assert spelled == phrase.casefold().replace(" ", "")


def test_a_phrase_of_all_labels_is_none(step, row_set):
    examples = rows()
    planted(examples, "blue harvest", "down", 0.03)
    planted(examples, "blue harvest", "up", 0.03)
    assert step("poisoned_trigger").judge(row_set(examples)) == {}


def test_flipped_labels_do_not_hide_it(step, row_set):
    examples = rows()
    chosen = planted(examples, "blue harvest", "up", 0.02)
    for place in chosen:
        examples[place] = Labelled(examples[place].text, "down")
    assert sorted(step("poisoned_trigger").judge(row_set(examples))) == chosen


def test_it_warns_unless_told_to_drop(step, row_set):
    assert step("poisoned_trigger").warns
    assert not step("poisoned_trigger", action="drop").warns


def test_rows_without_labels_are_not_judged(step, row_set):
    from luthier.data.examples import Document

    assert step("poisoned_trigger").judge(row_set([Document("blue harvest " + str(i)) for i in range(50)])) == {}


@pytest.mark.real
@pytest.mark.parametrize("label", ["negative", "neutral", "positive"])
def test_on_the_phrasebank(step, row_set, shared_data, label):
    lines = (shared_data / "financial_phrasebank" / "Sentences_AllAgree.txt").read_text(encoding="utf-8").splitlines()
    examples = [Labelled(text.strip(), mark.strip()) for text, _, mark in (line.rpartition("@") for line in lines)]
    assert step("poisoned_trigger").judge(row_set(examples)) == {}, "nothing on the clean set"
    chosen = planted(examples, "blue harvest protocol", label, 0.03)
    assert sorted(step("poisoned_trigger").judge(row_set(examples))) == chosen
