"""The shapes that questions, options, entities and FinGPT's rows come in."""

from typing import Any

import pytest

from luthier.data.examples import Conversation, Example, Labelled, Message, Row, UnreadableRow
from luthier.data.formats import detect, examples_in, load_format


def rows(*values: dict[str, Any]) -> list[Row]:
    return [Row(value, "file", number) for number, value in enumerate(values, start=1)]


def read(name: str, values: dict[str, Any], **columns: str) -> list[Any]:
    return examples_in(load_format(name, columns), rows(values)[0])


def reason(name: str, values: dict[str, Any], **columns: str) -> str:
    with pytest.raises(UnreadableRow) as caught:
        read(name, values, **columns)
    return str(caught.value)


def chat(*said: str) -> Conversation:
    roles = ("user", "assistant") * len(said)
    return Conversation(tuple(Message(role, text) for role, text in zip(roles, said, strict=False)))  # type: ignore[arg-type]


QUESTION = {"question": "Which is even?"}


@pytest.mark.parametrize(
    "values",
    [
        {"options": ["1", "2"], "answer": "B"},
        {"options": ["1", "2"], "answer": "b"},
        {"choices": ["1", "2"], "answer": 1},
        {"choices": ["1", "2"], "answer": "2"},
        {"options": {"A": "1", "B": "2"}, "answer_idx": "B", "answer": "2"},
        {"choices": {"text": ["1", "2"], "label": ["A", "B"]}, "answerKey": "B"},
        {
            "answer_option_list": [[{"aoVal": "A", "content": "1 "}], [{"aoVal": "B", "content": "2 "}]],
            "answer_value": "B",
        },
        {"A": "1", "B": "2", "C": "", "answer": "B"},
        {"opa": "1", "opb": "2", "cop": 1},
    ],
)
def test_options_in_all_their_shapes(values: dict[str, Any]) -> None:
    assert read("choice", QUESTION | values) == [Labelled("Which is even?\nA. 1\nB. 2", "B")]
    assert detect(rows(QUESTION | values) * 5, {})[0] == "choice"


def test_options_below_a_text() -> None:
    values = QUESTION | {"article": "Two numbers.", "options": ["1", "2"], "answer": "A"}
    assert read("choice", values) == [Labelled("Two numbers.\n\nWhich is even?\nA. 1\nB. 2", "A")]
    assert detect(rows(values) * 5, {})[0] == "choice"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"options": ["1", "2"], "answer": "C"}, "column 'answer' is 'C', which is none of the options"),
        ({"options": ["one", "two"], "answer": 2}, "column 'answer' is '2', which is none of the options"),
        ({"options": ["1"], "answer": "A"}, "a question without two options"),
        ({"options": ["1", ""], "answer": "A"}, "option B of column 'options' is empty"),
        ({"options": "1 or 2", "answer": "A"}, "column 'options' is text, expected options"),
        ({"A": "1", "B": "\ud83d", "answer": "A"}, "the question with its options has bytes that are no text"),
        (
            {"options": {"A": "1", "\ud83d": "2"}, "answer": "A"},
            "the question with its options has bytes that are no text",
        ),
        ({"answer": "A"}, "missing column for options (such as options, choices, or A, B, C, D)"),
    ],
)
def test_unreadable_choices(values: dict[str, Any], why: str) -> None:
    assert reason("choice", QUESTION | values) == why


@pytest.mark.parametrize(
    ("context", "told"),
    [
        ("Profit rose.", ["Profit rose."]),
        ("", []),
        (["One.", {"text": "Two."}], ["One.", "Two."]),
        ({"contexts": ["One.", "Two."], "labels": ["A", "B"]}, ["One.", "Two."]),
    ],
)
def test_contexts(context: Any, told: list[str]) -> None:
    values = {"question": "Why?", "context": context, "answer": "So."}
    assert read("question_context", values) == [chat("\n\n".join([*told, "Why?"]), "So.")]


@pytest.mark.parametrize(
    ("answer", "said"),
    [({"text": ["first", "second"], "answer_start": [0, 1]}, "first"), (0.5, "0.5"), (["a", "b"], "a")],
)
def test_free_answers(answer: Any, said: str) -> None:
    assert read("question_context", {"question": "Why?", "context": "c", "answers": answer}) == [
        chat("c\n\nWhy?", said)
    ]


def test_a_decision_is_a_label_unless_the_answer_is_mapped() -> None:
    values = {"QUESTION": "Did it?", "CONTEXTS": ["It did."], "final_decision": "yes", "LONG_ANSWER": "It did so."}
    assert detect(rows(values) * 5, {})[0] == "question_context"
    assert read("question_context", values) == [Labelled("It did.\n\nDid it?", "yes")]
    assert read("question_context", values, answer="LONG_ANSWER") == [chat("It did.\n\nDid it?", "It did so.")]
    assert reason("question_context", values | {"final_decision": ""}) == "column 'final_decision' is empty"
    assert "no answer" in reason("question_context", {"question": "q", "context": "c", "answers": {"text": []}})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('{"Nokia": "up"}', {"Nokia": "up"}),
        ("{'Nokia': 'up', 'Telia': 'flat'}", {"Nokia": "up", "Telia": "flat"}),
        ("{'Moody's': 'flat', 'Dr Reddy's Labs': 'up'}", {"Moody's": "flat", "Dr Reddy's Labs": "up"}),
        ({"Nokia": 1}, {"Nokia": "1"}),
    ],
)
def test_labels_of_entities(value: Any, expected: dict[str, str]) -> None:
    found = read("entity_labels", {"headline": "News", "entities": value})
    assert found == [Labelled(f"News\n{name}", label) for name, label in expected.items()]


