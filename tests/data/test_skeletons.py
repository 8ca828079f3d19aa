import pytest

from luthier.data.examples import Conversation, Message
from luthier.data.skeletons import Skeleton, marks, only_prints_contents
from luthier.data.templates import named_templates, template_text
from luthier.data.turns import ChatTemplate

CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<s>You help.</s>\n' }}"
    "{% endif %}{{'<' + message['role'] + '>\n' + message.content + '</s>' ~ '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>\n' }}{% endif %}"
)
LATER = (
    "{% set rest = messages[1:] %}{{ messages[0]['content'] }}|{% for turn in rest %}"
    "{% if turn.role == 'user' %}U {{ turn['content'] }}{% else %}A {{ turn['content'] }}{% endif %}{% endfor %}"
    "{{ messages | length }}"
)
CHATS = [
    Conversation((Message("user", "  Profit \n rose </s>"), Message("assistant", "up"))),
    Conversation((Message("user", "\ue000"), Message("assistant", "{{ x }}"))),
    Conversation((Message("system", "s"), Message("user", "净利润"), Message("assistant", ""), Message("user", "u"))),
]


class Tokenizer:
    """Renders as transformers does, and counts."""

    def __init__(self):
        self.rendered = 0

    def apply_chat_template(self, chats, *, tools, chat_template, add_generation_prompt, tokenize):
        from transformers.utils.chat_template_utils import render_jinja_template

        self.rendered += len(chats)
        return render_jinja_template(
            conversations=chats, chat_template=chat_template, add_generation_prompt=add_generation_prompt
        )[0]


def whole(template, asked, prompt):
    return [
        Tokenizer().apply_chat_template(
            [[{"role": m.role, "content": m.content} for m in chat.messages[:upto]]],
            tools=None,
            chat_template=template,
            add_generation_prompt=prompt,
            tokenize=False,
        )[0]
        for chat, upto in asked
    ]


@pytest.mark.parametrize("prompt", [True, False])
@pytest.mark.parametrize("template", [CHATML, LATER, *named_templates()])
def test_the_same_text_as_rendering_every_row(template, prompt):
    template = template_text(template, None)
    asked = [(chat, upto) for chat in CHATS for upto in range(1, len(chat.messages) + 1)]
    assert ChatTemplate(Tokenizer(), template).texts(asked, prompt=prompt) == whole(template, asked, prompt)


def test_a_template_that_only_prints_runs_once_for_each_sequence_of_roles():
    tokenizer = Tokenizer()
    ChatTemplate(tokenizer, CHATML).texts([(CHATS[0], 2), (CHATS[1], 2)] * 10, prompt=False)
    assert tokenizer.rendered == 1
    trims = CHATML.replace("message.content", "message.content | trim")
    ChatTemplate(tokenizer, trims).texts([(CHATS[0], 2), (CHATS[1], 2)] * 10, prompt=False)
    assert tokenizer.rendered == 21


@pytest.mark.parametrize("template", [CHATML, LATER, "{{ messages[0]['content'] + '!' }}", "no messages"])
def test_harmless(template):
    assert only_prints_contents(template)


@pytest.mark.parametrize(
    "inside",
    [
        "{{ message.content | trim }}",
        "{{ message['content'].strip() }}",
        "{% if message.content %}x{% endif %}",
        "{{ 'x' if 'a' in message.content else 'y' }}",
        "{% set text = message.content %}{{ text }}",
        "{{ message | tojson }}",
        "{{ messages | map(attribute='content') | join }}",
        "{{ message.items() }}",
        "{{ message.get('content') }}",
        "{{ message[key] }}",
        "{{ message.content[:3] }}",
        "{{ message.content * 2 }}",
        "{{ loop.previtem.content | upper }}",
        "{% set ns.last = message %}{{ ns.last.content }}",
        "{% filter upper %}{{ message.content }}{% endfilter %}",
        "{% set text %}{{ message.content }}{% endset %}{{ text | upper }}",
        "{% macro say() %}{{ message.content }}{% endmacro %}{{ say() | upper }}",
        "{% for letter in message.content %}{{ letter }}{% endfor %}",
        "{% for key, value in messages %}{{ value }}{% endfor %}",
        "{% for other in [message] %}{{ other.content | upper }}{% endfor %}",
        "{% broken",
    ],
)
def test_anything_else_runs_for_every_row(inside):
    assert not only_prints_contents("{% for message in messages %}" + inside + "{% endfor %}")


def test_contents_may_stand_anywhere_and_twice():
    one, two = marks(2)
    assert Skeleton(f"{two}-{one}-{two}", 2).fill(["a", "b"]) == "b-a-b"
    assert Skeleton("nothing", 2).fill(["a", "b"]) == "nothing"
