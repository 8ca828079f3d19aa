import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from luthier.config import RunConfig
from luthier.data.examples import Conversation, Labelled, Message, Pair, Preference
from luthier.data.hindsight import dates_in, hindsight
from luthier.data.intake import iterate_examples

MAY = datetime(2015, 5, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("on 2015-10-01 shares fell", date(2015, 10, 1)),
        ("on October 1, 2015", date(2015, 10, 1)),
        ("Oct. 1st 2015", date(2015, 10, 1)),
        ("the 1st of October 2015", date(2015, 10, 1)),
        ("1 Oct 2015", date(2015, 10, 1)),
        ("in October 2015", date(2015, 10, 1)),
        ("Q4 2015", date(2015, 10, 1)),
        ("the fourth quarter of 2015", date(2015, 10, 1)),
        ("in 2015", date(2015, 1, 1)),
        ("FY2015 results", date(2015, 1, 1)),
        ("2015年10月1日，公司宣布", date(2015, 10, 1)),
        ("2015 年 10 月", date(2015, 10, 1)),
        ("2015年的营收", date(2015, 1, 1)),
    ],
)
def test_dates_in_english_and_chinese(text: str, day: date) -> None:
    assert [found for found, _ in dates_in(text)] == [day]


@pytest.mark.parametrize(
    "text",
    [
        "2015 shares were sold",
        "EUR 2015 mn",
        "in 2015.5 units",
        "sales grew to 2,015",
        "2015-13-01",
        "code 120151001",
        "May rose",
    ],
)
def test_what_is_no_date(text: str) -> None:
    assert list(dates_in(text)) == []


def said(question: str, answer: str) -> Conversation:
    return Conversation((Message("user", question), Message("assistant", answer)))


@pytest.mark.parametrize("kind", ["conversation", "pair", "preference"])
def test_an_answer_that_knows_what_came_later(kind: str) -> None:
    question, answer = "What of the merger, as of 2015-05-01?", "It closed on 12 June 2015, after a vote in April 2015."
    example = {
        "conversation": said(question, answer),
        "pair": Pair(question, answer),
        "preference": Preference((Message("user", question),), answer, "It is open."),
    }[kind]
    assert hindsight(example, None) == "hindsight: the answer names 12 June 2015, after 2015-05-01"


def test_the_row_s_own_time_counts_too() -> None:
    example = said("What comes next?", "Rates rose in June 2015.")
    assert hindsight(example, MAY) == "hindsight: the answer names June 2015, after 2015-05-01"
    assert hindsight(example, None) is None, "nothing says when it was asked"


def test_what_the_prompt_asks_about_is_no_hindsight() -> None:
    assert (
        hindsight(said("What is expected for Q3 2015?", "Growth in August 2015.".replace("August", "July")), MAY)
        is None
    )
    assert hindsight(said("Summarise the news of May 1, 2015.", "The same day, 2015-05-01."), MAY) is None
    assert hindsight(Labelled("in 2014", "2016-01-01"), MAY) is None


def rows_of(tmp_path: Path, **data: object) -> list[tuple[str, str]]:
    path = tmp_path / "rows.jsonl"
    answers = ["It fell on 2015-06-01.", "It fell on 2015-04-01."]
    path.write_text(
        "".join(
            json.dumps({"prompt": "And then?", "response": answer, "date": "2015-05-01"}) + "\n" for answer in answers
        )
    )
    config = RunConfig.model_validate({"model": {"base": "none"}, "data": {"train": str(path), **data}})
    return [(row.reason, row.changes) for row in iterate_examples(config)]


FOUND = "hindsight: the answer names 2015-06-01, after 2015-05-01"


@pytest.mark.parametrize(
    ("data", "first"),
    [
        ({"split": {"by": "time:date"}}, ("", FOUND)),
        ({"split": {"by": "time:date"}, "hindsight": "drop"}, (FOUND, "")),
        ({"split": {"by": "time:date"}, "hindsight": "off"}, ("", "")),
        ({"split": {"by": "random"}}, ("", "")),
    ],
)
def test_what_becomes_of_such_rows(tmp_path: Path, data: dict, first: tuple[str, str]) -> None:
    assert rows_of(tmp_path, **data) == [first, ("", "")]
