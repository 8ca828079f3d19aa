import json
from pathlib import Path

import pytest
from race.measures import (
    Shape,
    best_peer,
    ceiling,
    computed_once,
    counted_seconds,
    merged,
    operations,
    rates,
    same_loss,
    seen,
    shape_of,
    times_faster,
    workload_record,
)


def test_operations_are_the_formula_by_hand() -> None:
    shape = Shape(100, 10, last_frozen=40, last_lora=4, hidden=4, vocabulary=50, attention=8, layers=2, causal=True)
    linear = 5 * (4 * 100 + 6 * 10)
    output = 4 * 3 * 4 * 50
    attention = 12 * 2 * 8 * (3 * 4 / 2 + 2 * 3 / 2)
    assert operations(shape, 5, seen([3, 2], causal=True), 3) == linear + output + attention
    saved = 2 * (4 * 40 + 6 * 4)
    assert operations(shape, 5, seen([3, 2], causal=True), 3, unread=2) == linear + output + attention - saved


def test_an_encoder_sees_every_pair() -> None:
    assert seen([4], causal=True) == 10
    assert seen([4], causal=False) == 16


def test_a_common_beginning_is_computed_once_a_step() -> None:
    beginning = list(range(8))
    step = [[*beginning, 30], [*beginning, 40, 50]]
    assert computed_once([step]) == (11, 36 + 9 + 9 + 10)
    assert computed_once([step, step]) == (22, 2 * 64)
    assert computed_once([[step[0]], [step[1]]]) == (19, 45 + 55)


def test_the_ceiling_is_all_that_is_left_at_the_machines_rate() -> None:
    peer = {"rows": 2.0}  # 10 seconds for 20 rows; 500 GFLOP would take 5 seconds at 100 GFLOP/s
    assert ceiling({"rows": 20, "least_gflop": 500.0}, peer, matrix_rate=100.0) == 2.0


