"""Races the contestants and writes docs/bench.json, docs/benchmarks.md and docs/benchmarks.svg.

    python -m race.run                                       everything; takes hours
    python -m race.run --workloads A,C --contestants trainer,trl --repeats 3
    python -m race.run --ablation                            the fast engine with each technique switched off in turn
    python -m race.run --profile                             what the fast engine's and the best peer's time goes into
    python -m race.run --to-accuracy                         time to 0.95 test accuracy on A
    python -m race.run --quick                               A and C, the fast engine and the best peer; prints only

The fast engine meets every other contestant in pairs: two fresh processes that take their steps in turn, A B A B; 5
pairs on A, C and D, else 3, unless told otherwise. A part that is run again takes its place in the raw file.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from race import accuracy, page
from race.contestants import ABLATED, CONTESTANTS, NOTHING
from race.measures import Record, best_peer, merged, workload_record
from race.processes import Entry, measure_machine, prepare_once, together
from race.search import fastest_peer, refusal, settings_for
from race.workloads import ROOT, WORKLOADS, Prepared, prepare

RAW = ROOT / "docs" / "bench.json"
QUICK = "AC"
"""Workloads of the quick race."""

FAST = CONTESTANTS["fast"]


def load() -> Record:
    """The raw file, or an empty one."""
    if RAW.exists():
        found: Record = json.loads(RAW.read_text(encoding="utf-8"))
        return found
    return {"machine": {}, "matrix_rate": {}, "pairs": []}


def save(raw: Record) -> None:
    """Writes the raw file."""
    RAW.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")


def race(prepared: Prepared, others: Sequence[Entry], repeats: int) -> list[Record]:
    """The fast engine against every other entry, in `repeats` pairs of fresh processes; one that fails is not asked
    again.
    """
    pairs: list[Record] = []
    held = workload_record(prepared.rows, prepared.about)
    for other in others:
        prepare_once(other.contestant, prepared)
        for repeat in range(repeats):
            entries = [Entry(FAST, settings_for(FAST, prepared.name)), other]
            fast, found = together(entries, prepared, prepared.about["steps"])
            about = {"workload": prepared.name, "contestant": other.contestant.name, "ablate": other.ablate}
            about |= {"repeat": repeat, "settings": other.settings, "at": round(time.time()), "held": held}
            pairs.append({**about, "fast": fast, "other": found})
            print(f"{prepared.name} fast against {other.title}: {said(fast)} against {said(found)}", file=sys.stderr)
            if "failed" in found:
                break
    return pairs


def profiles(raw: Record, prepared: Prepared) -> list[Record]:
    """What the steps of the fast engine and of the best peer so far are spent on, in turn."""
    peer = best_peer(page.summaries(raw, prepared.name), page.PEERS) or fastest_peer(prepared.name)
    entries = [entry(name, prepared.name) for name in (FAST.name, peer)]
    results = together(entries, prepared, prepared.about["steps"], profile=True)
    about = {"workload": prepared.name, "steps": prepared.about["steps"]}
    return [
        {**about, "contestant": one.contestant.name, **result} for one, result in zip(entries, results, strict=True)
    ]


def said(result: Record) -> str:
    """A result in a few words."""
    failed: str | None = result.get("failed")
    return failed or f"{sum(result['seconds'][1:]):.1f} s, {result['peak_memory_mb']:,.0f} MB"


def record(raw: Record, pairs: list[Record]) -> None:
    """Measures the machine, and merges everything into the raw numbers."""
    machine = measure_machine()
    raw["machine"] = machine["machine"]
    known = raw["matrix_rate"]
    raw["matrix_rate"] = {name: max(rate, known.get(name, 0.0)) for name, rate in machine["matrix_rate"].items()}
    raw["pairs"] = merged(raw["pairs"], pairs)


def quick() -> None:
    """A and C against the peer that the search found fastest; prints a table."""
    raw: Record = {"matrix_rate": {}, "pairs": []}
    for name in QUICK:
        record(raw, race(prepare(name), [entry(fastest_peer(name), name)], 1))
        print("\n".join(page.table(raw, name)), flush=True)


def entry(name: str, workload: str) -> Entry:
    """A contestant with the best settings that were found for it."""
    contestant = CONTESTANTS[name]
    return Entry(contestant, settings_for(contestant, workload))


def entries_for(workload: str, names: Sequence[str], *, ablation: bool) -> list[Entry]:
    """Who meets the fast engine on a workload."""
    if ablation:
        from luthier.training.fast.engine import TECHNIQUES

        return [Entry(FAST, settings_for(FAST, workload), technique) for technique in (NOTHING, *TECHNIQUES)]
    others = [name for name in names if name != FAST.name]
    able = [name for name in others if workload not in CONTESTANTS[name].cannot and not refusal(workload, name)]
    return [entry(name, workload) for name in able]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", help="letters, such as A,C")
    parser.add_argument("--contestants", default=",".join(CONTESTANTS), help="names, such as trainer,trl")
    parser.add_argument(
        "--repeats", type=int, help="pairs of processes for each contestant, the workload's number else"
    )
    parser.add_argument("--steps", type=int, help="optimiser steps of a process")
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--to-accuracy", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        quick()
        return
    raw, names = load(), options.contestants.split(",")
    if options.to_accuracy:
        raw["accuracy"] = {**raw.get("accuracy", {}), **accuracy.race(names, options.repeats or 1)}
        save(raw)
    else:
        partly = options.ablation or options.profile
        for name in options.workloads.split(",") if options.workloads else ABLATED if partly else WORKLOADS:
            prepared = prepare(name, options.steps)
            if options.profile:
                raw["profiles"] = {**raw.get("profiles", {}), name: profiles(raw, prepared)}
            else:
                others = entries_for(name, names, ablation=options.ablation)
                record(raw, race(prepared, others, options.repeats or WORKLOADS[name].repeats))
            save(raw)
    page.write(raw)


if __name__ == "__main__":
    main()
