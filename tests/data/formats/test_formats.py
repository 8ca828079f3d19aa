import json
import math
from pathlib import Path
from typing import Any

import pytest

from luthier import registry
from luthier.config import SourceConfig
from luthier.data.examples import (
    Conversation,
    Document,
    Labelled,
    Message,
    MultiLabelled,
    Pair,
    Preference,
    Row,
    Scored,
    TaggedWords,
    UnreadableRow,
)
from luthier.data.formats import detect, load_format
from luthier.data.reading.sources import read_rows
from luthier.errors import DataError


def rows(*values: dict[str, Any]) -> list[Row]:
    return [Row(value, "file", number) for number, value in enumerate(values, start=1)]


def example(name: str, values: dict[str, Any], **columns: str) -> Any:
    return load_format(name, columns).example(rows(values)[0])


def reason(name: str, values: dict[str, Any], **columns: str) -> str:
    with pytest.raises(UnreadableRow) as caught:
        example(name, values, **columns)
    return str(caught.value)


TURNS = [{"role": "user", "content": "Up or down?"}, {"role": "assistant", "content": "Up."}]
SHARED = [{"from": "human", "value": "Up or down?"}, {"from": "gpt", "value": "Up."}]
CHAT = (Message("user", "Up or down?"), Message("assistant", "Up."))

TAGGED = {"tokens": ["Profit", "rose"], "ner_tags": ["B-ITEM", "O"]}
SEVERAL = MultiLabelled("Profit rose", ("results", "up"))

TYPICAL: dict[str, tuple[dict[str, Any], Any]] = {
    "multi_labelled": ({"text": "Profit rose", "labels": ["results", "up"]}, SEVERAL),
    "scored": ({"headline": "Profit rose", "score": 0.7}, Scored("Profit rose", 0.7)),
    "tagged": (TAGGED, TaggedWords(("Profit", "rose"), ("B-ITEM", "O"))),
    "labelled": ({"Sentence": "Profit rose", "Sentiment": " up "}, Labelled("Profit rose", "up")),
    "prompt_response": ({"question": "Up or down?", "answer": "Up."}, Conversation(CHAT)),
    "alpaca": ({"instruction": "Up or down?", "input": "", "output": "Up."}, Conversation(CHAT)),
    "messages": ({"messages": TURNS}, Conversation(CHAT)),
    "sharegpt": ({"conversations": SHARED}, Conversation(CHAT)),
    "text": ({"text": "Profit rose."}, Document("Profit rose.")),
    "pair": ({"source": "Profit rose", "target": "利润增长"}, Pair("Profit rose", "利润增长")),
    "preference": (
        {"prompt": "Up or down?", "chosen": "Up.", "rejected": "Down."},
        Preference((Message("user", "Up or down?"),), "Up.", "Down."),
    ),
    "phrasebank": ({"text": "Ask us @ the bank@neutral"}, Labelled("Ask us @ the bank", "neutral")),
    "belle": (
        {"instruction": "Human:Up?\nAssistant:Up.\nHuman:Sure?\nAssistant:", "output": "Yes."},
        Conversation(
            (
                Message("user", "Up?"),
                Message("assistant", "Up."),
                Message("user", "Sure?"),
                Message("assistant", "Yes."),
            )
        ),
    ),
    "fingpt": (
        {"instruction": "Choose an answer from {up/down}.", "input": "Profit rose.", "output": "up"},
        Conversation(
            (
                Message("user", "Instruction: Choose an answer from {up/down}.\nInput: Profit rose."),
                Message("assistant", "up"),
            )
        ),
    ),
    "fingpt_forecaster": (
        {"prompt": "Up or down?", "answer": "Up.", "period": "2024-01-07_2024-01-14", "label": "up", "symbol": "AAPL"},
        Conversation(CHAT),
    ),
    "question_context": (
        {"question": "Did it rise?", "context": ["Profit rose.", "Costs fell."], "answer": "Yes."},
        Conversation((Message("user", "Profit rose.\n\nCosts fell.\n\nDid it rise?"), Message("assistant", "Yes."))),
    ),
    "choice": (
        {"question": "1 + 1?", "options": ["1", "2", "3"], "answer": "B"},
        Labelled("1 + 1?\nA. 1\nB. 2\nC. 3", "B"),
    ),
    "entity_labels": (
        {"title": "Nokia gains on Ericsson", "decisions": {"Nokia": "up", "Ericsson": "down"}},
        [Labelled("Nokia gains on Ericsson\nNokia", "up"), Labelled("Nokia gains on Ericsson\nEricsson", "down")],
    ),
    "table_text": (
        {"table": [["", "2024"], ["Sales", "12"]], "questions": [{"question": "Sales?", "answer": 12}]},
        [Conversation((Message("user", "|  | 2024 |\n| Sales | 12 |\n\nSales?"), Message("assistant", "12")))],
    ),
    "medquad": (
        {"QAPairs": {"QAPair": {"Question": {"qtype": "direction", "text": "Up or down?"}, "Answer": "Up."}}},
        [Conversation(CHAT)],
    ),
}


