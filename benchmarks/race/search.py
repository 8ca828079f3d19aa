"""Finds every peer's best legal settings on every workload, and writes best_settings.json.

Legal is what leaves the first loss as it is: the same tokens, supervised alike. A peer that groups rows by length puts
other rows into its first step; that is legal where the same settings without grouping are, and where it has seen as
many tokens as the rows have. One setting after the other is varied and the best value kept: number type, padding-free
batches, micro-batch (none behind one that was slower), attention, length grouping. A peer begins ungrouped, with what
else was best for it on the workload that was searched first. A number type that this processor multiplies at less than
half of float32's rate is not tried. What was measured once is remembered, so a search that was interrupted goes on.

    python -m race.search [--workloads A,C] [--contestants trainer,trl] [--vary micro_batch] [--steps 2] [--again]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from race.contestants import CONTESTANTS, Contestant, Settings
from race.measures import counted_seconds, same_loss
from race.processes import Entry, measure_machine, prepare_once, together
from race.workloads import HERE, WORKLOADS, Prepared, prepare

BEST = HERE.parent / "best_settings.json"
STEPS = {"A": 3, "B": 2, "C": 2, "D": 3, "E": 20, "F": 3}
START_UP = 60
"""Seconds that a process may take before it trains."""

FIRST = 900
"""Seconds that a process may take in all while nothing is known of the peer."""

VARIED = ("dtype", "padding_free", "micro_batch", "attention", "grouped")
"""The settings, in the order in which they are varied."""

CLEARLY = 0.98
"""A value replaces another when its steps take less than this share of the other's time."""


def load(path: Path = BEST) -> dict[str, Any]:
    """The file as it is: {"best": {workload: {peer: settings}}, "reference": {workload: loss}, "trials": ...}."""
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    return {"best": {}, "reference": {}, "trials": {}}


def settings_for(contestant: Contestant, workload: str) -> Settings:
    """The best settings found, or those to begin with."""
    best: Settings = load()["best"].get(workload, {}).get(contestant.name, contestant.settings)
    return best


def refusal(workload: str, name: str) -> str | None:
    """Why a peer does not run a workload: none of its settings is legal or runs at all."""
    record = load()
    trials = record["trials"].get(workload, {}).get(name, [])
    if not trials or name in record["best"].get(workload, {}):
        return None
    reason: str | None = trials[0].get("refused")
    return reason


def beginning(contestant: Contestant, record: dict[str, Any], prepared: Prepared) -> Settings:
    """What was best for a peer on the workload that was searched first, or what fits into any memory; without length
    grouping and what saves nothing on this workload.
    """
    found: Settings = next(
        (best[contestant.name] for best in record["best"].values() if contestant.name in best), contestant.settings
    )
    return found | dict.fromkeys({"grouped", *saves_nothing(prepared)}, False)


def saves_nothing(prepared: Prepared) -> set[str]:
    """The settings that mean nothing on a workload."""
    if prepared.name == "C":
        return {"padding_free", "grouped"}  # all rows are of one length
    return set() if prepared.about["task"] == "causal_lm" else {"padding_free"}  # flattened batches are causal


def fastest_peer(workload: str) -> str:
    """The peer whose best trial on a workload took least time."""
    record = load()
    best = record["best"].get(workload, {})
    seconds = {
        name: next(trial["seconds"] for trial in record["trials"][workload][name] if trial["settings"] == settings)
        for name, settings in best.items()
    }
    if not seconds:
        raise SystemExit(f"no peer was searched on {workload}: python -m race.search --workloads {workload}")
    return min(seconds, key=lambda name: seconds[name])


@cache
def bfloat16_is_slow() -> bool:
    """Whether this processor multiplies bfloat16 at less than half of float32's rate."""
    rates = measure_machine()["matrix_rate"]
    return bool(rates["bfloat16"] < rates["float32"] / 2)


