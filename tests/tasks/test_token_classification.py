"""The tagging task: which token of a word is learned, rows that are too long, loss and answers one row at a time."""

from dataclasses import replace

import pytest
import torch

from luthier.config import ModelConfig
from luthier.data.examples import TaggedWords
from luthier.data.records import Rejected
from luthier.data.rendering import Renderer
from luthier.errors import ModelError
from luthier.models.files import resolve
from luthier.models.loading import load_base
from luthier.tasks.token_classification import TokenClassification, TokenClassificationOptions

TAGS = ("B-ORG", "I-ORG", "O")
ROWS = (
    TaggedWords(("Nokia", "Oyj", "rose"), ("B-ORG", "I-ORG", "O")),
    TaggedWords(("the", "board", "of", "Fortum", "met"), ("O", "O", "O", "B-ORG", "O")),
    TaggedWords(("Ünïcode", "利润", "fell", "."), ("B-ORG", "O", "O", "O")),
)


@pytest.fixture(scope="module", params=["bert", "llama"])
def base(request, own_cache):
    folder = request.getfixturevalue(f"tiny_{request.param}")
    torch.manual_seed(1)
    config = ModelConfig(base=str(folder), device="cpu", dtype="float32")
    return load_base(config, resolve(str(folder)), head="token_classification", labels=TAGS)


@pytest.fixture
def task():
    return TokenClassification(TokenClassificationOptions())


def renderer(base, **options):
    return Renderer(base.tokenizer, "", labels=TAGS, **options)


def encoded(task, made):
    return [row for [row] in task.encode(list(enumerate(ROWS)), made)]


def words_of(base, row):
    """The tokens of a row joined from one learned token to the next: its words again, if these are their beginnings."""
    places = [place for place, first in enumerate(row.supervised) if first]
    special = set(base.tokenizer.all_special_ids)
    ends = [*places[1:], next((p for p, i in enumerate(row.ids) if p > places[-1] and i in special), len(row.ids))]
    return [base.tokenizer.decode(row.ids[a:b]).strip() for a, b in zip(places, ends, strict=True)]


def test_the_first_token_of_every_word_is_learned(task, base):
    for row, example in zip(encoded(task, renderer(base)), ROWS, strict=True):
        assert list(row.ids) == base.tokenizer(" ".join(example.words))["input_ids"], "the text as anybody writes it"
        assert words_of(base, row) == list(example.words)
        assert (row.text, row.label) == (" ".join(example.words), " ".join(example.tags))
        assert row.supervised_count == len(example.words) < len(row.ids)


def test_targets_are_tags_where_words_begin(task, base):
    rows = encoded(task, renderer(base))
    batch = task.collate(rows, base.tokenizer.pad_token_id, TAGS)
    assert batch.count == 12
    assert [t[t >= 0].tolist() for t in batch.targets] == [[0, 1, 2], [2, 2, 2, 0, 2], [0, 2, 2, 2]]
    assert ((batch.targets >= 0).sum(1) == torch.tensor([row.supervised_count for row in rows])).all()


def test_loss_and_answers_are_those_of_one_row_at_a_time(task, base):
    made = renderer(base)
    rows = encoded(task, made)
    batch = task.collate(rows, base.tokenizer.pad_token_id, TAGS)
    done = []
    found = task.predict(base.network, made, rows, mode="head", max_new_tokens=1, progress=done.append)
    assert sum(done) == 3
    total = 0.0
    for row, prediction in zip(rows, found, strict=True):
        logits = base.network(torch.tensor([list(row.ids)])).logits[0][torch.tensor(row.supervised)]
        right = torch.tensor([TAGS.index(tag) for tag in row.label.split()])
        loss = float(torch.nn.functional.cross_entropy(logits, right, reduction="sum"))
        assert prediction.parsed == prediction.raw == " ".join(TAGS[i] for i in logits.argmax(-1))
        assert (prediction.loss, prediction.tokens) == (pytest.approx(loss, rel=1e-4), len(right))
        assert (prediction.text, prediction.expected, prediction.form) == (row.text, row.label, "tags")
        asked = task.distributions(base.network, row)
        assert torch.allclose(asked, logits.softmax(-1), atol=1e-5)
        total += loss
    assert float(task.loss(base.network, batch)) == pytest.approx(total, rel=1e-5)


