"""The run as a folder: runs/<name>/<timestamp>-<short hash>/."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.config import RunConfig, load_config
from luthier.errors import ConfigError
from luthier.runs.events import EventLog
from luthier.runs.files import read_json, write_json, write_text


@dataclass(frozen=True)
class Run:
    """A run's folder and the paths inside it. Whoever wants to know about training reads this folder."""

    path: Path

    @classmethod
    def create(cls, config: RunConfig, yaml: str) -> Run:
        """Makes a new folder below `config.output` and writes the resolved configuration there.

        Args:
            config: the configuration.
            yaml: the same configuration as YAML text, complete.
        """
        digest = hashlib.sha256(f"{yaml}{time.time_ns()}".encode()).hexdigest()[:6]
        path = Path(config.output) / config.name / f"{time.strftime('%Y%m%d-%H%M%S')}-{digest}"
        path.mkdir(parents=True)
        write_text(path / "config.yaml", yaml)
        return cls(path.resolve())

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Opens a run's folder, or the newest run inside a folder of runs of one name.

        Raises:
            ConfigError: there is no run there.
        """
        folder = Path(path)
        if (folder / "config.yaml").is_file() and (folder / "run.json").is_file():
            return cls(folder.resolve())
        runs = sorted(child.parent for child in folder.glob("*/run.json")) if folder.is_dir() else []
        if not runs:
            raise ConfigError(
                f"there is no run in '{path}'",
                expected="a folder such as runs/NAME or runs/NAME/20260101-120000-abc123",
            )
        return cls(runs[-1].resolve())

    @property
    def config_file(self) -> Path:
        """The configuration as resolved, complete: `luthier train config.yaml` repeats the run."""
        return self.path / "config.yaml"

    @property
    def ledger_file(self) -> Path:
        """Every row and its fate."""
        return self.path / "ledger.parquet"

    @property
    def cleaning_file(self) -> Path:
        """What every cleaning step did, with a few examples."""
        return self.path / "cleaning.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def adapter(self) -> Path:
        """What was trained, as its method saves it: an adapter, or the whole model after full tuning."""
        return self.path / "adapter"

    @property
    def evaluation(self) -> Path:
        """Folder of scores and answers."""
        return self.path / "evaluation"

    @property
    def metrics_file(self) -> Path:
        """Scores beside the base's."""
        return self.evaluation / "metrics.json"

    @property
    def predictions_file(self) -> Path:
        """Every answer of every model."""
        return self.evaluation / "predictions.jsonl"

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.path / "report.html"

    @property
    def events(self) -> EventLog:
        """The log of what happened."""
        return EventLog(self.path / "events.jsonl")

    @property
    def config(self) -> RunConfig:
        """The configuration as resolved when the run began."""
        return load_config(self.config_file)

    @property
    def record(self) -> dict[str, Any]:
        """run.json: state, versions, processor, hashes, choices and their reasons."""
        file = self.path / "run.json"
        record: dict[str, Any] = read_json(file) if file.exists() else {}
        return record

    def update_record(self, **fields: Any) -> None:
        """Merges fields into run.json, atomically."""
        write_json(self.path / "run.json", self.record | fields)
