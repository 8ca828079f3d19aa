"""A row under the lens."""

import json

import pytest

from luthier import pipeline
from luthier.errors import DataError

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("own_cache")]


@pytest.fixture
def config(write_config, tmp_path, tiny_llama, labelled_file):
    return lambda **data: write_config(tmp_path / "run.yaml", tiny_llama, labelled_file, data=data)


@pytest.fixture(scope="module")
def tokenizer(tiny_llama):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(tiny_llama))


def test_a_row_is_shown_as_it_is_trained(config, labelled_file, tokenizer):
    found = pipeline.inspect(config(), row=7)
    line = json.loads(labelled_file.read_text().splitlines()[7])
    [tokens] = found.sequences
    prompt = f"<|im_start|>user\nup, down, flat?\n{line['text']}<|im_end|>\n<|im_start|>assistant\n"
    assert "".join(token.text for token in tokens) == f"{prompt}{line['label']}<|im_end|>"
    assert [t.id for t in tokens[: found.prompt_length]] == tokenizer(prompt)["input_ids"]
    assert "".join(token.text for token in tokens if token.supervised) == f"{line['label']}<|im_end|>"
    assert [token.supervised for token in tokens] == sorted(token.supervised for token in tokens)
    assert (found.rejected, found.truncated, found.serve) == ("", 0, None)


def test_the_ledgers_line(config, labelled_file):
    found = pipeline.inspect(config(), row=7)
    assert (found.ledger.row_id, found.ledger.line, found.ledger.fate) == (7, 8, "kept")
    assert found.ledger.file.endswith(labelled_file.name)
    assert found.ledger.tokens == len(found.sequences[0])
    assert found.ledger.supervised == sum(token.supervised for token in found.sequences[0])


def test_a_row_made_of_another_one(config, labelled_file):
    made = config(augment=[{"name": "paraphrase", "wordings": ["Is it {labels}?"]}])
    found = pipeline.inspect(made, row=60)
    parent = json.loads(labelled_file.read_text().splitlines()[found.ledger.parent_id])
    assert (found.ledger.origin, found.ledger.line) == ("augmented", found.ledger.parent_id + 1)
    text = "".join(token.text for token in found.sequences[0])
    assert f"Is it up, down, flat?\n{parent['text']}" in text
    assert found.ledger.tokens == len(found.sequences[0])


def test_the_first_training_row_is_taken_when_none_is_named(config):
    found = pipeline.inspect(config())
    assert found.ledger.split == "train"
    assert found.ledger.row_id == pipeline.prepare(config()).train[0].row_id


def test_a_dropped_row_says_why(config):
    settings = config(max_length=70)
    dropped = next(row for row in range(60) if pipeline.inspect(settings, row=row).rejected)
    found = pipeline.inspect(settings, row=dropped)
    assert found.sequences == []
    assert found.ledger.fate == "dropped"
    assert found.rejected == found.ledger.reason
    assert "too long" in found.rejected


def test_a_truncated_row_says_by_how_much(config):
    whole = pipeline.inspect(config(), row=0)
    found = pipeline.inspect(config(max_length=len(whole.sequences[0]) - 5, too_long="truncate"), row=0)
    assert found.truncated >= 5
    assert len(found.sequences[0]) == len(whole.sequences[0]) - found.truncated
    assert "truncated" in found.ledger.changes


def test_there_is_no_such_row(config):
    with pytest.raises(DataError, match="there is no row 60") as refused:
        pipeline.inspect(config(), row=60)
    assert refused.value.expected == "a number from 0 to 59, as in the ledger"


def test_the_models_own_template_is_what_a_server_sends(config, labelled_file, tokenizer):
    found = pipeline.inspect(config(), row=3, serve_check=True)
    assert found.serve.same
    assert found.serve.position is None
    text = json.loads(labelled_file.read_text().splitlines()[3])["text"]
    served = tokenizer.apply_chat_template(
        [{"role": "user", "content": f"up, down, flat?\n{text}"}], add_generation_prompt=True, return_dict=False
    )
    assert [token.id for token in found.sequences[0][: found.prompt_length]] == served


def test_another_template_differs_where_it_differs(config, tokenizer):
    template = tokenizer.chat_template.replace("{% for", "##{% for", 1)
    found = pipeline.inspect(config(template=template), row=3, serve_check=True)
    assert not found.serve.same
    assert found.serve.position == 0
    assert found.serve.trained[0] == "#"
    assert found.serve.served[0] == "<|im_start|>"

    later = tokenizer.chat_template.replace("assistant\n", "assistant: ").replace("\n{{", ": {{")
    found = pipeline.inspect(config(template=later), row=3, serve_check=True)
    tokens = found.sequences[0]
    assert not found.serve.same
    assert "".join(t.text for t in tokens[: found.serve.position]).endswith("<|im_start|>user")
    before = min(found.serve.position, 4)
    assert found.serve.trained[:before] == [t.text for t in tokens[found.serve.position - before :][:before]]
    assert found.serve.trained[before] != found.serve.served[before]


def test_running_text_has_no_prompt(write_config, tmp_path, tiny_llama):
    file = tmp_path / "notes.txt"
    file.write_text("".join(f"Note {n}: {n * 7919} lanterns.\n" for n in range(30)))
    data = {"labels": None, "instruction": None, "split": {"by": "random", "test": 0.1, "validation": 0.1}}
    settings = write_config(tmp_path / "run.yaml", tiny_llama, file, data=data)
    assert all(token.supervised for token in pipeline.inspect(settings).sequences[0][1:])
    with pytest.raises(DataError, match="not sent through a chat template"):
        pipeline.inspect(settings, serve_check=True)
