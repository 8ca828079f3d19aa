"""FinGPT's benchmark asked of the tiny models."""

import json
from types import SimpleNamespace

import pytest

from luthier.config import parse_config
from luthier.data.rendering import Renderer
from luthier.errors import ConfigError
from luthier.evaluation.fingpt import Item, _in_its_prompt, ask, read_answer, run_benchmark, score
from luthier.evaluation.speaker import open_speaker
from luthier.models.loading import load_tokenizer
from luthier.recipes import recipe
from luthier.tasks import Prediction
from luthier.tasks.seq2seq import Seq2seq, Seq2seqOptions

ITEMS = [Item("Sales rose .", "positive"), Item("$AB falls", "negative", "tweet"), Item("A day", "neutral")]


@pytest.mark.parametrize(
    ("raw", "fingpt", "strict"),
    [
        ("positive", "positive", "positive"),
        ("Negative.", "negative", "negative"),
        ("not negative but positive", "positive", None),
        ("POSITIVE", "neutral", "positive"),
        ("who knows", "neutral", None),
        ("", "neutral", None),
        ("neutral", "neutral", "neutral"),
    ],
)
def test_answers_are_read_as_fingpt_does_or_strictly(raw, fingpt, strict):
    assert read_answer(raw) == fingpt
    assert read_answer(raw, "strict") == strict


def test_scores_say_how_many_answers_name_no_label():
    said = [("positive", "positive"), ("hm", "neutral"), ("it is negative", "negative"), ("hm", "positive")]
    rows = [Prediction(n, "", right, raw, read_answer(raw)) for n, (raw, right) in enumerate(said)]
    found = score(None, rows)
    assert found["unmatched"] == {"tuned": 0.5}
    assert found["tuned"]["accuracy"]["value"] == 0.75
    assert next(iter(found["tuned"])) == "f1_weighted"
    assert found["base"] is None


def test_an_encoder_decoder_reads_the_whole_prompt(tiny_t5):
    tokenizer = load_tokenizer(SimpleNamespace(folder=tiny_t5), trust_remote_code=False)
    renderer = Renderer(tokenizer, "", "A system.", "{labels}?", ("up", "down"), 64)
    speaker = SimpleNamespace(renderer=renderer, task=Seq2seq(Seq2seqOptions()))
    [row] = _in_its_prompt(speaker, [(7, ITEMS[1])], "tweet")
    assert tokenizer.decode(row.ids[: row.prompt_length], skip_special_tokens=True) == (
        "Instruction: What is the sentiment of this tweet? Please choose an answer from "
        "{negative/neutral/positive}.\nInput: $AB falls\nAnswer: "
    )
    assert (row.row_id, row.label) == (7, "negative")


@pytest.mark.integration
@pytest.mark.usefixtures("own_cache")
class TestAsked:
    @pytest.fixture
    def asked(self, monkeypatch):
        """The texts of all prompts that a task is given."""
        from luthier.tasks.causal_lm import CausalLm

        seen = []
        predict = CausalLm.predict

        def watch(self, network, renderer, rows, **options):
            prompts = [list(row.ids[: row.prompt_length]) for row in rows]
            seen.extend(renderer.tokenizer.batch_decode(prompts, skip_special_tokens=False))
            return predict(self, network, renderer, rows, **options)

        monkeypatch.setattr(CausalLm, "predict", watch)
        return seen

    def test_prompts_are_fingpts_and_those_of_the_recipe(self, trained_llama, asked):
        answers = ask(open_speaker(trained_llama), ITEMS)
        assert asked[0] == (
            "Instruction: What is the sentiment of this news? Please choose an answer from "
            "{negative/neutral/positive}.\nInput: Sales rose .\nAnswer: "
        )
        assert "sentiment of this tweet?" in asked[1]
        assert [(row.row_id, row.text, row.expected) for row in answers] == [
            (n, item.text, item.label) for n, item in enumerate(ITEMS)
        ]
        config = parse_config(recipe("finance_sentiment_fingpt").text)
        assert config.data.instruction in asked[0]

    def test_prompts_may_be_the_runs_own(self, trained_llama, asked):
        ask(open_speaker(trained_llama), ITEMS, prompts="run")
        assert "Instruction:" not in asked[0]
        assert "up, down, flat?\nSales rose ." in asked[0]

    def test_a_long_text_is_cut_and_keeps_the_end_of_its_prompt(self, trained_llama, asked):
        (answer,) = ask(open_speaker(trained_llama), [Item("word " * 900, "neutral")])
        assert asked[0].endswith("\nAnswer: ")
        assert len(asked[0]) < 1200
        assert answer.expected == "neutral"

    def test_a_model_with_a_head_is_asked_as_it_is(self, trained_bert):
        answers = ask(open_speaker(trained_bert), ITEMS)
        assert {row.raw for row in answers} <= {"up", "down", "flat"}
        assert {row.parsed for row in answers} == {"neutral"}

    def test_sets_and_models_side_by_side(self, trained_llama, tmp_path):
        (tmp_path / "valid.csv").write_text("text,label\n$AB falls,0\n$AB rises,1\n$AB meets,2\n")
        (tmp_path / "test.jsonl").write_text('{"news": "A", "label": "neutral"}\n' * 2)
        files = {"tfns": [str(tmp_path / "valid.csv")], "nwgi": [str(tmp_path / "test.jsonl")], "fpb": []}
        options = {"prompts": "fingpt", "parsing": "fingpt", "as_given": False}
        found, answers = run_benchmark(trained_llama, files, base=True, **options)
        assert {name: each["rows"] for name, each in found["sets"].items()} == {"tfns": 3, "nwgi": 2}
        assert found["sets"]["tfns"]["base"]["f1_weighted"]["value"] >= 0
        assert [(group.model, group.split) for group in answers] == [
            ("base", "tfns"), ("base", "nwgi"), ("tuned", "tfns"), ("tuned", "nwgi"),
        ]  # fmt: skip
        json.dumps(found, allow_nan=False)
        with pytest.raises(ConfigError, match="no test set is given"):
            run_benchmark(trained_llama, {}, base=False, **options)
