"""Folders of runs that were never run: complete ones and such as lack parts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from luthier.data.ledger import Entry, LedgerWriter
from luthier.evaluation.comparison import compare
from luthier.evaluation.results import Answers, assemble, write_predictions
from luthier.runs import Run
from luthier.runs.files import write_json, write_text
from luthier.tasks import Prediction

LABELS = ["negative", "neutral", "positive"]
ATTACK = "<script>alert('x')</script> & \"quoted\" {{ 7 * 7 }}"
SENTENCES = [
    "The group's order book grew for the third quarter in a row.",
    "Operating profit slipped as freight costs rose.",
    "The board meets on Thursday to approve the accounts.",
    "本季度净利润同比增长，毛利率略有下降。",
    "Deliveries were delayed and the outlook was lowered.",
]
CONFIG = """\
name: headlines-sentiment
model:
  base: package:some_model/SomeModel-135M-Instruct.gguf
  device: auto
  dtype: auto
task: {name: causal_lm}
data:
  train: [{path: data/train.jsonl, format: auto}]
  instruction: "What is the sentiment of this news? Choose from {labels}."
  max_length: 512
method: {name: lora, rank: 16, targets: all-linear}
training:
  epochs: 2
  learning_rate: 5.0e-4
"""
RECORD = {
    "state": "finished", "started": 1770000000.0, "finished": 1770000372.0, "seconds": 372.4,
    "versions": {"python": "3.11.9", "luthier": "0.1.0", "torch": "2.13.0"},
    "processor": {"name": "A processor", "cores": 2, "flags": ["avx512f", "avx512_bf16"]},
    "base": {"source": "package:some_model/SomeModel-135M-Instruct.gguf", "folder": "cache/ab12", "digest": "ab12" * 8},
    "template_digest": "cd34" * 8, "tokenizer_digest": "ef56" * 8,
    "data": {"digest": "0123" * 8, "rows": {"train": 1800, "validation": 200}, "labels": LABELS},
    "trainable": 4884480, "parameters": 139399872, "device": "cpu", "dtype": "bfloat16",
    "dtype_reason": "bfloat16 multiplies 3.9 times as fast as float32 here", "engine": "reference",
    "engine_reason": "it is the only engine of this version", "steps": 226, "peak_memory_mb": 2214.6,
    "notes": ["format of data/train.jsonl: labelled text"],
}  # fmt: skip


def answers(right: float, seed: int, *, invalid: float = 0.0, rows: int = 300) -> list[Prediction]:
    expected = np.random.default_rng(7).choice(LABELS, rows, p=[0.15, 0.55, 0.3])
    generator = np.random.default_rng(seed)
    found = []
    for row, label in enumerate(expected):
        said = str(label if generator.random() < right else generator.choice(LABELS))
        bad = generator.random() < invalid
        text = ATTACK if row == 0 else SENTENCES[row % len(SENTENCES)] + f" ({row})"
        raw = ATTACK if bad else said
        found.append(Prediction(row, text, str(label), raw, None if bad else said, {}, 2 * (1.1 - right), 2))
    return found


def write_events(run: Run, steps: int = 226) -> None:
    log = run.events
    log.write("state", state="running")
    noise = np.random.default_rng(0).normal(0, 0.06, steps + 1)
    for step in range(1, steps + 1):
        warm, done = min(1.0, step / 12), step / steps
        rate = 5e-4 * warm * (0.5 + 0.5 * math.cos(math.pi * done))
        loss = 0.12 + 1.6 * math.exp(-step / 25) + abs(noise[step])
        log.write(
            "step", step, loss=loss, learning_rate=rate, tokens_per_second=800.0, tokens=680 * step, seconds=1.4 * step
        )
        if step % (steps // 4) == 0:
            quality = 1 - 0.5 * math.exp(-step / 60)
            scores = {"accuracy": quality, "f1_macro": quality - 0.04, "mcc": quality - 0.12, "loss": 1.2 - quality}
            log.write("evaluation", step, split="validation", metrics=scores)
            log.write("checkpoint", step, path=f"step-{step:06d}", best=step < 200)
            rows = [
                {
                    "prompt": text,
                    "expected": LABELS[i % 3],
                    "answer": LABELS[i % 3] if step / steps > i / 5 else "I think",
                    "valid": step / steps > i / 5,
                }
                for i, text in enumerate([ATTACK, *SENTENCES[1:]])
            ]
            log.write("samples", step, rows=rows)
    log.write("warning", steps, message="3 labels share their first token")
    log.write("state", steps, state="finished")


def write_ledger(run: Run) -> None:
    with LedgerWriter(run.ledger_file) as ledger:
        for row in range(2000):
            split = ("train", "train", "train", "validation", "test")[row % 5]
            if row % 97 == 0:
                ledger.write(
                    Entry(row, "raw", "data/train.jsonl", row + 1, "", "quarantined", f"no column 'label' {ATTACK}")
                )
            elif row % 41 == 0:
                ledger.write(
                    Entry(row, "raw", "data/train.jsonl", row + 1, split, "dropped", f"too long: {row} tokens")
                )
            else:
                changes = "repaired text" if row % 50 == 1 else ""
                ledger.write(
                    Entry(row, "raw", "data/train.jsonl", row + 1, split, "kept", "", changes, None, 60 + row % 40, 3)
                )


def write_evaluation(
    run: Run, modes: Sequence[str] = ("labels", "generate"), *, base: bool = True, right: float = 0.93, rows: int = 300
) -> None:
    groups: list[Answers] = []
    comparisons = {}
    simple = {
        "few_shot": answers(0.35, 5, rows=rows),
        "majority": [_neutral(p) for p in answers(1, 1, rows=rows)],
        "tfidf": answers(0.72, 4, rows=rows),
    }
    for mode in modes:
        invalid = 0.06 if mode == "generate" else 0.0
        tuned = answers(right, 2, invalid=invalid, rows=rows)
        untuned = answers(0.2, 3, invalid=5 * invalid, rows=rows) if base else None
        comparisons[mode] = compare(
            untuned, tuned, simple, ["accuracy", "f1_macro", "f1_weighted", "mcc"], LABELS, seed=1
        )
        groups += [Answers("base", "test", mode, untuned)] if untuned else []
        groups += [Answers("tuned", "test", mode, tuned)]
    write_json(run.metrics_file, assemble({"test": comparisons}, "test", modes[0]))
    write_predictions(run.predictions_file, groups)


def _neutral(row: Prediction) -> Prediction:
    return Prediction(row.row_id, row.text, row.expected, "neutral", "neutral")


@pytest.fixture
def empty_run(tmp_path: Path) -> Run:
    """A run that was only created."""
    folder = tmp_path / "headlines-sentiment" / "20260202-101500-ab12cd"
    folder.mkdir(parents=True)
    write_text(folder / "config.yaml", CONFIG)
    write_json(folder / "run.json", {"state": "planned"})
    return Run(folder)


@pytest.fixture
def full_run(empty_run: Run) -> Run:
    """A run with everything: events, ledger, two ways of asking, hostile texts among rows and answers."""
    write_json(empty_run.path / "run.json", RECORD)
    write_events(empty_run)
    write_ledger(empty_run)
    write_evaluation(empty_run)
    return empty_run


@pytest.fixture
def evaluated() -> Callable[..., None]:
    """Writes an evaluation into a run's folder."""
    return write_evaluation


@pytest.fixture
def made_up_answers() -> Callable[..., list[Prediction]]:
    """Answers that are right so often, the same for the same seed."""
    return answers


@pytest.fixture
def finished(tmp_path: Path) -> Callable[..., Run]:
    """Makes a finished run that is right so often on the same rows."""

    def make(name: str, method: str = "lora", right: float = 0.93, rows: int = 300, adapter: int = 40_000) -> Run:
        folder = tmp_path / name / "20260202-101500-ab12cd"
        (folder / "adapter").mkdir(parents=True)
        (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"0" * adapter)
        settings = f"name: {name}\nmodel: {{base: some/base}}\ndata: {{train: rows.jsonl}}\nmethod: {method}\n"
        write_text(folder / "config.yaml", settings)
        asking = {"tuned": {"labels": {"rows": 300, "seconds": 6.0}}, "base": {"labels": {"rows": 300, "seconds": 3.0}}}
        record = RECORD | {"training_peak_mb": 2000.0, "base_mb": 1.0, "asking": asking}
        write_json(folder / "run.json", record)
        run = Run(folder)
        write_events(run, 40)
        write_evaluation(run, right=right, rows=rows)
        return run

    return make
