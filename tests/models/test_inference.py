"""Scores and answers of batches with a shared beginning, against one row at a time."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.models import inference
from luthier.models.inference import (
    batches_by_length,
    common_prefix,
    greedy_answers,
    padding_reach,
    score_continuations,
)


@pytest.fixture(scope="module")
def network(tiny_llama):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(str(tiny_llama), dtype=torch.float32).eval()


SIZES = {"vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "pad_token_id": 0}
HEADS = {"intermediate_size": 48, "num_key_value_heads": 2, "head_dim": 8}
FAMILIES = {
    "gemma3_text": HEADS | {"sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"]},
    "mistral": HEADS | {"sliding_window": 5},
    "gpt_neo": {"window_size": 5, "attention_types": [[["local", "global"], 1]], "max_position_embeddings": 64},
    "lfm2": {"num_key_value_heads": 2, "block_ff_dim": 48, "layer_types": ["conv", "full_attention"]},
    "mpt": {},
}
"""Models that count places, not positions: windows of five tokens, a convolution, distances without positions."""


@pytest.fixture(scope="module", params=FAMILIES)
def counting(request):
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(request.param, initializer_range=0.3, **SIZES, **FAMILIES[request.param])
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(config).eval()
    for parameter in network.parameters():  # of some the configuration's range is not asked
        torch.nn.init.normal_(parameter, float(parameter.detach().mean()), 0.3)
    return network


PROMPTS = [[3, 4, 5, 6, 7], [3, 4, 5, 9], [3, 4, 5, 6, 7, 8, 9, 10], [3, 4, 5, 6]]
NOTHING_SHARED = [[5, 6], [7, 8, 9, 10], [11]]


def one_by_one(network, prompt, continuation):
    logits = network(torch.tensor([prompt + continuation])).logits[0].log_softmax(-1)
    return sum(float(logits[len(prompt) + i - 1, token]) for i, token in enumerate(continuation))


@pytest.mark.parametrize("prompts", [PROMPTS, NOTHING_SHARED, PROMPTS[:1]])
def test_scores_equal_one_row_at_a_time(network, prompts):
    continuations = [[20, 21], [22], [20, 23, 24]]
    scores = score_continuations(network, prompts, continuations, pad_id=0)
    expected = torch.tensor([[one_by_one(network, p, c) for c in continuations] for p in prompts])
    torch.testing.assert_close(scores, expected, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("prompts", [PROMPTS, NOTHING_SHARED])
def test_greedy_answers_equal_generate(network, prompts):
    answers = greedy_answers(network, prompts, frozenset({2}), max_new_tokens=6, pad_id=0)
    for prompt, answer in zip(prompts, answers, strict=True):
        made = network.generate(
            torch.tensor([prompt]), max_new_tokens=6, do_sample=False, eos_token_id=2, pad_token_id=0
        )
        expected = [token for token in made[0, len(prompt) :].tolist() if token not in (0, 2)]
        assert answer == expected


LONG = [[*range(3, 12), *rest] for rest in ([20, 21], [22], [23], [24, 25, 26, 27, 28, 29], [30, 31])]


@pytest.mark.parametrize("prompts", [LONG, NOTHING_SHARED], ids=["shared", "not shared"])
def test_a_score_does_not_depend_on_the_rows_beside_it(counting, prompts):
    continuations = [[40, 41], [42], [40, 43, 44]]
    scores = score_continuations(counting, prompts, continuations, pad_id=0)
    expected = torch.tensor([[one_by_one(counting, p, c) for c in continuations] for p in prompts])
    torch.testing.assert_close(scores, expected, atol=2e-4, rtol=1e-5)


@pytest.mark.parametrize("prompts", [LONG, NOTHING_SHARED], ids=["shared", "not shared"])
def test_an_answer_does_not_depend_on_the_rows_beside_it(counting, prompts):
    expected = [list(prompt) for prompt in prompts]
    for row in expected:
        for _ in range(6):
            row.append(int(counting(torch.tensor([row]), use_cache=False).logits[0, -1].argmax()))
    answers = greedy_answers(counting, prompts, frozenset(), max_new_tokens=6, pad_id=0)
    assert [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)] == expected


def test_padding_reaches_as_far_as_positions_decide(network, counting):
    assert padding_reach(network) == math.inf
    assert padding_reach(counting) == (0 if counting.config.model_type in ("lfm2", "mpt") else 5)


@pytest.mark.parametrize("limit", ["CACHED_TOKENS", "LOGITS_AT_ONCE"])
def test_little_memory_is_kept_to_and_changes_nothing(network, limit, monkeypatch):
    continuations = [[20, 21], [22], [20, 23, 24]]

    def ask():
        answers = greedy_answers(network, PROMPTS, frozenset(), max_new_tokens=6, pad_id=0)
        return answers, score_continuations(network, PROMPTS, continuations, pad_id=0)

    answers, scores = ask()
    allowed = {"CACHED_TOKENS": 27, "LOGITS_AT_ONCE": 1_300}  # two rows of 13 tokens, of two tokens' logits
    monkeypatch.setattr(f"luthier.models.inference.{limit}", allowed[limit])
    held = {"CACHED_TOKENS": [], "LOGITS_AT_ONCE": []}

    def note(module, inputs, asked, output):
        held["CACHED_TOKENS"].append(asked["attention_mask"].numel())
        held["LOGITS_AT_ONCE"].append(output.logits.numel())

    handle = network.register_forward_hook(note, with_kwargs=True)
    try:
        again, rescored = ask()
    finally:
        handle.remove()
    assert again == answers
    torch.testing.assert_close(rescored, scores)
    assert allowed[limit] / 2 < max(held[limit]) <= allowed[limit]


def test_answers_end_at_a_stop_token(network):
    free = greedy_answers(network, PROMPTS, frozenset(), max_new_tokens=5, pad_id=0)
    stop = frozenset({free[0][2]})
    stopped = greedy_answers(network, PROMPTS, stop, max_new_tokens=5, pad_id=0)
    cut = free[0].index(free[0][2])
    assert stopped[0] == free[0][:cut]
    assert len(free[0]) == 5


def test_finished_rows_are_left_out_once_they_are_half(counting):
    prompts = [[*range(3, 12), last] for last in (20, 25, 33, 47)]
    free = greedy_answers(counting, prompts, frozenset(), max_new_tokens=6, pad_id=0)
    stops = frozenset({free[0][1], free[2][1]})
    expected = [answer[: next((i for i, token in enumerate(answer) if token in stops), 6)] for answer in free]
    rows = []
    handle = counting.register_forward_hook(lambda module, inputs, output: rows.append(len(inputs[0])))
    try:
        assert greedy_answers(counting, prompts, stops, max_new_tokens=6, pad_id=0) == expected
    finally:
        handle.remove()
    assert rows[:2] == [1, 4]
    assert rows[-1] <= 2 < len(rows)


def test_long_answers_are_written_side_by_side(counting, monkeypatch):
    """However many tokens there will be, only the logits of one of them are held for a row."""
    prompts = [[*range(3, 12), last] for last in (20, 25, 33, 47)]
    monkeypatch.setattr(inference, "LOGITS_AT_ONCE", 4 * counting.config.vocab_size)
    rows = []
    handle = counting.register_forward_hook(lambda module, inputs, output: rows.append(len(inputs[0])))
    try:
        greedy_answers(counting, prompts, frozenset(), max_new_tokens=12, pad_id=0)
    finally:
        handle.remove()
    assert rows == [1, *[4] * 12]


def test_common_prefix_leaves_a_token_to_each():
    assert common_prefix([[1, 2, 3], [1, 2, 4]]) == 2
    assert common_prefix([[1, 2], [1, 2, 4]]) == 1
    assert common_prefix([[1, 2, 3]]) == 0
    assert common_prefix([[1, 2], [3, 4]]) == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=60), st.integers(50, 600), st.integers(1, 9))
def test_batches_cover_all_rows_within_the_tokens(lengths, tokens, rows):
    batches = batches_by_length(lengths, tokens, rows, padded=100)
    assert max(map(len, batches)) <= rows
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or max(lengths[index] for index in batch) * len(batch) <= tokens
        found = {lengths[index] for index in batch}
        assert len(found) == 1 or max(found) <= 100
