"""Tasks in replies, and what is wrong with them."""

import json

import pytest

from luthier.data.examples import Conversation, Document, Labelled, Message, Pair
from luthier.data.generation.tasks import Task, candidates, prompt, task_of
from luthier.data.generation.validity import problem, units

ROW = {"instruction": "Name the ratio of debt to equity.", "input": "", "output": "Leverage, or gearing."}
OTHER = {"instruction": "Say what was sold.", "input": "The group sold its mill.", "output": "A mill."}


def found(reply, cut=False):
    return [each.task or (each.problem, each.text) for each in candidates(reply, cut=cut)]


@pytest.mark.parametrize(
    "reply",
    [
        "{}\n{}",
        "Here they are:\n```json\n[{},\n {}]\n```\nI hope that helps.",
        "1. {}\n2. {}",
        '{"count": 2, "examples": [{}, {}]}',
    ],
)
def test_tasks_are_found_however_they_are_wrapped(reply):
    filled = reply.replace("{}", "%s") % (json.dumps(ROW), json.dumps(OTHER, indent=1))
    assert found(filled) == [Task(**ROW), Task(**OTHER)]


def test_what_is_no_task_is_told_and_costs_no_other():
    broken = '{"instruction": "Name "it"."}'
    reply = "\n".join([broken, json.dumps(ROW), '{"question": "x"}', json.dumps(ROW | {"input": ["a"]})])
    assert found(reply) == [
        ("not JSON", broken),
        Task(**ROW),
        ("an object without instruction or output", '{"question": "x"}'),
        ("a value that is no text", json.dumps(ROW | {"input": ["a"]})),
    ]
    half = json.dumps(ROW | {"output": "Up \ud83d"})
    assert found(half) == [("a value that is no text", half)]
    assert found("I would rather not.") == [("the reply has no JSON object", "I would rather not.")]


def test_an_answer_that_was_cut_off():
    reply = json.dumps(ROW) + '\n{"instruction": "Say what'
    assert found(reply, cut=True) == [Task(**ROW), ("cut off", '{"instruction": "Say what')]
    assert found(reply)[1][0] == "not JSON"
    wrapped = '{"examples": [' + json.dumps(ROW) + ', {"instruction": "Say what'
    assert found(wrapped, cut=True)[1:] == [Task(**ROW), ("cut off", '{"instruction": "Say what')]


def test_what_is_no_task_among_wrapped_ones():
    reply = json.dumps({"examples": [ROW, {"question": "净"}, "and so on"]}, ensure_ascii=False)
    problem = "an object without instruction or output"
    assert found(reply) == [Task(**ROW), (problem, '{"question": "净"}'), (problem, '"and so on"')]


def test_a_missing_input_is_none():
    assert found('{"instruction": "Name it now.", "output": 12}') == [Task("Name it now.", "", "12")]
    assert found('{"instruction": "Add 1 and -1.", "input": null, "output": 0}') == [Task("Add 1 and -1.", "", "0")]


def test_examples_as_tasks():
    turns = (Message("system", "s"), Message("user", "one"), Message("assistant", "two"))
    assert task_of(Conversation(turns), None) == Task("one", "", "two")
    assert task_of(Labelled("Profit rose.", "up"), "Which way?") == Task("Which way?", "Profit rose.", "up")
    assert task_of(Labelled("Profit rose.", "up"), None) == Task("Profit rose.", "", "up")
    assert task_of(Labelled("Profit rose.", "up", "Up or down?"), "Which way?").instruction == "Up or down?"
    assert task_of(Pair("one", "eins"), "Translate.") == Task("Translate.", "one", "eins")
    assert task_of(Document("text"), None) is None
    assert task_of(Conversation(turns[:2]), None) is None


def test_the_prompt_shows_the_examples_and_says_what_for():
    system, user = prompt([Task(**ROW), Task(**OTHER)], 3, "questions about annual reports")
    assert system["role"] == "system"
    assert "Write 3 new examples" in user["content"]
    assert "questions about annual reports" in user["content"]
    assert user["content"].rstrip().endswith(json.dumps(ROW) + "\n" + json.dumps(OTHER))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"output": ""}, "empty"),
        ({"instruction": ""}, "empty"),
        ({"instruction": "Sell?"}, "too short: asked in 1 words"),
        ({"instruction": "说明什么是市盈率。"}, ""),
        ({"instruction": "word " * 151}, "too long: an instruction of 151 words"),
        ({"output": "word " * 2001}, "too long: a text of 2001 words"),
        ({"output": "name the ratio of  DEBT to equity."}, "the answer repeats the instruction"),
        ({"output": "Name the ratio of debt to equity. It is leverage."}, "the answer repeats the instruction"),
        ({"input": "The mill was sold.", "output": "The mill was sold."}, "the answer repeats the input"),
        ({"output": "I'm sorry, but I cannot help with that."}, "the answer refuses"),
        ({"output": "As an AI language model, I have no view."}, "the answer refuses"),
        ({"output": "抱歉，我无法回答这个问题。"}, "the answer refuses"),
        ({"instruction": "Describe the picture of the mill."}, "it asks about what is no text"),
        ({"instruction": "Read the chart below and name the peak."}, "it asks about what is no text"),
        ({"instruction": "根据下图说明公司的利润变化。"}, "it asks about what is no text"),
        ({"instruction": "Say why the figures of the group rose.", "output": "Orders grew."}, ""),
        ({"output": "The company cannot answer for its suppliers."}, ""),
    ],
)
def test_validity(changes, reason):
    assert problem(Task(**ROW | changes)) == reason


def test_units_count_words_and_chinese_characters():
    assert units("Net profit rose 5%.") == 4
    assert units("净利润 rose") == 4