def test_new_texts_are_tagged_word_by_word(task, base):
    made = renderer(base)
    questions = [task.question(text, TAGS) for text in ("Nokia  rose\ttoday", "公司利润 rose")]
    assert [question.words for question in questions] == [
        ("Nokia", "rose", "today"),
        ("公", "司", "利", "润", "rose"),
    ]
    rows = [replace(row, label=None) for [row] in task.encode(list(enumerate(questions)), made)]
    for question, found in zip(
        questions, task.predict(base.network, made, rows, mode="head", max_new_tokens=1), strict=True
    ):
        assert len(found.parsed.split(" ")) == len(question.words)
        assert (found.expected, found.loss, found.tokens) == (None, None, 0)


LONG = TaggedWords(tuple(f"word{number}" for number in range(30)), tuple(TAGS[number % 3] for number in range(30)))


@pytest.mark.parametrize("too_long", ["drop", "fail"])
def test_long_rows_are_rejected(task, base, too_long):
    [rejected] = task.encode([(0, LONG)], renderer(base, max_length=40, too_long=too_long))
    assert isinstance(rejected, Rejected)
    assert rejected.reason.startswith("too long: ")


def test_long_rows_are_cut_between_words(task, base):
    whole = len(base.tokenizer(" ".join(LONG.words))["input_ids"])
    [[cut]] = task.encode([(0, LONG)], renderer(base, max_length=40, too_long="truncate"))
    assert 30 < len(cut.ids) <= 40
    assert cut.truncated == whole - len(cut.ids)
    kept = cut.supervised_count
    assert (cut.text.split(" "), cut.label.split(" ")) == (list(LONG.words[:kept]), list(LONG.tags[:kept]))
    assert words_of(base, cut) == list(LONG.words[:kept])


def test_long_rows_are_split_and_nothing_is_lost(task, base):
    [pieces] = task.encode([(0, LONG)], renderer(base, max_length=40, too_long="split"))
    assert len(pieces) > 3
    assert max(len(piece.ids) for piece in pieces) <= 40
    assert [word for piece in pieces for word in piece.text.split(" ")] == list(LONG.words)
    assert [tag for piece in pieces for tag in piece.label.split(" ")] == list(LONG.tags)
    assert [word for piece in pieces for word in words_of(base, piece)] == list(LONG.words)


@pytest.mark.parametrize("too_long", ["truncate", "split"])
def test_a_word_that_is_too_long_by_itself(task, base, too_long):
    first = TaggedWords(("x1y2z3" * 20, "rose"), ("B-ORG", "O"))
    [rejected] = task.encode([(0, first)], renderer(base, max_length=20, too_long=too_long))
    assert isinstance(rejected, Rejected)
    assert rejected.reason.startswith("too long: one of its words alone")


@pytest.mark.parametrize(
    ("words", "tags", "why"),
    [
        (("Nokia", "rose"), ("B ORG", "O"), "'B ORG' has a space in it"),
        (("Nokia Oyj", "rose"), ("B-ORG", "O"), "'Nokia Oyj' has a space in it"),
        ((), (), "no words"),
        (("Nokia", "", "rose"), ("B-ORG", "O", "O"), "no token for word 2"),
    ],
)
def test_rows_that_cannot_be_tagged(task, base, words, tags, why):
    [rejected] = task.encode([(0, TaggedWords(words, tags))], renderer(base))
    assert isinstance(rejected, Rejected)
    assert why in rejected.reason


def test_a_tokenizer_that_knows_no_places_is_refused(task):
    class Slow:
        is_fast = False

    with pytest.raises(ModelError, match="which words its tokens come from"):
        task.encode([(0, ROWS[0])], Renderer(Slow(), ""))
