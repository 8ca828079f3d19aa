"""Peers train on the rows that Luthier trains on: the written rows against Luthier's own batches."""

import json
from itertools import chain
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from common import Job, pad
from race import workloads
from race.processes import job
from race.workloads import Workload, prepare

from luthier.config import load_config
from luthier.config.writing import to_yaml
from luthier.runs import Run
from luthier.training.session import Materials, Session


@pytest.fixture
def workload(tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workload:
    texts = [f"the board met {'again ' * (number % 7)}on day {number}" for number in range(60)]
    rows = [{"text": text, "label": ("good", "bad")[number % 2]} for number, text in enumerate(texts)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = tmp_path / "run.yaml"
    config.write_text(f"model: {{base: '{tiny_llama}'}}\ndata: {{train: x, max_length: 128, clean: []}}\n")
    made = Workload("tiny", config, lambda: str(tmp_path / "rows.jsonl"), steps=3, speed=1, memory=1)
    monkeypatch.setitem(workloads.WORKLOADS, "T", made)
    monkeypatch.setattr(workloads, "CACHE", tmp_path / "bench")
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    return made


def test_rows_are_those_of_luthiers_steps(workload: Workload) -> None:
    prepared = prepare("T")
    config = load_config(workload.config, [*prepared.about["overrides"], "training.engine=reference"])
    materials = Materials.gather(config)
    session = Session.start(materials, Run.create(config, to_yaml(config)), materials.load_base())
    expected = [
        (step, list(row.ids), [int(learned) for learned in row.supervised])
        for step in (1, 2, 3)
        for row in (materials.prepared.train[number] for number in session.order.rows(step))
    ]
    assert [(row["step"], row["ids"], row["supervised"]) for row in prepared.rows] == expected
    adapter: Any = session.network
    assert set(prepared.about["targets"]) == set(adapter.peft_config["default"].target_modules)


def test_a_worker_reads_the_same_rows(workload: Workload, tmp_path: Path) -> None:
    prepared = prepare("T")
    told = job(prepared, {"micro_batch": 4, "dtype": "float32"}, 2, only_prepare=False, ask=None)
    (tmp_path / "job.json").write_text(json.dumps(told))
    steps = Job(str(tmp_path / "job.json")).steps()
    assert [len(step) for step in steps] == [16, 16]
    for number, step in enumerate(steps, 1):
        written = [row for row in prepared.rows if row["step"] == number]
        assert sorted(row["input_ids"] for row in step) == sorted(row["ids"] for row in written)
        lengths = [len(row["input_ids"]) for row in step]
        assert lengths == sorted(lengths, reverse=True)
        learned = sum(label != -100 for row in step for label in row["labels"])
        assert learned == sum(sum(row["supervised"]) for row in written) > 0


def test_weighted_means_of_micro_batches_are_the_mean_over_the_tokens(workload: Workload, tmp_path: Path) -> None:
    prepared = prepare("T")
    told = job(prepared, {"micro_batch": 4, "dtype": "float32"}, 2)
    (tmp_path / "job.json").write_text(json.dumps(told))
    read = Job(str(tmp_path / "job.json"))
    rows = read.rows()
    for number, row in enumerate(rows):  # now few tokens, now many
        row["labels"][1:] = [
            number if place % (1 + number % 5) == 0 else -100 for place in range(len(row["input_ids"]) - 1)
        ]
    read.rows = lambda: rows  # type: ignore[method-assign]
    weights = read.micro_batch_weights()
    learned = [[label for label in row["labels"][1:] if label != -100] for row in rows]
    for step in range(2):
        tokens = list(chain(*learned[16 * step : 16 * step + 16]))
        means = [mean(chain(*learned[start : start + 4])) for start in range(16 * step, 16 * step + 16, 4)]
        weighted = [weight * part for weight, part in zip(weights[4 * step : 4 * step + 4], means, strict=True)]
        assert mean(weighted) == pytest.approx(mean(tokens))
        assert mean(means) != pytest.approx(mean(tokens))


def test_a_step_of_another_size_is_refused(workload: Workload) -> None:
    with pytest.raises(SystemExit, match="step 4 ends an epoch with 12 rows"):
        prepare("T", steps=4)


def test_padding_hides_nothing_and_adds_nothing() -> None:
    rows = [
        {"input_ids": [5, 6, 7], "attention_mask": [1, 1, 1], "labels": [-100, 6, 7]},
        {"input_ids": [8], "attention_mask": [1], "labels": [8]},
    ]
    batch = pad(rows, 0)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [[-100, 6, 7], [8, -100, -100]]
