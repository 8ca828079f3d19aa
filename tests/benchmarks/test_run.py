"""The race without racing: turns, failures, merging and the page, on results that are made up."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from race import page, run, search
from race.contestants import NOTHING, START
from race.processes import Entry
from race.workloads import Prepared

SECONDS = {"fast": 1.0, "reference": 4.0, "trainer": 5.0, "trl": 8.0, "torchtune": 6.0}


@pytest.fixture
def started(tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """Who was started, in order; everything is written below tmp_path."""
    rows = [{"step": step, "ids": [1] * 8, "supervised": [0] * 7 + [1]} for step in (1, 2, 3) for _ in range(16)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    about = {"base": str(tiny_llama), "targets": ["q_proj"], "rank": 2, "task": "causal_lm", "steps": 3}
    starts: list[tuple[str, str | None]] = []

    def trained(entry: Entry, *, profile: bool) -> dict[str, Any]:
        starts.append((entry.contestant.name, entry.ablate))
        if entry.contestant.name not in SECONDS:
            return {"failed": "Traceback\nMemoryError: too little"}
        slower = SECONDS[entry.contestant.name] * (2 if entry.ablate not in (None, NOTHING) else 1)
        times = {"seconds": [9.0, slower, slower], "saved_after": 10 + 2 * slower}
        parts = {"products": (slower, 120.0 * slower), "attention": (slower / 2, 0.0), "others": (slower / 4, 0.0)}
        kinds = {kind: {"seconds": seconds, "gflop": gflop} for kind, (seconds, gflop) in parts.items()}
        times |= {"kinds": kinds if profile else None}
        return times | {"peak_memory_mb": 100.0 * slower, "losses": [2.5, 2.0, 1.5], "dtype": "float32"}

    def together(entries: list[Entry], *_: Any, profile: bool = False) -> list[dict[str, Any]]:
        return [trained(entry, profile=profile) for entry in entries]

    monkeypatch.setattr(run, "together", together)
    monkeypatch.setattr(run, "prepare_once", lambda *_: None)
    monkeypatch.setattr(run, "prepare", lambda name, *_: Prepared(name, tmp_path, about))
    machine = {"name": "a processor", "cores": 2, "memory_gb": 8.0}
    monkeypatch.setattr(run, "measure_machine", lambda: {"machine": machine, "matrix_rate": {"float32": 100.0}})
    monkeypatch.setattr(run, "RAW", tmp_path / "bench.json")
    monkeypatch.setattr(page, "PAGE", tmp_path / "benchmarks.md")
    monkeypatch.setattr(page, "CHART", tmp_path / "benchmarks.svg")
    monkeypatch.setattr(search, "load", lambda: {"best": {}, "reference": {}, "trials": {}})
    return starts


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def called(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["run", *arguments])
        run.main()

    return called


def test_everybody_meets_the_fast_engine_and_a_failed_one_is_not_asked_again(
    started: list[tuple[str, str | None]], call: Callable[..., None]
) -> None:
    call("--workloads", "A", "--contestants", "litgpt,trainer", "--repeats", "2")
    assert [name for name, _ in started] == ["fast", "litgpt", "fast", "trainer", "fast", "trainer"]


@pytest.mark.parametrize(("workload", "pairs"), [("A", 5), ("C", 5), ("D", 5), ("B", 3), ("F", 3)])
def test_everybody_is_met_several_times(
    started: list[tuple[str, str | None]], call: Callable[..., None], tmp_path: Path, workload: str, pairs: int
) -> None:
    call("--workloads", workload, "--contestants", "trainer")
    assert started.count(("trainer", None)) == pairs
    assert f"| 5.00x ±0% | {pairs} |" in (tmp_path / "benchmarks.md").read_text()


def test_the_page_has_ratios_and_reasons(
    started: list[tuple[str, str | None]], call: Callable[..., None], tmp_path: Path
) -> None:
    call("--workloads", "A", "--repeats", "1")
    call("--workloads", "F", "--repeats", "1")
    text = (tmp_path / "benchmarks.md").read_text()
    assert "Rows/s 5.00x (aim: at least 6x), memory 0.20x (aim: at most 0.4x)." in text
    assert "LitGPT: failed, MemoryError: too little" in text
    assert "The aims were set for a processor that multiplies bfloat16" in text  # this one was not seen to
    assert "torchtune's LoRA builder: not run, it has no builder for Gemma 3" in text
    assert "| Luthier, fast engine | 16.00" in text
    assert "transformers Trainer with PEFT: float32, sdpa, micro-batch 4; first loss 2.50000" in text
    assert "Luthier, fast engine: its defaults (float32)" in text
    assert (tmp_path / "benchmarks.svg").read_text().count(">5.00x<") == 2


def test_a_part_that_runs_again_takes_its_place(
    started: list[tuple[str, str | None]], call: Callable[..., None], tmp_path: Path
) -> None:
    call("--workloads", "A", "--contestants", "trainer,torchtune", "--repeats", "3")
    call("--workloads", "A", "--contestants", "trl", "--repeats", "2")
    call("--workloads", "A", "--contestants", "torchtune", "--repeats", "1")
    pairs = json.loads((tmp_path / "bench.json").read_text())["pairs"]
    assert [pair["contestant"] for pair in pairs] == ["torchtune", *["trainer"] * 3, *["trl"] * 2]


def test_ablation_switches_off_one_technique_at_a_time(
    started: list[tuple[str, str | None]], call: Callable[..., None], tmp_path: Path
) -> None:
    call("--workloads", "C", "--contestants", "trainer", "--repeats", "2")
    started.clear()
    call("--ablation", "--workloads", "C", "--repeats", "1")
    assert started[::2] == [("fast", None)] * (1 + len(run_techniques()))
    assert started[1::2] == [("fast", name) for name in (NOTHING, *run_techniques())]
    assert "| prefixes | 8.00 | 2.00x ±0% | 200 MB | 1 |" in (tmp_path / "benchmarks.md").read_text()
    pairs = json.loads((tmp_path / "bench.json").read_text())["pairs"]
    assert page.TECHNIQUES.keys() >= set(run_techniques())
    assert [pair["ablate"] for pair in pairs].count(None) == 2  # the race itself stays as it was


def test_an_ablation_of_fewer_steps_leaves_the_race_as_it_was(
    started: list[tuple[str, str | None]], call: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("--workloads", "C", "--contestants", "trainer")
    before = (tmp_path / "benchmarks.md").read_text()
    whole = run.prepare("C")
    monkeypatch.setattr(run, "prepare", lambda *_: Prepared("C", whole.folder, whole.about | {"steps": 2}))
    monkeypatch.setattr(Prepared, "rows", [{"step": s, "ids": [1] * 8, "supervised": [0] * 7 + [1]} for s in (1, 2)])
    call("--ablation", "--workloads", "C")
    assert (tmp_path / "benchmarks.md").read_text().startswith(before.rstrip())


def test_a_profile_says_what_the_steps_are_spent_on(
    started: list[tuple[str, str | None]], call: Callable[..., None], tmp_path: Path
) -> None:
    call("--workloads", "C", "--contestants", "trainer,torchtune")
    started.clear()
    call("--profile", "--workloads", "C")
    assert [name for name, _ in started] == ["fast", "trainer"]
    text = (tmp_path / "benchmarks.md").read_text()
    assert "| C | Luthier, fast engine | 2.0 | 50% | 120 GFLOP/s | 25% | 12% | 12% |" in text


def run_techniques() -> tuple[str, ...]:
    from luthier.training.fast.engine import TECHNIQUES

    return TECHNIQUES


def test_the_quick_race_takes_the_fastest_peer(
    started: list[tuple[str, str | None]],
    call: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trials = {name: [{"settings": {}, "seconds": seconds}] for name, seconds in (("trainer", 5.0), ("torchtune", 6.0))}
    record = {"best": {w: {"trainer": {}, "torchtune": {}} for w in "AC"}, "trials": dict.fromkeys("AC", trials)}
    monkeypatch.setattr(search, "load", lambda: record)
    call("--quick")
    assert {name for name, _ in started} == {"fast", "trainer"}
    assert "Rows/s 5.00x (aim: at least 1.7x)" in capsys.readouterr().out


def test_the_page_says_who_groups_rows_and_what_was_varied(
    started: list[tuple[str, str | None]], call: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    grouped = START | {"grouped": True}
    tried = [{"settings": settings, "seconds": 5.0} for settings in (START, grouped, START | {"micro_batch": 8})]
    trials = {"F": {"trainer": tried[:1]}, "A": {"trainer": tried, "trl": tried[:1]}}
    record = {"best": {"A": {"trainer": grouped}}, "reference": {}, "trials": trials}
    monkeypatch.setattr(search, "load", lambda: record)
    call("--workloads", "A", "--contestants", "trainer", "--repeats", "1")
    text = (tmp_path / "benchmarks.md").read_text()
    assert "\n- A: micro-batch, length grouping\n- F: nothing\n" in text
    assert "micro-batch 4, grouped by length (so other rows in its steps); first loss 2.50000" in text


def test_a_peer_without_legal_settings_does_not_start(
    started: list[tuple[str, str | None]], call: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    record = {"best": {}, "trials": {"A": {"trl": [{"settings": START, "refused": "its first loss is 3.1"}]}}}
    monkeypatch.setattr(search, "load", lambda: record)
    call("--workloads", "A", "--contestants", "trainer,trl", "--repeats", "1")
    assert [name for name, _ in started] == ["fast", "trainer"]
    assert "TRL SFTTrainer: not run, its first loss is 3.1" in (tmp_path / "benchmarks.md").read_text()
