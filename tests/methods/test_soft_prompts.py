"""Soft prompts: asked with caches as without, padded as alone, saved as trained, refused where they cannot work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from luthier import registry
from luthier.errors import ModelError
from luthier.models.inference import greedy_answers, score_continuations
from luthier.models.soft_prompts import behind_soft_prompt, check_room

METHODS = {
    "prefix": {"name": "prefix", "tokens": 4},
    "prefix-random": {"name": "prefix", "tokens": 4, "init": "random"},
    "prefix-projection": {"name": "prefix", "tokens": 4, "projection": True, "width": 8},
    "prompt": {"name": "prompt", "tokens": 4},
    "p_tuning": {"name": "p_tuning", "tokens": 4},
    "p_tuning-lstm": {"name": "p_tuning", "tokens": 4, "encoder": "lstm", "width": 8},
    "multitask_prompt": {"name": "multitask_prompt", "tokens": 4, "rank": 2},
    "llama_adapter": {"name": "llama_adapter", "tokens": 4, "layers": 1},
}
ENCODERS = [name for name in METHODS if name != "llama_adapter"]
SEQ2SEQ = [name for name in ENCODERS if name != "multitask_prompt"]
PROMPTS = [[3, 4, 5, 6, 7], [3, 4, 5, 9], [3, 4, 5, 6, 7, 8, 9, 10], [3, 4, 5, 6]]
NOTHING_SHARED = [[5, 6], [7, 8, 9, 10], [11]]
CONTINUATIONS = [[20, 21], [22], [20, 23, 24]]


def method_of(options: dict[str, Any]) -> Any:
    kind = registry.load("method", options["name"])
    return kind(kind.Options.model_validate(options))


def tuned(base: Any, options: dict[str, Any], peft_task: str = "CAUSAL_LM") -> tuple[Any, Any]:
    """A method and a network that it has changed for good: every trained number is moved."""
    torch.manual_seed(1)
    method = method_of(options)
    network = method.apply(base, peft_task=peft_task, total_steps=1)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return method, network.eval()


def after(network: Any, ids: list[int]) -> torch.Tensor:
    """Log-probabilities behind every token of one row, without a cache."""
    with torch.no_grad():
        found: torch.Tensor = network(torch.tensor([ids]), use_cache=False).logits[0].log_softmax(-1)
    return found


@pytest.fixture(params=["tiny_llama", "tiny_gpt2"])
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("prompts", [PROMPTS, NOTHING_SHARED, PROMPTS[:1]], ids=["shared", "apart", "one"])
def test_asked_with_caches_as_without(name: str, prompts: list[list[int]], folder: Path, open_base: Any) -> None:
    _, network = tuned(open_base(folder), METHODS[name])
    scores = score_continuations(network, prompts, CONTINUATIONS, pad_id=0)
    for prompt, found in zip(prompts, scores, strict=True):
        for continuation, score in zip(CONTINUATIONS, found, strict=True):
            logprobs = after(network, prompt + continuation)[len(prompt) - 1 : -1]
            expected = sum(float(row[token]) for row, token in zip(logprobs, continuation, strict=True))
            assert float(score) == pytest.approx(expected, abs=1e-4)
    for prompt, answer in zip(prompts, greedy_answers(network, prompts, frozenset(), 4, pad_id=0), strict=True):
        for token in answer:
            assert int(after(network, prompt)[-1].argmax()) == token
            prompt = [*prompt, token]


@pytest.mark.parametrize("name", ENCODERS)
def test_the_prompt_is_read_once(name: str, open_base: Any, tiny_llama: Path) -> None:
    _, network = tuned(open_base(tiny_llama), METHODS[name])
    with torch.no_grad():
        plain, cache, length = behind_soft_prompt(network)
    assert plain is network.get_base_model()
    assert cache.get_seq_length() == length == 4


@pytest.mark.parametrize("name", SEQ2SEQ)
def test_an_encoder_decoder_writes_what_it_finds_most_likely(name: str, open_base: Any, tiny_t5: Path) -> None:
    _, network = tuned(open_base(tiny_t5, "seq2seq_lm"), METHODS[name], "SEQ_2_SEQ_LM")
    source, written = torch.tensor([[5, 6, 7, 8]]), [0]
    with torch.no_grad():
        mask = torch.ones_like(source)
        made = network.generate(input_ids=source, attention_mask=mask, max_new_tokens=4, do_sample=False)[0].tolist()
        for token in made[1:]:
            decoder = torch.tensor([written])
            logits = network(input_ids=source, decoder_input_ids=decoder, use_cache=False).logits
            assert int(logits[0, -1].argmax()) == token
            written.append(token)
    assert len(written) > 1


@pytest.mark.parametrize("name", ENCODERS)
def test_tokens_keep_their_own_logits(name: str, open_base: Any, tiny_bert: Path) -> None:
    _, network = tuned(open_base(tiny_bert, "token_classification", labels=("O", "B")), METHODS[name], "TOKEN_CLS")
    alone = network(torch.tensor([[5, 6, 7]])).logits
    padded = network(torch.tensor([[5, 6, 7, 0]]), attention_mask=torch.tensor([[1, 1, 1, 0]])).logits
    assert alone.shape == (1, 3, 2)
    torch.testing.assert_close(padded[:, :3], alone)


@pytest.mark.parametrize("name", ["prompt", "p_tuning", "multitask_prompt"])
def test_a_decoder_with_a_head_would_answer_padding(name: str, open_base: Any, tiny_llama: Path) -> None:
    base = open_base(tiny_llama, "sequence_classification", labels=("a", "b"))
    with pytest.raises(ModelError, match="padding changes its answers"):
        method_of(METHODS[name]).apply(base, peft_task="SEQ_CLS", total_steps=1)


def test_a_prefix_does_not_mind_a_head(open_base: Any, tiny_llama: Path) -> None:
    base = open_base(tiny_llama, "sequence_classification", labels=("a", "b"))
    _, network = tuned(base, METHODS["prefix"], "SEQ_CLS")
    assert "score.modules_to_save" in " ".join(n for n, p in network.named_parameters() if p.requires_grad)


@pytest.mark.parametrize("name", ["prefix", "prompt", "multitask_prompt"])
def test_it_begins_as_the_text(name: str, folder: Path, open_base: Any) -> None:
    text = "the bank raised its profit"
    base = open_base(folder)
    ids = base.tokenizer(text)["input_ids"]
    expected = after(base.network, [*ids, 7, 8, 9])[len(ids) :]
    method = method_of({"name": name, "tokens": len(ids), "text": text})
    network = method.apply(base, peft_task="CAUSAL_LM", total_steps=1)
    torch.testing.assert_close(after(network, [7, 8, 9]), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", METHODS)
def test_narrow_networks_train_in_float32_and_open_as_trained(
    name: str, open_base: Any, tiny_llama: Path, tmp_path: Path
) -> None:
    base = open_base(tiny_llama, dtype="bfloat16")
    method, network = tuned(base, METHODS[name])
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    assert {parameter.dtype for parameter in trained} == {torch.float32}
    after_backward = network(torch.tensor([[5, 6, 7]]), use_cache=False).logits.float().square().sum()
    after_backward.backward()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in trained)
    method.save(network, tmp_path / "adapter", base)
    opened = method.open(open_base(tiny_llama, dtype="bfloat16"), tmp_path / "adapter")
    torch.testing.assert_close(after(opened, [5, 6, 7]), after(network, [5, 6, 7]), atol=0, rtol=0)


def test_a_prefix_and_recomputed_layers(open_base: Any, tiny_llama: Path) -> None:
    _, network = tuned(open_base(tiny_llama), METHODS["prefix"])
    network.get_base_model().gradient_checkpointing_enable({"use_reentrant": False})
    with pytest.raises(ModelError, match="the prefix would get lost"):
        network.train()(torch.tensor([[5, 6]]))


def test_no_room_for_the_prompt(open_base: Any, tiny_gpt2: Path) -> None:
    _, network = tuned(open_base(tiny_gpt2), METHODS["prompt"])
    assert network(torch.ones(1, 60, dtype=torch.long)).logits.shape[1] == 60
    with pytest.raises(ModelError, match="no room in 64 positions"):
        network(torch.ones(1, 61, dtype=torch.long))


POSITIONS = {
    "opt": {"ffn_dim": 8, "word_embed_proj_dim": 8},
    "bart": {"encoder_ffn_dim": 8, "decoder_ffn_dim": 8, "decoder_start_token_id": 1},
    "marian": {"encoder_ffn_dim": 8, "decoder_ffn_dim": 8, "decoder_start_token_id": 1, "decoder_vocab_size": 20},
    "m2m_100": {"encoder_ffn_dim": 8, "decoder_ffn_dim": 8, "decoder_start_token_id": 2},
    "gpt2": {},
    "roberta": {"intermediate_size": 8},
}


@pytest.mark.parametrize("family", POSITIONS)
def test_room_is_what_a_network_has_positions_for(family: str) -> None:
    from transformers import AutoConfig, AutoModel

    usual = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "pad_token_id": 1}
    usual |= {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    config = AutoConfig.for_model(family, **usual, max_position_embeddings=16, **POSITIONS[family])
    network = AutoModel.from_config(config)
    decoder = {"decoder_input_ids": torch.tensor([[5]])} if config.is_encoder_decoder else {}
    tuned = SimpleNamespace(active_peft_config=SimpleNamespace(num_virtual_tokens=4), get_base_model=lambda: network)

    def works(call: Callable[[], object]) -> bool:
        try:
            call()
        except (IndexError, RuntimeError, ModelError):
            return False
        return True

    runs = [works(lambda length=length: network(torch.full((1, length), 5), **decoder)) for length in range(12, 22)]
    fits = [works(lambda length=length: check_room(tuned, length - 4)) for length in range(12, 22)]
    assert fits == runs
    assert runs[0]
    assert runs[-1] is (family == "m2m_100"), "it computes positions as it needs them"


def test_a_prefix_leaves_the_encoders_positions_alone(open_base: Any, tiny_t5: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, BartConfig, BartForConditionalGeneration

    sizes = {"encoder_ffn_dim": 8, "decoder_ffn_dim": 8, "encoder_layers": 1, "decoder_layers": 1, "d_model": 8}
    config = BartConfig(
        vocab_size=300,
        max_position_embeddings=16,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        decoder_start_token_id=0,
        **sizes,
    )
    BartForConditionalGeneration(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_t5).save_pretrained(tmp_path)
    _, network = tuned(open_base(tmp_path, "seq2seq_lm"), METHODS["prefix"], "SEQ_2_SEQ_LM")
    source = torch.full((1, 16), 5)
    assert network(input_ids=source, decoder_input_ids=source[:, :12], use_cache=False).logits.shape[1] == 12
    with pytest.raises(ModelError, match="no room in 16 positions"):
        network(input_ids=source, decoder_input_ids=source[:, :13], use_cache=False)


def test_a_run_begins_with_the_prompt_of_another(open_base: Any, tiny_llama: Path, tmp_path: Path) -> None:
    base = open_base(tiny_llama)
    method, network = tuned(base, METHODS["multitask_prompt"])
    run = tmp_path / "runs" / "20260101-120000-abcdef"
    method.save(network, run / "adapter", base)
    for name in ("config.yaml", "run.json"):
        (run / name).write_text("{}")
    for source in (run, run.parent, run / "adapter"):
        next_one = method_of({**METHODS["multitask_prompt"], "source": str(source)})
        second = next_one.apply(open_base(tiny_llama), peft_task="CAUSAL_LM", total_steps=1)
        torch.testing.assert_close(after(second, [5, 6, 7]), after(network, [5, 6, 7]))
    for wrong in ({"source": str(tmp_path / "elsewhere")}, {"source": str(run), "tokens": 5}):
        with pytest.raises(ModelError, match=r"no run and no adapter in|not of this shape"):
            method_of({**METHODS["multitask_prompt"], **wrong}).apply(
                open_base(tiny_llama), peft_task="CAUSAL_LM", total_steps=1
            )


def test_heads_that_do_not_fill_the_width(open_base: Any, tiny_t5: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, MT5Config, MT5ForConditionalGeneration

    config = MT5Config(vocab_size=300, d_model=32, d_kv=4, d_ff=48, num_layers=2, num_heads=6, decoder_start_token_id=0)
    MT5ForConditionalGeneration(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_t5).save_pretrained(tmp_path)
    _, network = tuned(open_base(tmp_path, "seq2seq_lm"), METHODS["prefix"], "SEQ_2_SEQ_LM")
    assert network.active_peft_config.token_dim == 24


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "prompt", "text": "a", "init": "random"}, "do not go together"),
        ({"name": "prefix", "text": "a", "projection": True}, "neither init"),
        ({"name": "prefix", "width": 8}, "projection's"),
        ({"name": "p_tuning", "dropout": 0.1}, "the LSTM's"),
        ({"name": "multitask_prompt", "text": "a", "source": "b"}, "do not go together"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        method_of(options)


def test_an_encoder_remembers_no_text(open_base: Any, tiny_bert: Path) -> None:
    base = open_base(tiny_bert, "sequence_classification", labels=("a", "b"))
    with pytest.raises(ModelError, match="keeps no keys and values"):
        method_of({"name": "prefix", "text": "a text"}).apply(base, peft_task="SEQ_CLS", total_steps=1)
