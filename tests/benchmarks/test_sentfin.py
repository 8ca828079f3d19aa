"""Headlines with entities as rows for four tasks."""

import pytest
import sentfin


def test_every_mention_of_an_entity_is_tagged_and_the_longest_name_wins():
    title = "Kone Oyj's profit up, kone Oyj and KONE-Asia hire; Konecranes not"
    found = sentfin.tagged(title, {"Kone": "neutral", "Kone Oyj": "positive"})
    pairs = dict(zip(enumerate(found["words"]), found["tags"], strict=True))
    assert {place: (word, tag) for (place, word), tag in pairs.items() if tag != "O"} == {
        0: ("Kone", "B-positive"),
        1: ("Oyj", "I-positive"),
        7: ("kone", "B-positive"),
        8: ("Oyj", "I-positive"),
        10: ("KONE-Asia", "B-neutral"),
    }


def test_an_entity_that_is_not_there_leaves_the_headline_out():
    assert sentfin.tagged("Profit rose", {"Kone": "positive"}) is None
    assert sentfin.tagged("Profit rose", {" ": "positive"}) is None


def test_sentiments_as_labels_and_as_a_number():
    found = sentfin.rows(
        "Kone up, Neste down, Nokia up", {"Kone": "positive", "Neste": "negative", "Nokia": "positive"}
    )
    assert found["several"]["labels"] == ["negative", "positive"]
    assert found["mean"]["score"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["single"] is None
    assert sentfin.rows("Kone up", {"Kone": "positive"})["single"] == {"text": "Kone up", "label": "positive"}


def test_names_may_have_apostrophes(tmp_path):
    file = tmp_path / "set.csv"
    file.write_text(
        "S No.,Title,Decisions\n1,\"A, B's up\",\"{'A': 'neutral', 'B's': 'positive'}\"\n", encoding="utf-8"
    )
    assert list(sentfin.headlines(file)) == [("A, B's up", {"A": "neutral", "B's": "positive"})]


def test_the_files_are_made_when_they_are_not_there(tmp_path, monkeypatch):
    (tmp_path / "sentfin").mkdir()
    table = tmp_path / "sentfin" / "SEntFiN.csv"
    table.write_text("S No.,Title,Decisions\n1,Kone up,\"{'Kone': 'positive'}\"\n", encoding="utf-8")
    monkeypatch.setattr(sentfin, "DATA", tmp_path)
    monkeypatch.setattr(sentfin, "FOLDER", tmp_path / "made")
    assert (sentfin.made() / "entities.jsonl").read_text() == '{"words": ["Kone", "up"], "tags": ["B-positive", "O"]}\n'
    table.unlink()
    assert sentfin.made() == tmp_path / "made", "what is there is not made again"


@pytest.mark.real
def test_nearly_all_real_headlines_hold_their_entities(shared_data):
    made = [sentfin.tagged(*row) for row in sentfin.headlines(shared_data / "sentfin" / "SEntFiN.csv")]
    assert sum(row is not None for row in made) > 0.95 * len(made)
