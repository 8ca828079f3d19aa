"""Races the contestants and writes docs/bench.json, docs/benchmarks.md and docs/benchmarks.svg.

    python -m race.run                                       everything; takes hours
    python -m race.run --workloads A,C --contestants fast,trainer --repeats 3
    python -m race.run --ablation                            the fast engine with each technique switched off in turn
    python -m race.run --to-accuracy                         time to 0.95 test accuracy on A
    python -m race.run --quick                               A and C, the fast engine and the best peer; prints only

Contestants run in turn, A B A B, each in its own process. A part that is run again takes its place in the raw file.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from race import accuracy, page
from race.contestants import ABLATED, CONTESTANTS, NOTHING, Contestant
from race.measures import best_peer, merged, rates, workload_record
from race.processes import measure_machine, prepare_once, run
from race.search import fastest_peer, refusal, settings_for
from race.workloads import ROOT, WORKLOADS, Prepared, prepare

RAW = ROOT / "docs" / "bench.json"
QUICK = {"A": 3, "C": 2}
"""Repeats of the quick race, by workload."""


@dataclass(frozen=True)
class Entry:
    """A contestant at the start, perhaps with a technique switched off."""

    contestant: Contestant
    ablate: str | None = None

    @property
    def title(self) -> str:
        return f"{self.contestant.name} without {self.ablate}" if self.ablate else self.contestant.name


def load() -> dict[str, Any]:
    """The raw file, or an empty one."""
    if RAW.exists():
        found: dict[str, Any] = json.loads(RAW.read_text(encoding="utf-8"))
        return found
    return {"machine": {}, "matrix_rate": {}, "workloads": {}, "runs": []}


def race(prepared: Prepared, entries: Sequence[Entry], repeats: int) -> list[dict[str, Any]]:
    """Runs all entries in turn, `repeats` times; one that fails is not asked again."""
    runs: list[dict[str, Any]] = []
    out: set[str] = set()
    for entry in entries:
        prepare_once(entry.contestant, prepared)
    for repeat in range(repeats):
        for entry in entries:
            if entry.title in out:
                continue
            settings = settings_for(entry.contestant, prepared.name)
            without = None if entry.ablate == NOTHING else entry.ablate
            result = run(entry.contestant, prepared, settings, prepared.about["steps"], ablate=without)
            if "failed" in result:
                out.add(entry.title)
            runs.append(
                {
                    "workload": prepared.name,
                    "contestant": entry.contestant.name,
                    "ablate": entry.ablate,
                    "repeat": repeat,
                    "settings": settings,
                    "at": round(time.time()),
                    **result,
                }
            )
            said = result.get("failed") or f"{sum(result['seconds'][1:]):.1f} s, {result['peak_memory_mb']:,.0f} MB"
            print(f"{prepared.name} {entry.title} {repeat + 1}/{repeats}: {said}", file=sys.stderr, flush=True)
    return runs


def record_workload(raw: dict[str, Any], prepared: Prepared, runs: list[dict[str, Any]]) -> None:
    """Measures the machine, merges everything into the raw file and writes it."""
    machine = measure_machine()
    raw["machine"] = machine["machine"]
    known = raw["matrix_rate"]
    raw["matrix_rate"] = {name: max(rate, known.get(name, 0.0)) for name, rate in machine["matrix_rate"].items()}
    raw["workloads"][prepared.name] = workload_record(prepared.rows, prepared.about)
    raw["runs"] = merged(raw["runs"], runs)
    RAW.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")


def quick() -> None:
    """A and C against the peer that the search found fastest; prints a table."""
    machine = measure_machine()
    rate = max(machine["matrix_rate"].values())
    for name, repeats in QUICK.items():
        prepared = prepare(name)
        fast, peer = CONTESTANTS["fast"], CONTESTANTS[fastest_peer(name)]
        runs = race(prepared, [Entry(fast), Entry(peer)], repeats)
        found = {}
        for contestant in (fast, peer):
            results = [one for one in runs if one["contestant"] == contestant.name and "failed" not in one]
            if results:
                found[contestant.name] = rates(workload_record(prepared.rows, prepared.about), results, rate)
        print("\n".join(page.table(found, best_peer(found, [peer.name]), WORKLOADS[name])), flush=True)


def entries_for(workload: str, names: Sequence[str], *, ablation: bool) -> list[Entry]:
    """Who starts on a workload."""
    if ablation:
        from luthier.training.fast.engine import TECHNIQUES

        return [Entry(CONTESTANTS["fast"], technique) for technique in (NOTHING, *TECHNIQUES)]
    able = [name for name in names if workload not in CONTESTANTS[name].cannot and not refusal(workload, name)]
    return [Entry(CONTESTANTS[name]) for name in able]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", help="letters, such as A,C")
    parser.add_argument("--contestants", default=",".join(CONTESTANTS), help="names, such as fast,trainer")
    parser.add_argument("--repeats", type=int, help="processes of each contestant")
    parser.add_argument("--steps", type=int, help="optimiser steps of a process")
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--to-accuracy", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        quick()
        return
    raw, names = load(), options.contestants.split(",")
    if options.to_accuracy:
        raw["accuracy"] = {**raw.get("accuracy", {}), **accuracy.race(names, options.repeats or 1)}
        RAW.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    else:
        chosen = options.workloads.split(",") if options.workloads else list(ABLATED if options.ablation else WORKLOADS)
        for name in chosen:
            prepared = prepare(name, options.steps)
            entries = entries_for(name, names, ablation=options.ablation)
            runs = race(prepared, entries, options.repeats or WORKLOADS[name].repeats)
            record_workload(raw, prepared, runs)
    page.write(raw)


if __name__ == "__main__":
    main()
