"""Relevance and domain terms."""

import pytest
from pydantic import ValidationError

from luthier.data.examples import Document, Labelled, Pair

FINANCE = [
    "Operating profit rose to EUR 13.1 mn from EUR 8.7 mn",
    "Net sales of the group fell by seven per cent in the quarter",
    "The board proposes a dividend of forty cents a share",
    "净利润同比增长，营业收入下降",
]
OTHER = ["Boil the potatoes until they are soft and add butter", "The cat slept on the warm roof all afternoon"]


def examples(texts):
    return [Labelled(text, "x") for text in texts]


def test_domain_terms_count_rows(step, row_set):
    made = step("domain_terms", terms=["net sales", "Dividend", "净利润", "EBIT", "sale"])
    rows = examples([*FINANCE, "Net  SALES, net sales and a dividend"])
    assert made.judge(row_set(rows)) == {}
    assert made.counts() == {"net sales": 2, "Dividend": 2, "净利润": 1, "EBIT": 0, "sale": 0}
    assert made.notes() == ["domain_terms: 3 of 5 terms occur, 4 of 5 training rows have one; none has: EBIT, sale"]


def test_domain_terms_look_into_answers_and_can_drop(step, row_set, tmp_path):
    (tmp_path / "terms.txt").write_text("net sales\ndividend\n")
    made = step("domain_terms", file=str(tmp_path / "terms.txt"), minimum=1)
    rows = [Pair("销售额", "Net sales"), *examples(OTHER), Document("The dividend stays")]
    assert made.judge(row_set(rows)) == {
        1: "domain_terms: 0 terms, fewer than 1",
        2: "domain_terms: 0 terms, fewer than 1",
    }
    assert [file.name for file in made.files()] == [str(tmp_path / "terms.txt")]


def test_relevance_to_seeds(step, row_set, tmp_path):
    seeds = tmp_path / "seeds.txt"
    seeds.write_text("Net profit rose in the quarter\nThe group pays a dividend\n公司净利润增长\n", encoding="utf-8")
    made = step("relevance", seeds=str(seeds), threshold=0.1)
    judged = made.judge(row_set(examples(FINANCE + OTHER)))
    assert sorted(judged) == [4, 5]
    assert all(reason.startswith("relevance: similarity 0.0") for reason in judged.values())
    assert made.notes()[0].startswith("relevance: half of the rows have a similarity of 0.")
    assert [file.name for file in made.files()] == [str(seeds)]


def test_relevance_to_terms(step, row_set):
    made = step("relevance", terms=["profit", "sales", "dividend", "净利润"])
    assert sorted(made.judge(row_set(examples(FINANCE + OTHER)))) == [4, 5]
    assert made.judge(row_set([])) == {}


@pytest.mark.parametrize("name", ["relevance", "domain_terms"])
def test_something_must_be_looked_for(step, name):
    with pytest.raises(ValidationError):
        step(name)