def test_every_format_is_tested_here() -> None:
    assert set(TYPICAL) == set(registry.names("format"))


@pytest.mark.parametrize("name", TYPICAL)
def test_contract(name: str) -> None:
    values, expected = TYPICAL[name]
    form = load_format(name, {})
    [row] = rows(values)
    assert form.example(row) == expected
    assert 0 < form.matches([row] * 5) <= 1
    assert form.matches(rows({"unrelated": 1})) == 0
    assert form.matches([]) == 0
    roles = form.roles(row)
    assert set(roles) <= set(form.columns)
    assert set(roles.values()) <= set(values)
    assert load_format(name, roles).example(row) == expected
    with pytest.raises(UnreadableRow):
        form.example(rows({"unrelated": 1})[0])


@pytest.mark.parametrize("name", TYPICAL)
def test_each_format_is_found_by_its_rows(name: str) -> None:
    found, why = detect(rows(TYPICAL[name][0]) * 10, {})
    assert found == name
    assert next(iter(TYPICAL[name][0])) in why


def test_a_few_broken_rows_do_not_change_what_is_found() -> None:
    good = rows(*[{"text": f"row {number}", "label": "up"} for number in range(6)])
    assert (
        detect([*good, *rows({"text": "no label"}, {"other": 1}, {"text": math.nan, "label": "up"})], {})[0]
        == "labelled"
    )


def test_nothing_fits_says_what_was_seen_and_what_could_be() -> None:
    with pytest.raises(DataError, match="no format fits") as caught:
        detect(rows({"headline_text_v2": "a", "y": 1}), {})
    assert "headline_text_v2, y" in str(caught.value)
    assert "labelled (text, label, instruction)" in str(caught.value)


def test_two_formats_that_fit_equally_are_not_guessed_between() -> None:
    both = rows({"text": "a", "label": "b", "question": "c", "answer": "d"})
    with pytest.raises(DataError, match="labelled and prompt_response equally well"):
        detect(both, {})
    assert detect(both, {"label": "label"})[0] == "labelled"


def test_mapping_decides_columns_and_unknown_roles_are_refused() -> None:
    values = {"headline": "Profit rose", "text": "other", "mood": 2}
    assert example("labelled", values, text="headline", label="mood") == Labelled("Profit rose", "2")
    assert reason("labelled", values, label="missing") == "missing column 'missing'"
    with pytest.raises(DataError, match="no column role 'lable'"):
        load_format("labelled", {"lable": "mood"})


def test_an_instruction_of_its_own() -> None:
    values = {"text": "Profit rose", "label": "up", "instruction": " Which way? ", "asked": "Up or down?"}
    assert example("labelled", values).instruction == "Which way?"
    assert example("labelled", values, instruction="asked").instruction == "Up or down?"
    assert example("labelled", values, instruction="none").instruction is None
    assert example("labelled", values | {"instruction": ""}).instruction is None
    assert reason("labelled", values | {"instruction": 7}) == "column 'instruction' is the number 7, expected text"
    for pair in ({"en": "a", "zh": "b"}, {"translation": {"en": "a", "zh": "b"}}):
        assert example("pair", pair | {"instruction": "Go."}) == Pair("a", "b", "Go.")
        assert example("pair", pair | {"instruction": "Go."}, source="zh", target="en") == Pair("b", "a", "Go.")


