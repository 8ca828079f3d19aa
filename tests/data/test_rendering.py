"""The one renderer: positions decide what is learned, and the prompt is what a server sends."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.data.examples import Conversation, Document, Labelled, Message
from luthier.data.records import Rejected
from luthier.data.rendering import Renderer, named_templates, template_text
from luthier.errors import ConfigError

LABELS = ("negative", "neutral", "positive")


@pytest.fixture(scope="session")
def tokenizer(tiny_llama):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(tiny_llama))


def renderer(tokenizer, template="chat", **options) -> Renderer:
    settings = {"instruction": "Choose from {labels}.", "labels": LABELS, "max_length": 400} | options
    return Renderer(tokenizer, template_text(template, tokenizer), **settings)


def learned(tokenizer, sequence) -> str:
    return tokenizer.decode([i for i, s in zip(sequence.ids, sequence.supervised, strict=True) if s])


def served(tokenizer, template, messages):
    return tokenizer.apply_chat_template(
        messages, chat_template=template, add_generation_prompt=True, tokenize=True, return_dict=False
    )


@pytest.mark.parametrize("template", ["chat", *named_templates()])
def test_prompt_is_what_a_server_sends_and_the_answer_is_learned(tokenizer, template):
    made = renderer(tokenizer, template)
    [sequence] = made.render([(7, Labelled("Profit rose.", "positive"))])[0]
    messages = [{"role": "user", "content": "Choose from negative, neutral, positive.\nProfit rose."}]
    assert list(sequence.ids[: sequence.prompt_length]) == served(tokenizer, made.template_text, messages)
    assert learned(tokenizer, sequence).startswith("positive")
    assert sequence.ids[-1] in made.stop_ids
    assert list(sequence.supervised) == [False] * sequence.prompt_length + [True] * (
        len(sequence.ids) - sequence.prompt_length
    )
    assert (sequence.row_id, sequence.text, sequence.label) == (7, "Profit rose.", "positive")


def test_a_template_without_an_end_of_turn_gets_the_end_token(tokenizer):
    made = renderer(tokenizer, "{% for m in messages %}{{ m.content }}{{ ' => ' if m.role == 'user' }}{% endfor %}")
    [sequence] = made.render([(0, Labelled("x", "neutral"))])[0]
    assert sequence.ids[-1] == tokenizer.eos_token_id
    assert sequence.supervised[-1]


def test_every_assistant_turn_is_learned_and_nothing_else(tokenizer):
    turns = (
        Message("system", "Be brief."),
        Message("user", "one"),
        Message("assistant", "uno"),
        Message("user", "two"),
        Message("assistant", "dos"),
        Message("user", "never answered"),
    )
    [sequence] = renderer(tokenizer, system="ignored: there is one").render([(0, Conversation(turns))])[0]
    text = learned(tokenizer, sequence)
    assert "uno" in text
    assert "dos" in text
    assert "two" not in text
    assert "never" not in tokenizer.decode(sequence.ids)
    assert "ignored" not in tokenizer.decode(sequence.ids)
    assert sequence.label == "dos"


def test_a_label_word_inside_the_text_is_not_learned(tokenizer):
    [sequence] = renderer(tokenizer).render([(0, Labelled("positive positive positive", "positive"))])[0]
    assert learned(tokenizer, sequence).count("positive") == 1


def test_too_long_is_dropped_with_its_length(tokenizer):
    rejected = renderer(tokenizer, max_length=60).render([(0, Labelled("word " * 100, "neutral"))])[0]
    assert isinstance(rejected, Rejected)
    assert "too long" in rejected.reason


def test_truncation_cuts_the_question_and_keeps_the_answer(tokenizer):
    made = renderer(tokenizer, max_length=90, too_long="truncate")
    [sequence] = made.render([(0, Labelled("begin " + "word " * 100, "neutral"))])[0]
    assert len(sequence.ids) <= 90
    assert sequence.truncated > 0
    assert learned(tokenizer, sequence).startswith("neutral")
    assert "begin" in tokenizer.decode(sequence.ids)
    [short] = made.render([(0, Labelled("a", "neutral"))])[0]
    assert list(sequence.ids[-3:]) == list(short.ids[-3:]), "the end of the prompt and the answer are whole"


def test_documents_are_split_into_pieces_that_join_to_the_whole(tokenizer):
    text = "The council met on Monday and adjourned. " * 30
    whole = renderer(tokenizer, max_length=10_000).render_documents([(0, Document(text))])[0][0]
    pieces = renderer(tokenizer, max_length=50, too_long="split").render_documents([(0, Document(text))])[0]
    assert [i for piece in pieces for i in piece.ids] == list(whole.ids)
    assert all(not piece.supervised[0] and all(piece.supervised[1:]) for piece in pieces)
    assert whole.ids[-1] == tokenizer.eos_token_id


def test_few_shot_prompts_hold_the_examples(tokenizer):
    shots = [Labelled("Sales fell.", "negative"), Labelled("Sales rose.", "positive")]
    [sequence] = renderer(tokenizer).with_shots(shots).render([(0, Labelled("Sales were flat.", "neutral"))])[0]
    prompt = tokenizer.decode(sequence.ids[: sequence.prompt_length])
    assert (
        prompt.index("Sales fell.") < prompt.index("negative", prompt.index("fell")) < prompt.index("Sales were flat.")
    )
    assert learned(tokenizer, sequence).rstrip().count("neutral") == 1


def test_unknown_template_names_the_nearest(tokenizer):
    with pytest.raises(ConfigError, match="did you mean 'alpaca'"):
        template_text("alpacca", tokenizer)


def test_a_model_without_chat_template_is_refused_when_one_is_needed(tokenizer):
    bare = Renderer(tokenizer, "", labels=LABELS)
    with pytest.raises(ConfigError, match="no chat template"):
        bare.render([(0, Labelled("x", "neutral"))])


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60), st.sampled_from(LABELS))
def test_any_text_keeps_prompt_and_answer_apart(tokenizer, text, label):
    made = renderer(tokenizer, max_length=5000)
    [sequence] = made.render([(0, Labelled(text, label))])[0]
    assert list(sequence.ids[: sequence.prompt_length]) == made.prompt_ids(Labelled(text, label))
    assert list(sequence.ids[sequence.prompt_length :]) == made.answer_ids(label)
