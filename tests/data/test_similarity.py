import random

import numpy as np
import pytest

from luthier.data.similarity import Signatures, Signer, by_row, candidate_pairs, equal_to, jaccard, nearest_earlier

BASE = "Operating profit rose to EUR 13.1 mn from EUR 8.7 mn in the same period of the year before"


def sign(texts: list[str]) -> Signatures:
    signer = Signer()
    signer.add(texts[: len(texts) // 2])
    signer.add(texts[len(texts) // 2 :])
    return signer.finish()


def variants(count: int) -> list[str]:
    draw = random.Random(0)
    texts = []
    for _ in range(count):
        letters = list(BASE)
        for _ in range(draw.randrange(1, 10)):
            letters[draw.randrange(len(letters))] = draw.choice("abcdefgh")
        texts.append("".join(letters))
    return texts


def test_jaccard_by_hand() -> None:
    assert jaccard("abcdef", "abcdefg") == pytest.approx(2 / 3)  # abcde bcdef | cdefg
    assert jaccard("Profit  ROSE", "profit rose") == 1
    assert jaccard("ab", "ab") == 1
    assert jaccard("ab", "cd") == 0


def test_signatures_estimate_the_true_similarity() -> None:
    texts = [BASE, *variants(300)]
    signatures = sign(texts)
    errors = [
        (signatures.minhash[0] == signatures.minhash[place]).mean() - jaccard(BASE, texts[place])
        for place in range(1, len(texts))
    ]
    assert abs(np.mean(errors)) < 0.02
    assert np.std(errors) < 0.08


def test_no_near_duplicate_is_missed_and_none_invented() -> None:
    texts = [BASE, *variants(300)]
    signatures = sign(texts)
    found = nearest_earlier(signatures, np.arange(len(texts)), 0.8, texts.__getitem__)
    close = {place for place in range(1, len(texts)) if jaccard(BASE, texts[place]) >= 0.8}
    assert len(close) > 30
    assert close <= set(found)
    assert all(jaccard(texts[row], texts[kept]) >= 0.8 for row, kept in found.items())
    assert not set(found.values()) & set(found)


def test_rows_left_out_are_not_compared() -> None:
    texts = [BASE, BASE + "!", "something else entirely"]
    assert nearest_earlier(sign(texts), np.array([1, 2]), 0.8, texts.__getitem__) == {}


def test_equal_texts_but_for_spacing() -> None:
    signatures = sign(["profit rose", "Profit rose", "profit   rose ", "loss"])
    rows = np.arange(4)
    assert equal_to(signatures.exact, rows, rows).tolist() == [0, 1, 0, 3]
    assert equal_to(signatures.exact, np.array([2, 3]), np.array([0])).tolist() == [0, -1]
    assert equal_to(signatures.exact, rows, np.array([], np.int64)).tolist() == [-1] * 4


def test_references_are_found_in_a_crowd_of_others() -> None:
    texts = [BASE + f" {number}" for number in range(200)]
    rows = np.arange(200)
    references = rows == 150
    pairs = candidate_pairs(sign(texts), rows, 0.8, references)
    assert set(pairs[:, 1]) == {150}
    assert len(pairs) == 199


@pytest.mark.parametrize("texts", [[], ["", "a", "短句", "x" * 300_000]])
def test_odd_texts(texts: list[str]) -> None:
    signatures = sign(texts)
    assert signatures.minhash.shape == (len(texts), 64)
    assert len(candidate_pairs(signatures, np.arange(len(texts)), 0.8)) == 0


def test_a_near_duplicate_is_found_in_a_crowd_of_its_template() -> None:
    """Rows of one template agree in many bands without being near-duplicates; the one that is must not be lost."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklmnop", k=7)) for _ in range(4000)]
    crowd = [f"{BASE} {' '.join(draw.sample(words, 3))}" for _ in range(1500)]
    planted = [f"{text}s" for text in crowd[200:1500:13]]
    texts = crowd + planted
    found = nearest_earlier(sign(texts), np.arange(len(texts)), 0.85, texts.__getitem__)
    exact = [
        row
        for row in range(len(crowd), len(texts))
        if any(jaccard(texts[row], text) >= 0.85 for place, text in enumerate(crowd) if place not in found)
    ]
    assert len(exact) > 80
    assert len(set(exact) & set(found)) >= 0.98 * len(exact)


def test_pairs_come_row_by_row() -> None:
    pairs = np.array([[3, 0], [3, 1], [7, 3]])
    assert list(by_row(pairs)) == [(3, [0, 1]), (7, [3])]
    assert list(by_row(pairs[:0])) == []


def test_the_same_words_in_another_setting_are_no_duplicates() -> None:
    tools = ["", '["book"]', '["book"]', '["sing"]', ""]
    signer = Signer()
    signer.add([BASE] * 3, tools[:3])
    signer.add([BASE, BASE + "!"], tools[3:])
    signatures, rows = signer.finish(), np.arange(5)
    assert equal_to(signatures.exact, rows, rows).tolist() == [0, 1, 1, 3, 4]
    texts = [*[BASE] * 4, BASE + "!"]
    assert nearest_earlier(signatures, np.array([0, 1, 3, 4]), 0.8, texts.__getitem__) == {4: 0}


def test_parts_of_one_row_hide_no_duplicate_among_other_rows() -> None:
    texts = [BASE, BASE + " or so", BASE + " or so, in all of the markets"]
    assert jaccard(texts[0], texts[2]) < 0.8 < min(jaccard(texts[0], texts[1]), jaccard(texts[1], texts[2]))

    def related(row: int, other: int) -> bool:
        return {row, other} == {0, 1}

    assert nearest_earlier(sign(texts), np.arange(3), 0.8, texts.__getitem__, related) == {2: 1}