@pytest.mark.parametrize(
    ("label", "expected"), [("up", "up"), (0, "0"), (2.0, "2"), (True, "True"), (" two words ", "two words")]
)
def test_labels_may_be_numbers(label: Any, expected: str) -> None:
    assert example("labelled", {"text": "a", "label": label}).label == expected


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"text": "a"}, "missing column for label (such as label, sentiment, class)"),
        ({"text": "", "label": "up"}, "column 'text' is empty"),
        ({"text": " \n", "label": "up"}, "column 'text' is empty"),
        ({"text": None, "label": "up"}, "column 'text' is empty"),
        ({"text": math.nan, "label": "up"}, "column 'text' is NaN, expected text"),
        ({"text": 7, "label": "up"}, "column 'text' is the number 7, expected text"),
        ({"text": ["a"], "label": "up"}, "column 'text' is a list, expected text"),
        ({"text": "a\ud800", "label": "up"}, "column 'text' has bytes that are no text"),
        ({"text": "a", "label": None}, "column 'label' is empty"),
        ({"text": "a", "label": math.nan}, "column 'label' is NaN, expected text"),
        ({"text": "a", "label": "NaN"}, "column 'label' is NaN"),
        ({"text": "a", "label": 0.37}, "column 'label' is the number 0.37, expected text"),
        ({"text": "a", "label": {"a": 1}}, "column 'label' is an object, expected text"),
    ],
)
def test_unreadable_labelled_rows(values: dict[str, Any], why: str) -> None:
    assert reason("labelled", values) == why


def test_prompt_response_takes_pairs_before_single_names() -> None:
    assert example("prompt_response", {"title": "x", "ask": "q", "answer": "a"}) == Conversation(
        (Message("user", "q"), Message("assistant", "a"))
    )
    made = example(
        "prompt_response", {"q": "asked", "a": "said", "s": "be brief"}, prompt="q", response="a", system="s"
    )
    assert [message.role for message in made.messages] == ["system", "user", "assistant"]
    assert len(example("prompt_response", {"prompt": "q", "response": "a", "s": ""}, system="s").messages) == 2
    assert reason("prompt_response", {"question": "q", "answer": ""}) == "column 'answer' is empty"


def test_alpaca_with_everything() -> None:
    values = {
        "instruction": "Sum",
        "input": "1 and 2",
        "output": "3",
        "system": "Be brief",
        "history": [["Hi", "Hello"]],
    }
    assert example("alpaca", values).messages == (
        Message("system", "Be brief"),
        Message("user", "Hi"),
        Message("assistant", "Hello"),
        Message("user", "Sum\n1 and 2"),
        Message("assistant", "3"),
    )
    assert "pairs" in reason("alpaca", values | {"history": ["Hi"]})
    assert reason("alpaca", values | {"output": math.nan}) == "column 'output' is NaN, expected text"


def test_chat_roles_tools_and_system() -> None:
    tools = [{"name": "price"}]
    made = example("messages", {"messages": [{"role": "developer", "content": "Be brief"}, *TURNS], "tools": tools})
    assert made.messages[0] == Message("system", "Be brief")
    assert made.tools == tuple(tools)
    call = {"from": "function_call", "value": '{"name": "price", "arguments": {"of": "AAPL"}}'}
    called = [SHARED[0], call, {"from": "observation", "value": "3"}, SHARED[1]]
    made = example("sharegpt", {"conversations": called, "system": "Be brief", "tools": json.dumps(tools)})
    assert [message.role for message in made.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert made.tools == tuple(tools)


@pytest.mark.parametrize(
    ("turns", "why"),
    [
        ([], "column 'messages' is empty"),
        ("text", "column 'messages' is text, expected a list of turns"),
        ([{"content": "a"}], "turn 1 of column 'messages' has no 'role'"),
        ([{"role": "robot", "content": "a"}], "turn 1 of column 'messages' has the unknown role 'robot'"),
        ([TURNS[0], {"role": "assistant"}], "turn 2 of column 'messages' is empty"),
        ([TURNS[0]], "a conversation without any answer"),
        ([TURNS[1]], "a conversation without any question"),
    ],
)
def test_unreadable_conversations(turns: Any, why: str) -> None:
    assert reason("messages", {"messages": turns}) == why


def test_lines_that_end_in_an_address_are_no_phrasebank() -> None:
    lines = [{"text": f"Write to us at info@company{number}.com"} for number in range(10)]
    assert detect(rows(*lines), {})[0] == "text"
    assert reason("phrasebank", {"text": "no label here"}) == "no @label at the end of the line"


@pytest.mark.real
@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("financial_phrasebank/Sentences_50Agree.txt", "phrasebank"),
        ("gsm8k/test.jsonl", "prompt_response"),
        ("disc_finllm_sft_sample/task_part.json", "alpaca"),
        ("llamafactory_demos/alpaca_zh_demo.json", "alpaca"),
        ("llamafactory_demos/glaive_toolcall_en_demo.json", "sharegpt"),
        ("llamafactory_demos/dpo_en_demo.json", "preference"),
        ("llamafactory_demos/c4_demo.jsonl", "text"),
        ("llamafactory_demos/wiki_demo.txt", "text"),
    ],
)
def test_real_sets_are_recognised_and_read_whole(shared_data: Path, file: str, name: str) -> None:
    found = [row for row in read_rows(SourceConfig(path=str(shared_data / file))) if isinstance(row, Row)]
    assert detect(found[:50], {})[0] == name
    form = load_format(name, {})
    assert len([form.example(row) for row in found]) == len(found)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["results", "up", "results"], ("results", "up")),
        ([], ()),
        ("", ()),
        ("results|up", ("results", "up")),
        ("results; up;", ("results", "up")),
        ("results, up", ("results", "up")),
        ("results, first half|up", ("results, first half", "up")),
        ("up", ("up",)),
        ([1, 2], ("1", "2")),
    ],
)
def test_several_labels_are_a_list_or_a_text_with_separators(labels: Any, expected: tuple[str, ...]) -> None:
    assert example("multi_labelled", {"text": "a", "labels": labels}) == MultiLabelled("a", expected)


