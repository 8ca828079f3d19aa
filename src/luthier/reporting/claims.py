"""What people repeat about LoRA, beside what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from luthier.languages import retell, tell
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
    """The claims about the first LoRA of rank 16 of every base, task and data, against full tuning on the same."""
    loras: dict[tuple[str, ...], RunFacts] = {}
    for run in runs:
        if run.options["name"] == "lora" and run.options["rank"] == RANK:
            loras.setdefault((*_model(run), run.data), run)
    return [claim for lora in loras.values() for claim in [*_against_full(lora, runs), _latency(lora)]]


def _against_full(lora: RunFacts, runs: Sequence[RunFacts]) -> list[Claim]:
    """Nothing frozen, on the same base; on other rows it is no comparison."""
    whole = [run for run in runs if run.options["name"] == "full" and not any(run.options["freeze"].values())]
    whole = [run for run in whole if _model(run) == _model(lora)]
    for full in whole:
        if full.data == lora.data:
            return [_quality(lora, full), _storage(lora, full), _speed(lora, full)]
    return [Claim(_quality_statement(), _about(lora, full), tell("other rows"), None) for full in whole[:1]]


def _model(run: RunFacts) -> tuple[str, str, str]:
    return run.base, run.task, run.quantise


def _about(lora: RunFacts, full: RunFacts | None = None) -> str:
    run = f"{lora.name}, {lora.method}"
    return tell("{run}, against {other}", run=run, other=full.name) if full else run


def _quality_statement() -> str:
    return tell("LoRA reaches {share:.0%} of full tuning at rank {rank}", share=QUALITY, rank=RANK)


def _quality(lora: RunFacts, full: RunFacts) -> Claim:
    statement = _quality_statement()
    one, other, metric = lora.score["value"], full.score["value"], tell(lora.metric)
    if not lora.higher_is_better or other <= 0 or lora.metric != full.metric:
        return Claim(statement, _about(lora, full), tell("{metric} is no share of a whole", metric=metric), None)
    measured = tell(
        "{share:.1%}: {metric} {one:.3f} against {other:.3f}", share=one / other, metric=metric, one=one, other=other
    )
    return Claim(statement, _about(lora, full), measured, one >= QUALITY * other)


def _storage(lora: RunFacts, full: RunFacts) -> Claim:
    share = lora.artefact_mb / full.artefact_mb if full.artefact_mb else 1.0
    measured = tell(
        "{share:.1%}: {one:.1f} MB against {other:.1f} MB", share=share, one=lora.artefact_mb, other=full.artefact_mb
    )
    return Claim(tell("an adapter takes 2 to 5 % of the storage"), _about(lora, full), measured, share <= STORAGE)


def _speed(lora: RunFacts, full: RunFacts) -> Claim:
    saved = 1 - lora.step_seconds / full.step_seconds if full.step_seconds else 0.0
    measured = tell(
        "{saved:+.0%} time saved: {one:.3f} s a step against {other:.3f} s",
        saved=saved,
        one=lora.step_seconds,
        other=full.step_seconds,
    )
    if lora.dtype != full.dtype:
        measured += tell(" ({one} against {other})", one=lora.dtype, other=full.dtype)
    return Claim(tell("LoRA trains {share:.0%} faster", share=FASTER), _about(lora, full), measured, saved >= FASTER)


def _latency(lora: RunFacts) -> Claim:
    statement, measured = tell("no extra latency after merging"), lora.latency
    if not measured:
        return Claim(statement, _about(lora), tell("not measured: --latency does it"), None)
    if measured.get("merged_ms") is None:
        return Claim(statement, _about(lora), retell(measured["unmerged_only"]), None)
    extra = measured["merged_ms"] / measured["base_ms"] - 1
    told = tell(
        "{extra:+.1%}: {merged_ms:.1f} ms an answer merged, {base_ms:.1f} ms by the base, {unmerged_ms:.1f} ms "
        "unmerged",
        extra=extra,
        **{name: measured[name] for name in ("merged_ms", "base_ms", "unmerged_ms")},
    )
    return Claim(statement, _about(lora), told, extra <= SLOWER)
