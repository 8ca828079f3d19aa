"""General text before and after tuning."""

import json
from types import SimpleNamespace

import pytest

from luthier.config import parse_config
from luthier.config.run import GENERAL_TEXT
from luthier.data.records import TokenSequence
from luthier.data.rendering import Renderer
from luthier.data.words import is_cjk
from luthier.errors import ConfigError, DataError
from luthier.evaluation.forgetting import GeneralText, _examples, _halves, _portions
from luthier.models.loading import load_tokenizer
from luthier.runs.packages import package_path, package_root
from luthier.tasks.causal_lm import CausalLm, CausalLmOptions
from luthier.tasks.seq2seq import Seq2seq, Seq2seqOptions
from luthier.tasks.sequence_classification import SequenceClassification, SequenceClassificationOptions


def config(**forgetting):
    lines = "".join(f"    {key}: {value}\n" for key, value in forgetting.items())
    part = f"evaluation:\n  forgetting:\n{lines}" if forgetting else ""
    return parse_config(f"model: {{base: x}}\ndata: {{train: y}}\n{part}")


def renderer_of(folder):
    tokenizer = load_tokenizer(SimpleNamespace(folder=folder), trust_remote_code=False)
    return Renderer(tokenizer, tokenizer.chat_template or "", "A system.", "{labels}?", ("up", "down"), 128, "drop")


@pytest.fixture
def renderer(tiny_llama):
    return renderer_of(tiny_llama)


def test_the_text_that_comes_along_is_half_english_half_chinese():
    file = package_path(GENERAL_TEXT, package_root(GENERAL_TEXT))
    texts = [json.loads(line)["text"] for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(texts) == len(set(texts)) == 60
    assert sum(is_cjk([text]) for text in texts) == 30
    assert [example.text for example in _examples(config().evaluation.forgetting)] == texts


def test_a_language_model_reads_it_as_running_text_without_instruction_or_labels(renderer):
    general = GeneralText.of(config(limit=4), CausalLm(CausalLmOptions()), renderer)
    assert len(general.rows) == 4
    assert all(row.prompt_length == 0 and row.label is None for row in general.rows)
    assert all(len(row.ids) <= 128 for row in general.rows), "cut, not left out"
    assert (general.renderer.labels, general.renderer.instruction, general.renderer.system) == ((), None, None)


def test_an_encoder_decoder_goes_on_where_the_first_half_ends(tiny_t5):
    pair = _halves("One part stands here. Another part, there.")
    assert (pair.source, pair.target) == ("One part stands here.", "Another part, there.")
    chinese = _halves("水会沸腾。高山上气压低，所以煮饭更久。")
    assert (chinese.source, chinese.target) == ("水会沸腾。高山上气压低，", "所以煮饭更久。")
    assert _halves("No clause ends here") is None
    general = GeneralText.of(config(limit=3), Seq2seq(Seq2seqOptions()), renderer_of(tiny_t5))
    assert len(general.rows) == 3
    assert "?" not in general.rows[0].text, "no instruction"


def test_heads_are_not_asked_unless_by_name(renderer, tmp_path):
    head = SequenceClassification(SequenceClassificationOptions())
    assert GeneralText.of(config(), head, renderer) is None
    off = parse_config("model: {base: x}\ndata: {train: y}\nevaluation: {forgetting: null}")
    assert GeneralText.of(off, CausalLm(CausalLmOptions()), renderer) is None
    (tmp_path / "pairs.jsonl").write_text('{"source": "a b", "target": "c"}\n' * 3)
    with pytest.raises(ConfigError, match="cannot be asked about rows such as these"):
        GeneralText.of(config(path=tmp_path / "pairs.jsonl"), CausalLm(CausalLmOptions()), renderer)


def test_labelled_rows_are_asked_for_their_own_labels(renderer, tmp_path):
    rows = [{"text": f"Is {n} even?", "label": "no" if n % 2 else "yes"} for n in range(6)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    general = GeneralText.of(config(path=tmp_path / "rows.jsonl"), CausalLm(CausalLmOptions()), renderer)
    assert general.renderer.labels == ("yes", "no")
    assert [row.label for row in general.rows[:2]] == ["yes", "no"]


def test_a_row_that_cannot_be_read_is_named(renderer, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"text": "fine"}\n{"text": "fine too"}\n{"text": ""}\n')
    with pytest.raises(DataError, match="cannot be read") as raised:
        GeneralText.of(config(path=tmp_path / "rows.jsonl"), CausalLm(CausalLmOptions()), renderer)
    assert raised.value.where.endswith("rows.jsonl:3")


def test_before_and_after(renderer, tiny_llama):
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(tiny_llama).eval()
    general = GeneralText.of(config(limit=6), CausalLm(CausalLmOptions()), renderer)
    before = general.ask(network)
    network.model.layers[0].mlp.down_proj.weight.data.zero_()
    found = general.compare(before, general.ask(network))
    assert found["rows"] == 6
    assert found["path"] == GENERAL_TEXT
    assert list(found["tuned"]) == ["loss", "perplexity"]
    assert found["base"]["perplexity"] != found["tuned"]["perplexity"]
    assert set(found["difference"]["perplexity"]) == {"value", "low", "high", "p"}


def test_a_few_rows_at_a_time():
    rows = [TokenSequence([1] * length, [True] * length, 0, length) for length in (5, 3, 9, 4, 4, 30, 2)]
    portions = list(_portions(rows, 12))
    assert [[len(row.ids) for row in portion] for portion in portions] == [[5, 3], [9], [4, 4], [30], [2]]
    assert list(_portions([], 12)) == []
