"""Artefacts: one file per target in `targets/`; none leaves without answering like the adapter (the parity gate)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from luthier import registry
from luthier.data.records import TokenSequence
from luthier.errors import ConfigError
from luthier.evaluation.speaker import Speaker, open_speaker
from luthier.export.parity import Parity, distributions, gate, golden_rows, rounding
from luthier.runs import Run
from luthier.runs.files import new_folder, write_json

if TYPE_CHECKING:
    import torch


class Exporter(Protocol):
    """A target. Every file of `targets/` has one class of this shape."""

    dtypes: ClassVar[tuple[str, ...]]
    """Number types it can write, the default first."""

    def write(self, speaker: Speaker, folder: Path, dtype: str) -> None:
        """Writes the artefact into an empty folder. The speaker's network may be used up."""
        ...

    def distributions(self, folder: Path, speaker: Speaker, rows: Sequence[TokenSequence]) -> list[torch.Tensor]:
        """What the artefact, read back as its users will read it, answers: see `parity.distributions`."""
        ...


@dataclass(frozen=True)
class Exported:
    """An artefact that passed the gate.

    Attributes:
        folder: where it lies.
        parity: how near its answers are to the adapter's.
    """

    target: str
    folder: Path
    dtype: str
    parity: Parity


def export_run(run: Run, target: str, output: Path | None, dtype: str | None) -> Exported:
    """Writes an artefact aside, asks it and the adapter the same, and puts it in its place when they agree.

    Raises:
        ConfigError: an unknown target or type, or the output exists.
        ArtefactRefused: its answers differ beyond rounding; nothing is left behind.
    """
    exporter: Exporter = registry.load("exporter", target)()
    chosen = dtype or exporter.dtypes[0]
    if chosen not in exporter.dtypes:
        raise ConfigError(f"'{target}' cannot be written as {chosen}", expected=f"one of {', '.join(exporter.dtypes)}")
    folder = output or run.path / "exports" / f"{target}-{chosen}"
    if folder.exists():
        raise ConfigError(f"'{folder}' exists already", hint="remove it, or name another folder with --output")
    speaker = open_speaker(run, dtype="float32")
    rows = golden_rows(run, speaker)
    expected = distributions(speaker.task, speaker.network, rows)
    allowed = rounding(run, rows, expected, chosen)
    if speaker.base.quantise != "none":  # its weights cannot hold the merged ones
        speaker = open_speaker(run, dtype="float32", plain=True)
    with new_folder(folder) as aside:
        exporter.write(speaker, aside, chosen)
        parity = gate(expected, exporter.distributions(aside, speaker, rows), allowed, target)
        write_json(aside / "luthier.json", {"run": run.path.name, "dtype": chosen, "parity": parity.to_dict()})
    return Exported(target, folder, chosen, parity)
