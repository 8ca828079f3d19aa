"""The one renderer: positions decide what is learned, and the prompt is what a server sends."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.data.documents import pieces
from luthier.data.examples import Conversation, Document, Labelled, Message, Preference, Row
from luthier.data.formats import load_format
from luthier.data.records import Rejected
from luthier.data.rendering import Renderer
from luthier.data.templates import named_templates, template_text
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


TURNS = (Message("user", "one"), Message("assistant", "uno"), Message("user", "two"))


@pytest.mark.parametrize("template", ["chat", *named_templates()])
def test_both_answers_of_a_pair_stand_behind_the_prompt_of_a_chat(tokenizer, template):
    made = renderer(tokenizer, template, system="Be brief.")
    [sequence] = made.render_preferences([(3, Preference(TURNS, "dos", "drei und mehr"))])[0]
    chats = [Conversation((*TURNS, Message("assistant", answer))) for answer in ("dos", "drei und mehr")]
    messages = [{"role": m.role, "content": m.content} for m in (Message("system", "Be brief."), *TURNS)]
    assert list(sequence.ids[: sequence.prompt_length]) == served(tokenizer, made.template_text, messages)
    for found, chat in zip((sequence, sequence.with_rejected()), chats, strict=True):
        [whole] = made.render([(0, chat)])[0]
        assert list(found.ids) == list(whole.ids)
        assert found.ids[-1] in made.stop_ids
        assert list(found.supervised) == [place >= sequence.prompt_length for place in range(len(found.ids))]
    assert (sequence.row_id, sequence.text, sequence.label) == (3, "two", "dos")


def test_the_longer_answer_of_a_pair_decides_what_is_too_long(tokenizer):
    long = Preference(TURNS, "dos", "drei " * 60)
    made = renderer(tokenizer, max_length=150)
    rejected = made.render_preferences([(0, long)])[0]
    assert isinstance(rejected, Rejected)
    assert rejected.reason.startswith("too long: ")
    assert isinstance(made.render_preferences([(0, Preference(TURNS, "dos", "drei"))])[0], list)


def test_a_long_question_of_a_pair_is_cut_for_both_answers(tokenizer):
    asked = (Message("user", "begin " + "word " * 100),)
    made = renderer(tokenizer, max_length=90, too_long="truncate")
    [sequence] = made.render_preferences([(0, Preference(asked, "dos", "drei und mehr"))])[0]
    [whole] = renderer(tokenizer, max_length=900).render_preferences([(0, Preference(asked, "dos", "drei und mehr"))])[
        0
    ]
    lengths = [max(len(row.ids), len(row.with_rejected().ids)) for row in (sequence, whole)]
    assert lengths[0] <= 90
    assert sequence.truncated == lengths[1] - lengths[0]
    assert "begin" in tokenizer.decode(sequence.ids)
    assert list(sequence.rejected) == list(whole.rejected), "the answers are whole"
    assert learned(tokenizer, sequence) == learned(tokenizer, whole)


def test_the_oldest_turns_of_a_long_pair_go_first(tokenizer):
    old = (Message("user", "first " * 20), Message("assistant", "erstens " * 20))
    made = renderer(tokenizer, max_length=100, too_long="truncate", system="Be brief.")
    [sequence] = made.render_preferences([(0, Preference((*old, *TURNS[2:]), "dos", "drei"))])[0]
    [plain] = made.render_preferences([(0, Preference(TURNS[2:], "dos", "drei"))])[0]
    assert (list(sequence.ids), list(sequence.rejected)) == (list(plain.ids), list(plain.rejected))
    assert "Be brief." in tokenizer.decode(sequence.ids)
    [whole] = renderer(tokenizer, max_length=900, system="Be brief.").render_preferences(
        [(0, Preference((*old, *TURNS[2:]), "dos", "drei"))]
    )[0]
    assert sequence.truncated == max(len(row.ids) for row in (whole, whole.with_rejected())) - max(
        len(row.ids) for row in (plain, plain.with_rejected())
    )


def test_answers_that_cannot_fit_are_cut_where_they_still_differ(tokenizer):
    made = renderer(tokenizer, max_length=60, too_long="truncate")
    [sequence] = made.render_preferences([(0, Preference((Message("user", "x"),), "yes " * 80, "no " * 80))])[0]
    assert max(len(sequence.ids), sequence.prompt_length + len(sequence.rejected)) == 60
    same = made.render_preferences([(0, Preference((Message("user", "x"),), "no " * 80 + "end", "no " * 80))])[0]
    assert isinstance(same, Rejected)
    assert "tell the answers apart are cut off" in same.reason


def test_equal_answers_teach_nothing(tokenizer):
    rejected = renderer(tokenizer).render_preferences([(0, Preference(TURNS, "dos", "dos"))])[0]
    assert rejected == Rejected("both answers are the same")


def test_a_template_that_hides_the_answer_of_a_pair(tokenizer):
    made = renderer(tokenizer, "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}>")
    assert made.render_preferences([(0, Preference(TURNS, "dos", "drei"))])[0] == Rejected("no supervised token")


@pytest.mark.parametrize("overlap", [0, 1, 10, 25])
def test_pieces_overlap_and_every_token_is_learned_once(tokenizer, overlap):
    text = "The council met on Monday and adjourned. " * 30
    whole = renderer(tokenizer, max_length=10_000).render_documents([(0, Document(text))])[0][0]
    made = renderer(tokenizer, max_length=50, too_long="split", overlap=overlap)
    found = made.render_documents([(0, Document(text))])[0]
    starts = [number * (50 - overlap) for number in range(len(found))]
    for start, piece in zip(starts, found, strict=True):
        assert list(piece.ids) == list(whole.ids[start : start + 50])
    learned_at = [
        start + place
        for start, piece in zip(starts, found, strict=True)
        for place, is_learned in enumerate(piece.supervised)
        if is_learned
    ]
    unlearned = {0} if overlap else set(starts)
    assert learned_at == [place for place in range(len(whole.ids)) if place not in unlearned]


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 300), st.integers(8, 60), st.data())
def test_any_document_is_learned_whole(length, size, data):
    overlap = data.draw(st.integers(1, size // 2))
    found = pieces(length, size, overlap)
    learned = [piece.start + place for piece in found for place, known in enumerate(piece.learned) if known]
    assert learned == list(range(1, length))
    assert all(piece.end - piece.start <= size for piece in found)
    assert all(later.start == piece.end - overlap for piece, later in pairwise(found))


@pytest.mark.parametrize("below", ["Profit rose.", ""])
def test_fingpts_rows_in_the_plain_template_are_its_own_prompt(tokenizer, below):
    row = Row({"instruction": "Choose from {up/down}.", "input": below, "output": "up"}, "file", 1)
    made = renderer(tokenizer, "plain", instruction=None)
    [sequence] = made.render([(0, load_format("fingpt", {}).example(row))])[0]
    context = "Instruction: Choose from {up/down}.\n" + (f"Input: {below}\n" if below else "") + "Answer: "
    assert tokenizer.decode(list(sequence.ids[: sequence.prompt_length])) == context
    assert learned(tokenizer, sequence) == f"up{tokenizer.eos_token}"
