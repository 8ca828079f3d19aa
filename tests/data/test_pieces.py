import sys
import unicodedata

import pytest

from luthier.data import pieces as module
from luthier.data.pieces import _PATTERNS, Pieces

SPECIAL = ("<|im_start|>", "<|im_end|>")
TEXTS = [
    "<|im_start|>user\nProfit rose to EUR 13.1 mn<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>user\nProfit rose to EUR 13.1 mn<|im_end|>\n<|im_start|>assistant\nup<|im_end|>",
    "no special token, 净利润增长 \n\n ",
    "",
    "<|im_start|>",
    " <|im_end|> <|im_start|>\n<|im_end|>a <|im_start|> b",
]


def load(folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def whole(tokenizer, texts):
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]


@pytest.mark.parametrize("model", ["tiny_llama", "tiny_bert", "tiny_t5"])
def test_the_same_tokens_as_whole_texts(request, model):
    tokenizer = load(request.getfixturevalue(model))
    assert Pieces(tokenizer).tokenise(TEXTS) == whole(tokenizer, TEXTS)
    assert Pieces(tokenizer).tokenise([]) == []


def test_what_texts_have_in_common_is_tokenised_once(tiny_llama, monkeypatch):
    pieces = Pieces(load(tiny_llama))
    asked, ask = [], pieces._pieces
    monkeypatch.setattr(pieces, "_pieces", lambda texts: asked.extend(texts) or ask(texts))
    pieces.tokenise(TEXTS[:2] * 3)
    assert len([text for text in asked if "Profit" in text]) == 1
    assert len(asked) == len(set(asked))


def test_a_limit_that_stands_in_the_tokenizer_is_lifted(tiny_llama):
    tokenizer = load(tiny_llama)
    tokenizer.backend_tokenizer.enable_truncation(2)
    tokenizer.backend_tokenizer.enable_padding(length=50)
    found = Pieces(tokenizer).tokenise(TEXTS)
    assert found == whole(load(tiny_llama), TEXTS)


def test_a_tokenizer_that_marks_the_beginning_is_asked_about_whole_texts(tiny_llama):
    from tokenizers import pre_tokenizers

    tokenizer = load(tiny_llama)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="u", prepend_scheme="first")
    assert Pieces(tokenizer).tokenise(TEXTS) == whole(tokenizer, TEXTS)


def test_tokens_that_take_spaces_along_forbid_it(tiny_llama):
    from tokenizers import AddedToken

    tokenizer = load(tiny_llama)
    tokenizer.add_tokens([AddedToken("<|wide|>", lstrip=True, rstrip=True, normalized=False)])
    texts = [*TEXTS, "a <|wide|> b<|im_end|> <|wide|>"]
    assert Pieces(tokenizer).tokenise(texts) == whole(tokenizer, texts)


ODD = [
    chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in ("Zs", "Zl", "Zp", "Cc", "Cf")
]
SPACED = [
    "Profit  rose\n to   EUR 13.1 mn,\tit's 12\n\n  more . ",
    " 净利润 增长 12.5% 3,000 ",
    *(f"a{char} b {char} c{char}{char}  1 {char}" for char in ODD),
]


def parting(folder, *steps):
    from tokenizers import pre_tokenizers

    tokenizer = load(folder)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(list(steps))
    return tokenizer


def by_pattern(pattern):
    from tokenizers import Regex, pre_tokenizers

    return pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)


@pytest.mark.parametrize("pattern", _PATTERNS)
def test_words_have_the_same_tokens_wherever_they_stand(tiny_llama, pattern):
    tokenizer = parting(tiny_llama, *by_pattern(pattern))
    pieces = Pieces(tokenizer)
    assert pieces._by_words
    assert pieces.tokenise(SPACED) == whole(tokenizer, SPACED)


def test_digits_apart_and_composed_characters(tiny_llama):
    from tokenizers import normalizers, pre_tokenizers

    tokenizer = parting(tiny_llama, pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(False))
    tokenizer.backend_tokenizer.normalizer = normalizers.NFC()
    texts = [*SPACED, "e\u0301 \u0301 Å \u2000 \u1fef"]
    assert Pieces(tokenizer)._by_words
    assert Pieces(tokenizer).tokenise(texts) == whole(tokenizer, texts)


def test_a_known_word_is_not_tokenised_again(tiny_llama, monkeypatch):
    tokenizer = load(tiny_llama)
    pieces = Pieces(tokenizer)
    asked, ask = [], pieces._pieces
    monkeypatch.setattr(pieces, "_pieces", lambda texts: asked.extend(texts) or ask(texts))
    for end in ("rose", "fell", "rose again"):
        pieces.tokenise([f"Operating profit of the bank {end}"])
    assert sorted(asked) == sorted(["Operating", " profit", " of", " the", " bank", " rose", " fell", " again"])
    monkeypatch.setattr(module, "_MOST_CHARACTERS", 10)
    for text in SPACED[:20]:
        assert pieces.tokenise([text]) == whole(tokenizer, [text])
    assert sum(map(len, pieces._known)) <= 10


def test_what_looks_across_words_is_not_parted(tiny_llama):
    from tokenizers import AddedToken, Regex, normalizers, pre_tokenizers

    bytes_only = pre_tokenizers.ByteLevel(False, use_regex=False)
    own = pre_tokenizers.Split(" b", "isolated")
    merging = pre_tokenizers.Split(Regex(_PATTERNS[0]), "merged_with_previous")
    orders = ([bytes_only], [own, bytes_only], [merging, bytes_only], [bytes_only, *by_pattern(_PATTERNS[0])[:1]])
    kinds = [parting(tiny_llama, *steps) for steps in orders]
    kinds += [parting(tiny_llama, pre_tokenizers.ByteLevel(True)), load(tiny_llama), load(tiny_llama)]
    kinds[-2].add_tokens([AddedToken("a b", normalized=True)])
    kinds[-1].backend_tokenizer.normalizer = normalizers.Replace(" b", "b")
    for tokenizer in kinds:
        assert not Pieces(tokenizer)._by_words
        assert Pieces(tokenizer).tokenise(["a b", *SPACED[:9]]) == whole(tokenizer, ["a b", *SPACED[:9]])


@pytest.mark.real
def test_on_a_real_tokenizer(smollm2, shared_data):
    from luthier.models.files import resolve

    tokenizer = load(resolve(smollm2).folder)
    lines = (shared_data / "llamafactory_demos" / "wiki_demo.txt").read_text(encoding="utf-8").splitlines()[:200]
    texts = [f"<|im_start|>user\n{line}<|im_end|>\n<|im_start|>assistant\n{line[:9]}<|im_end|>" for line in lines]
    assert Pieces(tokenizer)._between is not None
    assert Pieces(tokenizer)._by_words
    assert Pieces(tokenizer).tokenise(texts) == whole(tokenizer, texts)
