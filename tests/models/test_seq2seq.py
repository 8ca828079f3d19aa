"""Losses, scores and answers of encoder-decoders, against the library's own and against one row at a time."""

import copy

import pytest
import torch
from transformers import AutoConfig, AutoModelForSeq2SeqLM

from luthier.models.seq2seq import greedy_answers, measure_targets, score_targets, target_losses

PAD, END = 0, 1
SOURCES = [[5, 6, 7, 8, END], [9, 10, END], [11, 12, 13, 14, 15, 16, END], [5, END]]
TARGETS = [[20, 21, END], [22, END], [23, 24, 25, END], [26, END]]
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": PAD}
BART = {
    **{f"{part}_layers": 2 for part in ("encoder", "decoder")},
    **{f"{part}_attention_heads": 4 for part in ("encoder", "decoder")},
    **{f"{part}_ffn_dim": 48 for part in ("encoder", "decoder")},
    "d_model": 32,
    "bos_token_id": 2,
    "decoder_start_token_id": END,
    "init_std": 0.2,
}


@pytest.fixture(scope="module")
def network(tiny_t5):
    return AutoModelForSeq2SeqLM.from_pretrained(str(tiny_t5), dtype=torch.float32).eval()


def padded(rows, value):
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (longest - len(row))] for row in rows])


def source(rows):
    ids = padded(rows, PAD)
    return {"input_ids": ids, "attention_mask": (ids != PAD).long()}


def by_the_library(network, sources, targets):
    """The library's mean loss of one unpadded row, times its tokens."""
    return [
        float(network(input_ids=torch.tensor([s]), labels=torch.tensor([t])).loss.detach()) * len(t)
        for s, t in zip(sources, targets, strict=True)
    ]


@pytest.mark.parametrize("family", ["t5", "longt5", "bart", "mbart", "marian", "m2m_100"])
def test_loss_equals_the_library_padded_and_one_row_at_a_time(family):
    """Every family shifts targets in its own way; m2m_100 does not say how."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 64, "pad_token_id": PAD, "eos_token_id": END, **(T5 if "t5" in family else BART)}
    network = AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model(family, **sizes)).eval()
    targets = padded(TARGETS, -100)
    losses = target_losses(network, source(SOURCES), targets).detach()
    together = float(network(**source(SOURCES), labels=targets).loss.detach())
    assert float(losses.sum()) == pytest.approx(together * sum(map(len, TARGETS)), rel=1e-6)
    assert losses.tolist() == pytest.approx(by_the_library(network, SOURCES, TARGETS), rel=1e-5)


def test_losses_have_gradients_in_float32(network):
    narrow = copy.deepcopy(network).to(torch.bfloat16)
    losses = target_losses(narrow, source(SOURCES), padded(TARGETS, -100))
    assert losses.dtype == torch.float32
    losses.sum().backward()
    assert narrow.get_input_embeddings().weight.grad.abs().sum() > 0


def test_measured_and_scored_targets_equal_one_row_at_a_time(network):
    measured = measure_targets(network, SOURCES, TARGETS, PAD)
    assert measured == pytest.approx(by_the_library(network, SOURCES, TARGETS), rel=1e-5)
    scores = score_targets(network, SOURCES, TARGETS, PAD)
    expected = [[-loss for loss in by_the_library(network, [row] * len(TARGETS), TARGETS)] for row in SOURCES]
    torch.testing.assert_close(scores, torch.tensor(expected), atol=2e-5, rtol=1e-5)


def test_few_logits_at_once_change_nothing(network, monkeypatch):
    whole = score_targets(network, SOURCES, TARGETS, PAD)
    monkeypatch.setattr("luthier.models.inference.LOGITS_AT_ONCE", 1)
    done = []
    torch.testing.assert_close(score_targets(network, SOURCES, TARGETS, PAD, done.append), whole)
    assert done == [1] * len(SOURCES)


def test_the_encoder_reads_every_source_once(network):
    read = []
    handle = network.get_encoder().register_forward_hook(lambda module, inputs, output: read.append(output[0].shape[0]))
    try:
        score_targets(network, SOURCES, TARGETS, PAD)
    finally:
        handle.remove()
    assert sum(read) == len(SOURCES)


def test_soft_prompts_belong_to_every_score(network):
    from peft import PromptTuningConfig, get_peft_model

    torch.manual_seed(0)
    config = PromptTuningConfig(task_type="SEQ_2_SEQ_LM", num_virtual_tokens=3, num_transformer_submodules=1)
    prompted = get_peft_model(copy.deepcopy(network), config).eval()
    scores = score_targets(prompted, SOURCES, TARGETS, PAD)
    alone = [float(target_losses(prompted, source([row]), padded([TARGETS[0]], -100)).detach()) for row in SOURCES]
    assert scores[:, 0].tolist() == pytest.approx([-loss for loss in alone], rel=1e-5)
    assert not torch.allclose(scores, score_targets(network, SOURCES, TARGETS, PAD), atol=1e-3)
    assert len(greedy_answers(prompted, SOURCES, 3, PAD)) == len(SOURCES)


def one_by_one(network, row, tokens):
    """The likeliest next token, found anew from the whole beginning each time."""
    made = [network.generation_config.decoder_start_token_id]
    for _ in range(tokens):
        logits = network(input_ids=torch.tensor([row]), decoder_input_ids=torch.tensor([made])).logits
        made.append(int(logits[0, -1].argmax()))
    return made[1:]


def test_greedy_answers_equal_one_row_at_a_time(network):
    expected = [one_by_one(network, row, 6) for row in SOURCES]
    assert len({tuple(row) for row in expected}) > 1, "rows have answers of their own"
    assert greedy_answers(network, SOURCES, 6, PAD) == expected


def test_answers_end_at_the_models_own_end_token(network):
    free = greedy_answers(network, SOURCES, 6, PAD)
    other = copy.deepcopy(network)
    other.generation_config.eos_token_id = [free[0][2], 299]
    cut = free[0].index(free[0][2])
    assert greedy_answers(other, SOURCES, 6, PAD)[0] == free[0][:cut]


def test_a_published_search_is_not_used_but_its_first_token_is(network):
    free = greedy_answers(network, SOURCES, 6, PAD)
    other = copy.deepcopy(network)
    settings = {"num_beams": 3, "min_length": 5, "no_repeat_ngram_size": 1, "repetition_penalty": 3.0}
    other.generation_config.update(**settings)
    assert greedy_answers(other, SOURCES, 6, PAD) == free
    other.generation_config.forced_bos_token_id = 42
    assert {row[0] for row in greedy_answers(other, SOURCES, 6, PAD)} == {42}
