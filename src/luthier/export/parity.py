"""The parity gate: an artefact must give the distributions that the adapter gives.

Distance is the largest total variation between two distributions over the next token (over the classes, for a
classifier): half the sum of absolute differences of probabilities, from 0 (the same) to 1. What is allowed is `FLOOR`,
or `SLACK` times the distance that rounding the unmerged model's weights to the artefact's number type makes by itself.

Shapes: m = distributions a row gives (one for each word of a tagger), v = vocabulary or classes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from luthier.data.records import TokenSequence
from luthier.errors import ArtefactRefused, DataError
from luthier.evaluation.speaker import Speaker, open_speaker
from luthier.runs import Run
from luthier.tasks import Task

if TYPE_CHECKING:
    import torch
    from torch import nn

FLOOR = 1e-4
"""Merging in float32 moves SmolLM2's probabilities by some 1e-6; a wrong scale by 0.01 and more."""

SLACK = 3.0
GOLDEN_ROWS = 16
GENERIC = (
    "Profit fell to EUR 3.1 mn from EUR 4.4 mn.",
    "公司预计全年净利润增长两成。",
    "What is 12 times 7?",
    "Hello!",
)


@dataclass(frozen=True)
class Parity:
    """How near an artefact is to its adapter.

    Attributes:
        rows: golden prompts asked.
        distance: the largest total variation among them.
        allowed: what rounding explains.
        agreement: share of prompts with the same most likely answer.
    """

    rows: int
    distance: float
    allowed: float
    agreement: float

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def golden_rows(run: Run, speaker: Speaker) -> list[TokenSequence]:
    """Prompts from the run's own evaluation, and a few generic ones in several scripts."""
    texts = list(GENERIC)
    if run.predictions_file.exists():
        with run.predictions_file.open(encoding="utf-8") as file:
            found = dict.fromkeys(json.loads(line)["prompt"] for line, _ in zip(file, range(200), strict=False))
        texts = [text for text in found if text][: GOLDEN_ROWS - len(GENERIC)] + texts
    rows = []
    for text in texts:
        try:
            rows += speaker.rows([text])
        except DataError:  # a document longer than a prompt may be
            continue
    return rows


def distributions(task: Task, network: nn.Module, rows: Sequence[TokenSequence]) -> list[torch.Tensor]:
    """What a network answers, one row at a time without padding: probabilities [m, v] of every row, float32."""
    import torch

    with torch.inference_mode():
        return [task.distributions(network, row).cpu() for row in rows]


def distances(expected: Sequence[torch.Tensor], found: Sequence[torch.Tensor]) -> list[float]:
    """For every row, the largest total variation between two models' distributions."""
    pairs = zip(expected, found, strict=True)
    return [float((left_mv - right_mv).abs().sum(-1).max() / 2) for left_mv, right_mv in pairs]


def rounding(run: Run, rows: Sequence[TokenSequence], expected: Sequence[torch.Tensor], dtype: str) -> float:
    """How far apart rounding to a number type may bring two models."""
    import torch

    if dtype == "float32":
        return FLOOR
    speaker = open_speaker(run, dtype="float32", plain=True)
    rounded = speaker.network.to(getattr(torch, dtype))
    return max(FLOOR, SLACK * max(distances(expected, distributions(speaker.task, rounded, rows))))


def gate(expected: Sequence[torch.Tensor], found: Sequence[torch.Tensor], allowed: float, what: str) -> Parity:
    """Lets an artefact pass, or not.

    Raises:
        ArtefactRefused: it differs beyond rounding.
    """
    apart = distances(expected, found)
    same = [bool((a.argmax(-1) == b.argmax(-1)).all()) for a, b in zip(expected, found, strict=True)]
    worst = max(range(len(apart)), key=lambda row: math.inf if math.isnan(apart[row]) else apart[row])
    parity = Parity(len(apart), apart[worst], allowed, sum(same) / len(same))
    if not parity.distance <= allowed:  # also when it is not a number
        raise ArtefactRefused(
            f"'{what}' does not answer like the adapter: total variation {parity.distance:.2g}",
            where=f"golden prompt {worst + 1}",
            expected=f"at most {allowed:.2g}, which rounding explains",
            hint="nothing was written; export as float32, or report it with the run's folder",
        )
    return parity
