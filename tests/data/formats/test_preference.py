"""Pairs of answers: the layouts that people have, and what is wrong with the others."""

from typing import Any

import pytest

from luthier.data.examples import Message, Preference, Row, UnreadableRow
from luthier.data.formats import detect, load_format


def example(values: dict[str, Any], **columns: str) -> Any:
    return load_format("preference", columns).example(Row(values, "file", 1))


def reason(values: dict[str, Any], **columns: str) -> str:
    with pytest.raises(UnreadableRow) as caught:
        example(values, **columns)
    return str(caught.value)


TURNS = [{"role": "user", "content": "Up or down?"}, {"role": "assistant", "content": "Up."}]
SHARED = [{"from": "human", "value": "Up or down?"}, {"from": "gpt", "value": "Up."}]
CHAT = (Message("user", "Up or down?"), Message("assistant", "Up."))
DOWN = {"role": "assistant", "content": "Down."}
LONG = [*SHARED, {"from": "human", "value": "And then?"}]
ASKED = (Message("user", "Up or down?"),)
MARKED = "\n\nHuman: Up or down?\n\nAssistant:"
PAIR = Preference(ASKED, "Up.", "Down.")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"question": "Up or down?", "chosen": "Up.", "rejected": "Down."}, PAIR),
        (
            {"instruction": "Up or", "input": "down?", "chosen": "Up.", "rejected": "Down."},
            Preference((Message("user", "Up or\ndown?"),), "Up.", "Down."),
        ),
        ({"instruction": "Up or down?", "input": "", "output": ["Up.", "Down."]}, PAIR),
        ({"input": "Up or down?", "chosen": "Up.", "rejected": "Down."}, PAIR),
        ({"prompt": TURNS[:1], "chosen": TURNS[1], "rejected": DOWN}, PAIR),
        ({"prompt": TURNS[:1], "chosen": TURNS[1:], "rejected": [DOWN]}, PAIR),
        ({"prompt": "Up or down?", "chosen": TURNS, "rejected": [TURNS[0], DOWN]}, PAIR),
        ({"chosen": TURNS, "rejected": [TURNS[0], DOWN]}, PAIR),
        ({"chosen": f"{MARKED} Up.", "rejected": f"{MARKED} Down."}, PAIR),
        ({"prompt": MARKED, "chosen": " Up.", "rejected": " Down."}, Preference(ASKED, " Up.", " Down.")),
        (
            {
                "conversations": LONG,
                "system": "Be brief.",
                "chosen": SHARED[1],
                "rejected": SHARED[1] | {"value": "Down."},
            },
            Preference((Message("system", "Be brief."), *CHAT, Message("user", "And then?")), "Up.", "Down."),
        ),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_preferences_in_the_layouts_that_people_have(values: dict[str, Any], expected: Preference) -> None:
    assert detect([Row(values, "file", 1)] * 10, {})[0] == "preference"
    assert example(values) == expected


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"prompt": "a", "chosen": "b"}, "missing columns for two answers (such as chosen and rejected)"),
        ({"chosen": "b", "rejected": "c"}, "missing column for prompt (such as prompt, question, instruction)"),
        ({"prompt": "a", "chosen": "", "rejected": "c"}, "column 'chosen' is empty"),
        ({"prompt": "a", "chosen": 7, "rejected": "c"}, "column 'chosen' is the number 7, expected text"),
        ({"prompt": "a", "output": ["b"]}, "column 'output' is no list of a better and a worse answer"),
        (
            {"prompt": "a", "chosen": TURNS[:1], "rejected": "c"},
            "column 'chosen' does not end with the assistant's turn",
        ),
        (
            {"chosen": TURNS, "rejected": [{"role": "user", "content": "Else?"}, TURNS[1]]},
            "the two conversations differ before their last answer",
        ),
        ({"prompt": TURNS, "chosen": "b", "rejected": "c"}, "the prompt ends with an answer"),
        (
            {"prompt": [{"role": "system", "content": "a"}], "chosen": "b", "rejected": "c"},
            "a preference without any question",
        ),
    ],
)
def test_unreadable_preferences(values: dict[str, Any], why: str) -> None:
    assert reason(values) == why


def test_columns_of_a_preference_can_be_mapped() -> None:
    values = {"q": "Up or down?", "good": "Up.", "bad": "Down.", "both": ["Up.", "Down."]}
    assert example(values, prompt="q", chosen="good", rejected="bad") == PAIR
    assert example(values, prompt="q", answers="both") == PAIR
    assert reason(values, prompt="q", chosen="good", rejected="worse") == "missing column 'worse'"