def test_several_labels_are_found_only_where_a_row_may_have_several() -> None:
    with pytest.raises(DataError, match="no format fits"):
        detect(rows({"review": "a", "labels": "up"}) * 5, {})
    found = rows({"review": "a", "labels": "up"}, {"review": "b", "labels": "up|down"})
    assert detect(found, {})[0] == "multi_labelled"
    assert detect(rows({"review": "a", "mood": ["up"]}) * 5, {"labels": "mood"})[0] == "multi_labelled"


@pytest.mark.parametrize("score", [0.25, "0.25", " 2.5e-1 "])
def test_scores_are_numbers_or_texts_of_them(score: Any) -> None:
    assert example("scored", {"text": "a", "score": score}) == Scored("a", 0.25)


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("scored", {"text": "a", "score": "high"}, "column 'score' is text, expected a number"),
        ("scored", {"text": "a", "score": None}, "column 'score' is empty, expected a number"),
        ("scored", {"text": "a", "score": True}, "column 'score' is the number True, expected a number"),
        ("scored", {"text": "a", "score": math.inf}, "column 'score' is the number inf, expected a number"),
        ("scored", {"text": "a", "score": [1.0]}, "column 'score' is a list, expected a number"),
        ("multi_labelled", {"text": "a", "labels": None}, "column 'labels' is empty"),
        ("multi_labelled", {"text": "a", "labels": [["up"]]}, "a label of column 'labels' is a list, expected text"),
        ("tagged", {"words": ["a", "b"], "tags": ["O"]}, "column 'words' has 2 words, column 'tags' 1 tags"),
        ("tagged", {"words": ["a"], "tags": [3]}, "column 'tags' has numbers, expected the tags' names, such as B-ORG"),
        ("tagged", {"words": [], "tags": []}, "column 'words' is empty"),
        ("tagged", {"words": ["a", 1], "tags": ["O", "O"]}, "a word of column 'words' is the number 1, expected text"),
        ("tagged", {"words": {"a": 1}, "tags": ["O"]}, "column 'words' is an object, expected a list"),
    ],
)
def test_unreadable_scores_labels_and_tags(name: str, values: dict[str, Any], why: str) -> None:
    assert reason(name, values) == why


def test_a_label_says_more_than_a_score_beside_it() -> None:
    assert detect(rows({"text": "a", "label": "up", "score": 0.9}) * 5, {})[0] == "labelled"


def test_words_and_tags_may_be_texts_with_spaces() -> None:
    made = example("tagged", {"words": "Profit rose", "tags": "B-ITEM O"})
    assert made == TaggedWords(("Profit", "rose"), ("B-ITEM", "O"))


def test_numbers_as_tags_are_found_and_then_explained() -> None:
    assert detect(rows({"tokens": ["a", "b"], "ner_tags": [0, 3]}) * 5, {})[0] == "tagged"
