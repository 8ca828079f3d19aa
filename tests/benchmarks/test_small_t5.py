"""What the small T5 learns from: gaps that can be filled again, and rows of the shapes that its sources have."""

import random

import pytest
import small_t5


@pytest.mark.parametrize("length", [8, 15, 16, 64])
def test_a_gap_and_what_stood_in_it_make_the_text_again(length):
    text = " ".join(f"word{number}" for number in range(length))
    row = small_t5.corrupted(text, random.Random(length))
    gaps = row["target"].split("<extra_id_")[1:]
    assert len(gaps) == length // 8
    whole = row["source"]
    for gap in gaps:
        number, words = gap.split("> ")
        whole = whole.replace(f"<extra_id_{number}>", words.strip())
    assert whole == text
    assert row["source"] != text


def test_texts_too_short_for_a_gap_are_left_out():
    long = " ".join(["word"] * 100)
    assert small_t5.long_enough(["too short", long, long]) == [" ".join(["word"] * 64)]


def test_the_tokenizer_writes_labels_in_one_piece_and_marks_gaps():
    texts = [f"Profit rose by {number} % , said the bank ." for number in range(50)]
    texts += [f"{label} or {label}ly" for label in small_t5.LABELS]
    tokenizer = small_t5.train_tokenizer(texts)
    for label in small_t5.LABELS:
        assert len(tokenizer(label)["input_ids"]) == 2
    assert tokenizer("Profit rose .")["input_ids"] == tokenizer("profit rose.")["input_ids"]
    [gap, end] = tokenizer("<extra_id_3>")["input_ids"]
    assert (gap, end) == (tokenizer.convert_tokens_to_ids("<extra_id_3>"), tokenizer.eos_token_id)
    assert tokenizer.decode(tokenizer("neutral")["input_ids"], skip_special_tokens=True) == "neutral"
