"""Tools and calls of functions through the renderer: what the template knows, and what it does not."""

import json
from copy import deepcopy

import pytest

from luthier.data.examples import Conversation, Message
from luthier.data.inspection import serve_check
from luthier.data.rendering import Renderer
from luthier.data.tools import CALLABLE

TOOL = {"name": "price", "description": "Price of a share", "parameters": {"type": "object"}}
CALL = {"name": "price", "arguments": {"of": "AAPL"}}
TALK = Conversation(
    (
        Message("user", "AAPL?"),
        Message("assistant", "", (CALL,)),
        Message("tool", "3"),
        Message("assistant", "It is 3."),
    ),
    (TOOL,),
)

KNOWING = (
    "{% if tools %}<|im_start|>system\nTOOLS {{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for c in m.tool_calls or [] %}<call>{{ c.function | tojson }}</call>{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def tokenizer(tiny_llama):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(tiny_llama))


def learned(tokenizer, sequence) -> str:
    return tokenizer.decode([i for i, s in zip(sequence.ids, sequence.supervised, strict=True) if s])


def rendered(tokenizer, template, talk=TALK):
    made = Renderer(tokenizer, template, max_length=2000)
    [sequence] = made.render([(0, talk)])[0]
    return sequence, tokenizer.decode(list(sequence.ids))


def test_a_template_that_knows_tools_writes_them_its_own_way(tokenizer):
    sequence, text = rendered(tokenizer, KNOWING)
    wrapped = {"type": "function", "function": TOOL}
    assert f"TOOLS {json.dumps([wrapped])}" in text
    call = f"<call>{json.dumps(CALL)}</call><|im_end|>"
    assert learned(tokenizer, sequence) == f"{call}It is 3.<|im_end|>"
    assert "<|im_start|>tool\n3<|im_end|>" in text
    assert sequence.label == "It is 3."


def test_nothing_is_lost_in_a_template_that_knows_none(tokenizer):
    sequence, text = rendered(tokenizer, tokenizer.chat_template)
    assert f"<|im_start|>system\n{CALLABLE}\n{json.dumps(TOOL)}<|im_end|>" in text
    assert learned(tokenizer, sequence) == f"{json.dumps(CALL)}<|im_end|>It is 3.<|im_end|>"


def test_an_own_system_message_comes_before_the_tools(tokenizer):
    talk = Conversation((Message("system", "Be brief."), *TALK.messages), TALK.tools)
    _, text = rendered(tokenizer, tokenizer.chat_template, talk)
    assert f"<|im_start|>system\nBe brief.\n\n{CALLABLE}\n" in text


@pytest.mark.parametrize("knowing", [True, False])
def test_a_conversation_that_ends_in_a_call(tokenizer, knowing):
    talk = Conversation(TALK.messages[:2], TALK.tools)
    sequence, _ = rendered(tokenizer, KNOWING if knowing else tokenizer.chat_template, talk)
    said = json.dumps(CALL)
    assert learned(tokenizer, sequence) == (f"<call>{said}</call><|im_end|>" if knowing else f"{said}<|im_end|>")
    assert json.loads(sequence.label or "") == CALL


def test_the_prompt_is_what_a_server_sends_with_tools(tokenizer):
    knowing = deepcopy(tokenizer)
    knowing.chat_template = KNOWING
    assert serve_check(TALK, Renderer(knowing, KNOWING, max_length=2000)).same


def test_arguments_may_be_in_any_script(tokenizer):
    call = {"name": "price", "arguments": {"of": "贵州茅台"}}
    talk = Conversation((Message("user", "?"), Message("assistant", "", (call,))))
    assert "贵州茅台" in learned(tokenizer, rendered(tokenizer, tokenizer.chat_template, talk)[0])
