"""What people repeat about LoRA, beside what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from luthier.reporting.side_by_side import RunFacts

RANK = 16
QUALITY, STORAGE, FASTER, SLOWER = 0.97, 0.05, 0.15, 0.05
"""Share of full tuning's score; largest share of its storage; time saved; latency within which two are equal."""


@dataclass(frozen=True)
class Claim:
    """A claim about one pair of runs.

    Attributes:
        statement: what is said.
        about: which runs.
        measured: what they show.
        holds: whether that is so; None when it was not measured.
    """

    statement: str
    about: str
    measured: str
    holds: bool | None


def claims(runs: Sequence[RunFacts]) -> list[Claim]:
    """The claims for every base and task of which both a LoRA of rank 16 and full tuning were run."""
    found = []
    for base, task in dict.fromkeys((run.base, run.task) for run in runs):
        mine = [run for run in runs if (run.base, run.task) == (base, task)]
        full = next((run for run in mine if run.options["name"] == "full"), None)
        lora = next((r for r in mine if r.options["name"] == "lora" and r.options["rank"] == RANK), None)
        if lora is not None:
            against = [_quality, _storage, _speed] if full else []
            found += [claim(lora, full) for claim in against] if full else []
            found.append(_latency(lora))
    return found


def _about(lora: RunFacts, full: RunFacts | None = None) -> str:
    return f"{lora.name}, {lora.method}" + (f", against {full.name}" if full else "")


def _quality(lora: RunFacts, full: RunFacts) -> Claim:
    statement = f"LoRA reaches {QUALITY:.0%} of full tuning at rank {RANK}"
    one, other = lora.score["value"], full.score["value"]
    if not lora.higher_is_better or other <= 0 or lora.metric != full.metric:
        return Claim(statement, _about(lora, full), f"{lora.metric} is no share of a whole", None)
    measured = f"{one / other:.1%}: {lora.metric} {one:.3f} against {other:.3f}"
    return Claim(statement, _about(lora, full), measured, one >= QUALITY * other)


def _storage(lora: RunFacts, full: RunFacts) -> Claim:
    share = lora.artefact_mb / full.artefact_mb if full.artefact_mb else 1.0
    measured = f"{share:.1%}: {lora.artefact_mb:.1f} MB against {full.artefact_mb:.1f} MB"
    return Claim("an adapter takes 2 to 5 % of the storage", _about(lora, full), measured, share <= STORAGE)


def _speed(lora: RunFacts, full: RunFacts) -> Claim:
    saved = 1 - lora.step_seconds / full.step_seconds if full.step_seconds else 0.0
    measured = f"{saved:+.0%} time saved: {lora.step_seconds:.3f} s a step against {full.step_seconds:.3f} s"
    if lora.dtype != full.dtype:
        measured += f" ({lora.dtype} against {full.dtype})"
    return Claim(f"LoRA trains {FASTER:.0%} faster", _about(lora, full), measured, saved >= FASTER)


def _latency(lora: RunFacts) -> Claim:
    statement, measured = "no extra latency after merging", lora.latency
    if not measured or measured.get("merged_ms") is None:
        why = (measured or {}).get("unmerged_only", "not measured: --latency does it")
        return Claim(statement, _about(lora), why, None)
    extra = measured["merged_ms"] / measured["base_ms"] - 1
    told = (
        f"{extra:+.1%}: {measured['merged_ms']:.1f} ms an answer merged, {measured['base_ms']:.1f} ms by the base, "
        f"{measured['unmerged_ms']:.1f} ms unmerged"
    )
    return Claim(statement, _about(lora), told, extra <= SLOWER)
