"""Folders of runs that were never run: a healthy one, and what makes it sick."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from luthier.data.ledger import Entry, LedgerWriter
from luthier.data.records import TokenSequence
from luthier.data.store import RecordsWriter
from luthier.diagnosis import Finding, diagnose
from luthier.evaluation.comparison import compare
from luthier.evaluation.results import Answers, assemble, write_predictions
from luthier.runs import Run
from luthier.runs.files import read_json, write_json
from luthier.tasks import Prediction

LABELS = ["down", "flat", "up"]
DIGEST = "d1" * 32
STEPS = 60
WORDS = {"down": ["fell", "shrank", "lost"], "flat": ["met", "opened", "named"], "up": ["rose", "grew", "won"]}
PLACES = ["Turku", "Bergen", "Porto", "Gdansk", "Odense", "Malmo", "Nantes", "Trieste", "Cork", "Varna", "Bonn"]


class Sickroom:
    """A run's folder that is healthy until something is changed in it."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.run, self.cache = Run(folder), cache
        folder.mkdir(parents=True)
        self.settings: dict[str, Any] = {
            "name": "made-up",
            "model": {"base": "some/base"},
            "data": {"train": "rows.jsonl", "instruction": "Choose from {labels}.", "max_length": 64},
            "method": {"name": "lora", "rank": 8},
            "training": {"epochs": 4, "learning_rate": 5e-4, "early_stopping": {"metric": "loss", "patience": 3}},
            "evaluation": {"generate": {"max_new_tokens": 4}},
        }
        rows = dict.fromkeys(LABELS, 100)
        data = {"digest": DIGEST, "rows": {"train": 300}, "labels": LABELS, "label_rows": rows}
        write_json(folder / "run.json", {"state": "finished", "parameters": 135_000_000, "data": data})
        self.configure()
        self.curve([2.0 * math.exp(-step / 15) + 0.1 for step in range(STEPS)])
        self.validate([0.9, 0.5, 0.3, 0.25])
        self.answer(lambda number, label: label)
        self.ledger(0)

    def configure(self, **parts: Mapping[str, Any]) -> None:
        for part, values in parts.items():
            self.settings[part] = self.settings.get(part, {}) | values
        with self.run.config_file.open("w", encoding="utf-8") as file:
            YAML().dump(self.settings, file)

    def record(self, **data: Any) -> None:
        known = read_json(self.run.path / "run.json")
        write_json(self.run.path / "run.json", known | {"data": known["data"] | data})

    def curve(self, losses: Sequence[float], norms: Sequence[float] | None = None) -> None:
        self.run.events.path.unlink(missing_ok=True)
        for step, loss in enumerate(losses, start=1):
            norm = norms[step - 1] if norms else 1.0
            self.run.events.write("step", step, loss=loss, grad_norm=norm, learning_rate=5e-4, seconds=float(step))

    def validate(self, losses: Sequence[float]) -> None:
        for place, loss in enumerate(losses, start=1):
            step = place * STEPS // len(losses)
            self.run.events.write("evaluation", step, split="validation", metrics={"loss": loss})

    def answer(
        self, say: Callable[[int, str], str | None], *, cut: Callable[[int], bool] = lambda n: False, raw: str = ""
    ) -> None:
        """Ninety rows, asked in both ways; `say` gives the answer to a row, None for an invalid one."""
        found = {}
        for mode in ("labels", "generate"):
            predictions = []
            for number in range(90):
                label = LABELS[number % 3]
                said = say(number, label)
                text = raw or said or "I think that"
                ends = cut(number) and mode == "generate"
                predictions.append(Prediction(number, f"row {number}", label, text, said, cut=ends))
            found[mode] = predictions
        results = {mode: compare(None, rows, {}, ["f1_macro"], LABELS, 0) for mode, rows in found.items()}
        write_json(self.run.metrics_file, assemble({"test": results}, "test", "labels"))
        groups = [Answers("tuned", "test", mode, rows) for mode, rows in found.items()]
        write_predictions(self.run.predictions_file, groups)

    def ledger(self, long: int, *, dropped: bool = False) -> None:
        with LedgerWriter(self.run.ledger_file) as ledger:
            for row in range(300):
                if row < long and dropped:
                    reason = f"too long: {100 + row} tokens, data.max_length is 64"
                    ledger.write(Entry(row, "raw", "rows.jsonl", row + 1, "train", "dropped", reason))
                elif row < long:
                    cut = f"truncated by {36 + row} tokens"
                    ledger.write(Entry(row, "raw", "rows.jsonl", row + 1, "train", "kept", "", cut, None, 64, 2))
                else:
                    ledger.write(Entry(row, "raw", "rows.jsonl", row + 1, "train", "kept", tokens=40, supervised=2))

    def rows(self, wrong: Callable[[int], bool]) -> None:
        """Three hundred prepared rows, with another label where `wrong` says so."""
        folder = self.cache / "prepared" / DIGEST[:24]
        folder.mkdir(parents=True, exist_ok=True)
        with RecordsWriter(folder / "train.arrow") as writer:
            for row in range(300):
                label = LABELS[row % 3]
                text = f"{PLACES[row % 11]} {WORDS[label][row // 3 % 3]} in {PLACES[row * 7 % 11]} {row % 13}"
                given = LABELS[(row + 1) % 3] if wrong(row) else label
                writer.write(TokenSequence([1, 2], [False, True], 1, row, text, given))
        for split in ("validation", "test"):
            with RecordsWriter(folder / f"{split}.arrow"):
                pass
        about = {"labels": LABELS, "notes": [], "digest": DIGEST}
        summary = {"reasons": [], "changes": []}
        (folder / "prepared.json").write_text(json.dumps(about | {"summary": summary}))

    def findings(self) -> list[Finding]:
        return diagnose(self.run).findings

    def only(self, symptom: str) -> Finding:
        """The one finding there is; of that symptom."""
        [finding] = self.findings()
        assert finding.symptom == symptom
        return finding


@pytest.fixture
def sickroom(tmp_path, monkeypatch) -> Sickroom:
    """A healthy run."""
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    return Sickroom(tmp_path / "made-up" / "20260101-120000-abc123", tmp_path / "cache")