class Search:
    """One peer on one workload."""

    def __init__(self, contestant: Contestant, prepared: Prepared, steps: int, record: dict[str, Any]) -> None:
        self.contestant, self.prepared, self.steps, self.record = contestant, prepared, steps, record
        self.trials = record["trials"].setdefault(prepared.name, {}).setdefault(contestant.name, [])

    def measure(self, settings: Settings, fastest: float | None = None) -> float | None:
        """Seconds of the steps after the first; None when it fails, is not legal or takes twice as long as the fastest.

        Args:
            settings: what is tried; when grouped, the same settings without grouping are tried before.
            fastest: seconds that the best settings so far took.
        """
        if settings["grouped"] and self.measure(settings | {"grouped": False}, fastest) is None:
            return None
        known = next((trial for trial in self.trials if trial["settings"] == settings), None)
        if known is None:
            longest = START_UP + 2 * fastest * self.steps / (self.steps - 1) if fastest else FIRST
            (result,) = together([Entry(self.contestant, settings)], self.prepared, self.steps, longest=longest)
            known = {"settings": settings, "steps": self.steps, **self._verdict(result, settings)}
            self.trials.append(known)
            BEST.write_text(json.dumps(self.record, indent=1) + "\n", encoding="utf-8")
            print(self.prepared.name, self.contestant.name, known, file=sys.stderr, flush=True)
        seconds: float | None = known.get("seconds")
        return seconds

    def _verdict(self, result: dict[str, Any], settings: Settings) -> dict[str, Any]:
        if "failed" in result:
            return {"refused": result["failed"].splitlines()[-1]}
        expected, loss = self.record["reference"][self.prepared.name], result["losses"][0]
        measured = {"loss": loss, "peak_memory_mb": round(result["peak_memory_mb"])}
        first, later = (
            sum(len(row["ids"]) for row in self.prepared.rows if row["step"] in steps)
            for steps in (range(1, 2), range(2, self.steps + 1))
        )
        if settings["grouped"]:
            if (seen := result["tokens_seen"][-1]) != first + later:
                return measured | {"refused": f"it has seen {seen} tokens, the rows have {first + later}"}
        elif not same_loss(loss, expected, settings["dtype"]):
            return measured | {"refused": f"its first loss is {loss:.5f}, the reference's is {expected:.5f}"}
        return measured | {"seconds": round(counted_seconds(result, later), 3)}

    def best(self, varied: Sequence[str]) -> Settings | None:
        """Varies one setting after the other, from where the peer begins."""
        best = beginning(self.contestant, self.record, self.prepared)
        seconds = self.measure(best)
        for key in varied:
            slower: list[Any] = []
            for candidate in self._others(best, key):
                if key == "micro_batch" and any(_between(best[key], value, candidate[key]) for value in slower):
                    continue  # the time has its least value where it has one
                time = self.measure(candidate, seconds)
                if time is not None and (seconds is None or time < CLEARLY * seconds):
                    best, seconds = candidate, time
                elif seconds is not None:
                    slower.append(candidate[key])
        return best if seconds is not None else None

    def _others(self, settings: Settings, key: str) -> Iterator[Settings]:
        """The same settings with other values of a key, where they mean something."""
        if key in saves_nothing(self.prepared) or (settings["padding_free"] and key == "grouped"):
            return
        for value in self.contestant.choices.get(key, ()):
            too_many = key == "micro_batch" and value > self.prepared.about["batch_size"]
            if value != settings[key] and not too_many and not (value == "bfloat16" and bfloat16_is_slow()):
                yield settings | {key: value}


def _between(best: int, middle: int, value: int) -> bool:
    """Whether a value lies behind another one, seen from the best."""
    return best < middle < value or value < middle < best


def reference_loss(prepared: Prepared, record: dict[str, Any]) -> None:
    """The loss of the reference engine's first step in float32, to which every peer's is compared."""
    if prepared.name not in record["reference"]:
        reference = CONTESTANTS["reference"]
        about = prepared.about | {"overrides": [*prepared.about["overrides"], "model.dtype=float32"]}
        entry = Entry(reference, reference.settings)
        (result,) = together([entry], Prepared(prepared.name, prepared.folder, about), 1)
        if "failed" in result:
            raise SystemExit(f"the reference engine fails on {prepared.name}:\n{result['failed']}")
        record["reference"][prepared.name] = result["losses"][0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    parser.add_argument("--contestants", default=",".join(c.name for c in CONTESTANTS.values() if c.is_peer))
    parser.add_argument("--vary", default=",".join(VARIED), help="settings, such as micro_batch,attention")
    parser.add_argument("--steps", type=int, help="optimiser steps of a trial, the first one not counted")
    parser.add_argument("--again", action="store_true", help="forget what is remembered of these workloads and peers")
    options = parser.parse_args()
    for workload in options.workloads.split(","):
        record = load()
        steps = options.steps or STEPS[workload]
        prepared = prepare(workload)
        reference_loss(prepared, record)
        for name in options.contestants.split(","):
            contestant = CONTESTANTS[name]
            if workload in contestant.cannot:
                continue
            if options.again:
                record["trials"].get(workload, {}).pop(name, None)
            prepare_once(contestant, prepared)
            found = Search(contestant, prepared, steps, record).best(options.vary.split(","))
            chosen = record["best"].setdefault(workload, {})
            chosen.pop(name, None)
            if found:
                chosen[name] = found
            BEST.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
