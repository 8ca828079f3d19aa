import pytest

from luthier.data.pieces import Pieces

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


@pytest.mark.real
def test_on_a_real_tokenizer(smollm2, shared_data):
    from luthier.models.files import resolve

    tokenizer = load(resolve(smollm2).folder)
    lines = (shared_data / "llamafactory_demos" / "wiki_demo.txt").read_text(encoding="utf-8").splitlines()[:200]
    texts = [f"<|im_start|>user\n{line}<|im_end|>\n<|im_start|>assistant\n{line[:9]}<|im_end|>" for line in lines]
    assert Pieces(tokenizer)._between is not None
    assert Pieces(tokenizer).tokenise(texts) == whole(tokenizer, texts)