def test_counted_operations_agree_with_what_torch_counts(tiny_llama: Path) -> None:
    """Torch counts products of a forward pass: a third of attention and half of the frozen layers, by the formula."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoModelForCausalLM

    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    shape = shape_of(tiny_llama, targets, 4, "causal_lm")
    network = AutoModelForCausalLM.from_pretrained(tiny_llama, attn_implementation="eager")
    tokens = 24
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros((1, tokens), dtype=torch.int64))
    output = 2 * tokens * shape.hidden * shape.vocabulary
    full_attention = 4 * shape.layers * shape.attention * tokens * tokens  # eager computes the hidden half, too
    rotary = (
        tokens * 2 * (shape.attention // json.loads((tiny_llama / "config.json").read_text())["num_attention_heads"])
    )
    assert counter.get_total_flops() == pytest.approx(2 * tokens * shape.frozen + output + full_attention, abs=rotary)
    attention, mlp = network.model.layers[-1].self_attn, network.model.layers[-1].mlp
    narrowed = (attention.q_proj, attention.o_proj, mlp.gate_proj, mlp.up_proj, mlp.down_proj)
    assert shape.last_frozen == sum(module.weight.numel() for module in narrowed)


def test_the_first_step_does_not_count() -> None:
    assert counted_seconds({"seconds": [9.0, 1.0, 2.0]}, tokens=100) == 3.0


def test_grouped_rows_are_scaled_to_the_same_tokens() -> None:
    grouped = {"seconds": [9.0, 1.0, 1.0], "tokens_seen": [80, 110, 130]}  # the longest rows came first
    assert counted_seconds(grouped, tokens=100) == pytest.approx(2.0 * 100 / 50)


def test_rates_are_medians() -> None:
    held = {"rows": 32, "tokens": 640, "supervised": 64, "gflop": 100.0}
    results = [
        {"seconds": [5.0, seconds], "peak_memory_mb": memory, "saved_after": 10.0 + seconds, "losses": [2.0]}
        for seconds, memory in ((4.0, 100.0), (2.0, 300.0), (40.0, 200.0))
    ]
    found = rates([(held, result) for result in results], matrix_rate=50.0)
    assert (found["rows"], found["tokens"], found["supervised"]) == (8.0, 160.0, 16.0)
    assert (found["memory_mb"], found["saved_after"], found["share"]) == (200.0, 14.0, 0.5)


def test_processes_of_more_and_fewer_steps_are_one_rate() -> None:
    result = {"peak_memory_mb": 100.0, "saved_after": 10.0, "losses": [2.0]}
    short = {"rows": 16, "tokens": 320, "supervised": 32, "gflop": 50.0}
    long = {name: 2 * value for name, value in short.items()}
    ran = [(short, {**result, "seconds": [5.0, 2.0]}), (long, {**result, "seconds": [5.0, 2.0, 2.0]})]
    assert (rates(ran, 50.0)["rows"], rates(ran, 50.0)["share"]) == (8.0, 0.5)


def test_pairs_are_compared_over_the_same_minutes() -> None:
    held = {"held": {"rows": 32, "tokens": 640}}
    quick = held | {"fast": {"seconds": [9.0, 1.0, 1.0, 1.0]}, "other": {"seconds": [9.0, 2.0, 2.0, 2.0]}}
    slow = held | {"fast": {"seconds": [9.0, 4.0, 4.0, 4.0]}, "other": {"seconds": [9.0, 8.0, 8.0, 12.0]}}
    assert times_faster([quick]) == {"times": 2.0, "spread": 0.0}
    assert times_faster([quick, slow])["times"] == pytest.approx((2.0 + 28 / 12) / 2)
    assert times_faster([slow])["spread"] == pytest.approx((2.5 - 2.0) / 2 / 2.0)


def test_a_peer_that_did_not_run_is_not_the_best() -> None:
    found = {"fast": {"rows": 9.0}, "trainer": {"times": 2.0}, "trl": {"times": 4.0}}
    assert best_peer(found, ["trainer", "trl", "litgpt"]) == "trainer"
    assert best_peer(found, ["litgpt"]) is None


@pytest.mark.parametrize(
    ("loss", "dtype", "same"),
    [(2.5646, "float32", True), (2.57, "float32", False), (2.63, "bfloat16", True), (3.0, "bfloat16", False)],
)
def test_a_loss_tells_whether_the_tokens_are_the_same(loss: float, dtype: str, same: bool) -> None:
    assert same_loss(loss, 2.56458, dtype) is same


def test_new_pairs_replace_earlier_ones_of_the_same_part_only() -> None:
    def one(workload: str, contestant: str, ablate: str | None, at: int) -> dict[str, object]:
        return {"workload": workload, "contestant": contestant, "ablate": ablate, "at": at}

    before = [
        one("A", "torchtune", None, 1),
        one("A", "fast", "head", 1),
        one("A", "trl", None, 1),
        one("C", "fast", None, 1),
    ]
    after = merged(before, [one("A", "torchtune", None, 2), one("A", "torchtune", None, 3)])
    assert sorted((run["workload"], run["contestant"], run["ablate"] or "", run["at"]) for run in after) == [
        ("A", "fast", "head", 1),
        ("A", "torchtune", "", 2),
        ("A", "torchtune", "", 3),
        ("A", "trl", "", 1),
        ("C", "fast", "", 1),
    ]


def test_the_record_of_a_workload_leaves_out_the_first_step(tiny_llama: Path) -> None:
    rows = [
        {"step": 1, "ids": [1] * 9, "supervised": [0] * 8 + [1]},
        {"step": 2, "ids": [1] * 4, "supervised": [0, 0, 1, 1]},
        {"step": 2, "ids": [1] * 6, "supervised": [0] * 5 + [1]},
    ]
    about = {"base": str(tiny_llama), "targets": ["q_proj"], "rank": 2, "task": "causal_lm", "steps": 2}
    held = workload_record(rows, about)
    assert (held["rows"], held["tokens"], held["supervised"], held["longest"]) == (2, 10, 3, 6)