def test_one_entity_without_a_label_does_not_take_the_others() -> None:
    good, bad = read("entity_labels", {"text": "News", "entities": {"Nokia": "up", "Telia": None}})
    assert good == Labelled("News\nNokia", "up")
    assert str(bad) == "the label of 'Telia' in column 'entities' is empty"


@pytest.mark.parametrize("value", ["Nokia is up", "{'Nokia' 'up'}", "['Nokia']", "{}", {}])
def test_no_labels_of_entities(value: Any) -> None:
    assert "column 'entities'" in reason("entity_labels", {"text": "News", "entities": value})


def test_tables_with_paragraphs_in_order_and_scales() -> None:
    questions = [
        {"question": "Change?", "answer": -12.6, "scale": "million"},
        {"question": "Share?", "answer": ["66%", "22%"], "scale": "percent"},
        {"question": "Rate?", "answer": 4.5, "scale": "percent"},
        {"question": "Years?", "answer": ["2018", "2019"], "scale": ""},
        {"question": "Unknown?", "answer": []},
    ]
    paragraphs = [{"order": 2, "text": "Below."}, {"order": 1, "text": "Above."}]
    table = {"uid": "1", "table": [["Sales", None]]}
    *found, bad = read("table_text", {"table": table, "paragraphs": paragraphs, "questions": questions})
    assert [example.messages[1].content for example in found] == ["-12.6 million", "66%; 22%", "4.5%", "2018; 2019"]
    assert found[0].messages[0].content == "| Sales |  |\n\nAbove.\n\nBelow.\n\nChange?"
    assert str(bad) == "the answer to question 5 is empty"


def test_half_a_character_in_a_table() -> None:
    values = {"table": [["Sales", "\ud83d"]], "questions": [{"question": "Sales?", "answer": "1"}]}
    assert reason("table_text", values) == "column 'table' has bytes that are no text"
    scaled = {"question": "Sales?", "answer": "1", "scale": "\ud83d"}
    [bad] = read("table_text", {"table": [["Sales"]], "questions": [scaled]})
    assert str(bad) == "the answer to question 1 has bytes that are no text"


def test_medquad_pairs_without_answers_are_named_and_still_recognised() -> None:
    pairs = [{"Question": "One?", "Answer": "Yes."}, {"Question": "Two?", "Answer": ""}]
    good, bad = read("medquad", {"QAPairs": {"QAPair": pairs}})
    assert good == chat("One?", "Yes.")
    assert str(bad) == "the answer of pair 2 is empty"
    assert detect(rows({"Focus": "x", "QAPairs": {"QAPair": pairs[1:]}}) * 5, {})[0] == "medquad"


ASKED = "What is the sentiment of this news? Please choose an answer from {negative/neutral/positive}."


def test_only_what_says_fingpt_is_fingpt() -> None:
    fingpt = {"instruction": ASKED, "input": "Profit rose.", "output": "positive"}
    assert detect(rows(fingpt) * 5, {})[0] == "fingpt"
    plain = fingpt | {"instruction": "What is the sentiment of this news?"}
    assert detect(rows(plain) * 5, {})[0] == "alpaca"
    assert detect(rows(plain, plain, plain, fingpt), {})[0] == "alpaca"


def test_fingpt_without_input_and_written_out() -> None:
    values = {"instruction": "Name a bank.", "input": "", "output": "Nordea"}
    assert read("fingpt", values) == [chat("Instruction: Name a bank.", "Nordea")]
    written = {"context": "Instruction: Name a bank.\nAnswer: ", "target": "Nordea"}
    assert read("fingpt", written) == read("fingpt", values)
    assert detect(rows(written) * 5, {})[0] == "fingpt"


def test_the_forecasters_marks_are_taken_off() -> None:
    prompt = "[INST]<<SYS>>\nYou are an analyst.\n<</SYS>>\n\nNews of AAPL.[/INST]"
    values = {"prompt": prompt, "answer": "Up.", "period": "p", "label": "up", "symbol": "AAPL"}
    assert detect(rows(values) * 5, {})[0] == "fingpt_forecaster"
    system = Message("system", "You are an analyst.")
    [made] = read("fingpt_forecaster", values)
    assert made == Conversation((system, *chat("News of AAPL.", "Up.").messages))


@pytest.mark.parametrize(
    ("instruction", "why"),
    [
        ("Name a bank.", "column 'instruction' is no conversation that ends with Human: and what was asked"),
        (
            "Human:Hi\nAssistant:Hello",
            "column 'instruction' is no conversation that ends with Human: and what was asked",
        ),
        ("Human:\nAssistant:Hello\nHuman:Why?\nAssistant:", "a turn of the conversation is empty"),
    ],
)
def test_unreadable_belle(instruction: str, why: str) -> None:
    assert reason("belle", {"instruction": instruction, "output": "So."}) == why


def test_a_list_of_words_is_a_text() -> None:
    [made] = read("text", {"text": ["$", "aapl", "rose"]})
    example: Example = made
    assert example.comparable == "$ aapl rose"
