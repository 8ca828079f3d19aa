"""docs/benchmarks.md and its chart, from the raw file.

python -m race.page        writes them again without measuring
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from race import search
from race.chart import bars
from race.contestants import ABLATED, CONTESTANTS, NOTHING
from race.measures import Record, best_peer, ceiling, rates, times_faster
from race.search import refusal
from race.workloads import ROOT, WORKLOADS

PAGE, CHART, RAW = (ROOT / "docs" / name for name in ("benchmarks.md", "benchmarks.svg", "bench.json"))
PEERS = [contestant.name for contestant in CONTESTANTS.values() if contestant.is_peer]

HOW = """\
## How it is measured

Every contestant trains the same base with LoRA (rank 16, alpha 32, every linear layer but the head, dropout 0) by AdamW
with a constant learning rate on the same rows: the same token ids and the same supervised tokens. Luthier prepared
them, and wrote them out for the others. An optimiser step has 16 rows (8 on B, 4 on C), the same for everybody but the
peers that group by length, see below. Each runs in its own process and its own pinned environment, with the environment
variables and threads that a user has who sets none.

The machine is shared and is faster or slower by a half for minutes, so every peer meets the fast engine in *pairs*. A
pair is two fresh processes: both are loaded, one after the other, and then take their steps in turn, A B A B; whoever
is not on turn sleeps. The ratio of a pair is that of their times over the same number of steps; the tables have the
median over the pairs, with half the distance between the quartiles of all their steps behind it. `race.run` makes 5
pairs on A, C and D and 3 elsewhere, unless it is told otherwise; how many there were stands in the tables. Nothing is
evaluated or saved between steps; the first step warms up and does not count. A step lasts from the end of one optimiser
update to the end of the next. Memory is the peak resident memory of the process; *saved after* is the time from process
start to the adapter on disk, without the waiting, for the number of steps shown. Absolute figures of different rows
were measured at different times: compare the ratios.

Peers run with the best of their own settings, found by `race.search`: number type, padding-free batches where they have
them, micro-batch, attention, length grouping (the rows of a step are laid side by side by length for all of them). A
number type that the processor multiplies at less than half of float32's rate is not tried. A setting counts when it
leaves the first loss as the reference engine has it. Luthier runs at its defaults.

A peer *grouped by length* orders the rows itself. It sees every row of the run once, as the others do, but other rows
share its steps, the longest of all is in its first one, which does not count, and its first loss is not the others'.
The search checks its settings without grouping, and that it has seen as many tokens as the rows have. Its time is
scaled to the tokens of the others' counted steps; that attention costs more in long rows, and that more or fewer of its
tokens may be supervised, is not taken out. So the ratio against it is that of the same amount of the same data, not of
the same steps, and the longest row's attention is to its advantage.

Two peers would not take the mean over a step's supervised tokens, or rows, by themselves, and are helped at no cost:
LitGPT takes the mean of the micro-batches' means, so these are weighted by their supervised tokens; the Trainer adds up
a classifier's micro-batches as if each were divided by the whole step, so it is told to divide by their number.

The *share of the matrix rate* sets the operations that the loss needs, when nothing is shared or padded, against the
fastest matrix products that this processor was seen to do:

```text
6 L + 4 W       a real token: L weights of the adapter, W of the frozen linear layers
4 d v           a supervised token: the output layer, d wide with v words
12 a n(n+1)/2   a layer and row of n tokens: attention, a = heads x head size (n x n in an encoder)
```

A shared beginning is computed once but counted for every row, so the share may pass 100 %. The *ceiling* is how many
times as fast as the best peer this machine could be at most: if it did nothing but the operations that are left when
beginnings are shared as the fast engine shares them and the last layer gives keys and values only where the loss reads
nothing, all of them at that fastest rate.
"""


def pairs_of(raw: Record, workload: str, *, ablation: bool = False) -> list[Record]:
    """The pairs of a race, or of its ablation, in which nobody failed."""
    return [
        pair
        for pair in raw["pairs"]
        if pair["workload"] == workload and bool(pair["ablate"]) == ablation
        if "failed" not in pair["fast"] and "failed" not in pair["other"]
    ]


def summaries(raw: Record, workload: str, *, ablation: bool = False) -> dict[str, Record]:
    """Medians by contestant, or by technique switched off, each with how the fast engine did against it."""
    rate = max(raw["matrix_rate"].values())
    grouped: dict[str, list[Record]] = {}
    for pair in pairs_of(raw, workload, ablation=ablation):
        grouped.setdefault(pair["ablate"] or pair["contestant"], []).append(pair)
    found = {
        name: rates([(pair["held"], pair["other"]) for pair in pairs], rate)
        | times_faster(pairs)
        | {"pairs": len(pairs)}
        for name, pairs in grouped.items()
    }
    if grouped and not ablation:
        everything = [(pair["held"], pair["fast"]) for pairs in grouped.values() for pair in pairs]
        found["fast"] = rates(everything, rate)
    return found


def table(raw: Record, name: str) -> list[str]:
    """Contestants on a workload with their rates, how much faster the fast engine was than each of them last."""
    found, workload = summaries(raw, name), WORKLOADS[name]
    lines = [
        "| | rows/s | tokens/s | supervised/s | peak memory | saved after | of matrix rate | fast engine beside it "
        "| pairs |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for contestant in (contestant for contestant in CONTESTANTS if contestant in found):
        one = found[contestant]
        times = f"{one['times']:.2f}x ±{one['spread']:.0%}" if "times" in one else ""
        lines.append(
            f"| {CONTESTANTS[contestant].title} | {one['rows']:.2f} | {one['tokens']:,.0f} | {one['supervised']:,.1f} "
            f"| {one['memory_mb']:,.0f} MB | {one['saved_after']:.0f} s | {one['share']:.0%} | {times} "
            f"| {one.get('pairs', '')} |"
        )
    if best := best_peer(found, PEERS):
        memory = found["fast"]["memory_mb"] / found[best]["memory_mb"]
        lines += [
            "",
            f"Best peer: {CONTESTANTS[best].title}. Rows/s {found[best]['times']:.2f}x (aim: at least "
            f"{workload.speed:g}x), memory {memory:.2f}x (aim: at most {workload.memory:g}x).",
        ]
    return lines


def overview(raw: Record) -> list[str]:
    """One line a workload: the ratios that count, and their aims."""
    lines = [
        "| | workload | best peer | rows/s against it | aim | ceiling | memory against it | aim |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, workload in WORKLOADS.items():
        found = summaries(raw, name)
        if best := best_peer(found, PEERS):
            fast, peer = found["fast"], found[best]
            held = next(pair["held"] for pair in pairs_of(raw, name) if pair["contestant"] == best)
            most = ceiling(held, peer, max(raw["matrix_rate"].values()))
            lines.append(
                f"| {name} | {workload.title} | {CONTESTANTS[best].title} | **{peer['times']:.2f}x** "
                f"| {workload.speed:g}x | {most:.1f}x "
                f"| **{fast['memory_mb'] / peer['memory_mb']:.2f}x** | {workload.memory:g}x |"
            )
    return lines


def section(raw: Record, name: str) -> list[str]:
    """A workload: its numbers, its table, and who did not run, and why."""
    found = summaries(raw, name)
    pairs = [pair for pair in raw["pairs"] if pair["workload"] == name and not pair["ablate"]]
    lines = [
        f"## {name}: {WORKLOADS[name].title}",
        "",
        *(f"{about}." for about in dict.fromkeys(held_text(pair["held"]) for pair in pairs)),
        "",
        *table(raw, name),
        "",
    ]
    lines += [
        f"- {CONTESTANTS[peer].title}: {settings_text(pairs, peer)}; first loss {found[peer]['first_loss']:.5f}"
        for peer in CONTESTANTS
        if peer in found
    ]
    lines += [f"- {c.title}: not run, it {c.cannot[name]}" for c in CONTESTANTS.values() if name in c.cannot]
    refused = {c.title: refusal(name, c.name) for c in CONTESTANTS.values()}
    lines += [f"- {title}: not run, {reason}" for title, reason in refused.items() if reason]
    failed = {
        contestant: result["failed"].splitlines()[-1]
        for pair in pairs
        for contestant, result in (("fast", pair["fast"]), (pair["contestant"], pair["other"]))
        if "failed" in result
    }
    lines += [f"- {CONTESTANTS[peer].title}: failed, {reason}" for peer, reason in failed.items()]
    return [*lines, ""]


def held_text(held: Record) -> str:
    """What the counted steps held."""
    return (
        f"{held['steps']} optimiser steps, of which {held['steps'] - 1} count: {held['rows']} rows, {held['tokens']:,} "
        f"tokens ({held['supervised']:,} supervised, longest row {held['longest']}), {held['gflop']:,.0f} GFLOP, "
        f"{held['least_gflop']:,.0f} with shared beginnings"
    )


def settings_text(pairs: Sequence[Record], name: str) -> str:
    """The settings of a contestant, in words."""
    if CONTESTANTS[name].environment is None:
        key = "fast" if name == "fast" else "other"
        dtypes = (pair[key].get("dtype") for pair in pairs if name in ("fast", pair["contestant"]))
        return f"its defaults ({next(filter(None, dtypes))})"
    settings = next(pair["settings"] for pair in pairs if pair["contestant"] == name)
    words = [settings["dtype"], settings["attention"], f"micro-batch {settings['micro_batch']}"]
    words += ["padding-free"] * bool(settings["padding_free"])
    words += ["grouped by length (so other rows in its steps)"] * bool(settings["grouped"])
    return ", ".join(words)


PROFILES = """\
## What a step's time goes into

torch's profiler over the counted steps of the fast engine and of its best peer, taken in turn in one call of
`race.run --profile`. *At* is the rate that the matrix products reach: what the processor keeps up over minutes, on
matrices of the shapes that there are, less than the fastest products that it was seen to do. *Other operations* are
norms, activations, copies and sums; *Python* is all that is left, the profiler's own writing included.
"""


def profiles(raw: Record) -> list[str]:
    """By workload and contestant, what the counted steps are spent on."""
    found: dict[str, list[Record]] = raw.get("profiles", {})
    if not found:
        return []
    lines = [
        *PROFILES.splitlines(),
        "",
        "| | | seconds | matrix products | at | attention | other operations | Python |",
    ]
    lines.append("|---|---|---|---|---|---|---|---|")
    for name, results in sorted(found.items()):
        lines += [profile_line(name, result) for result in results]
    return [*lines, ""]


def profile_line(name: str, result: Record) -> str:
    """One line: seconds of the counted steps, and the shares of them."""
    title = CONTESTANTS[result["contestant"]].title
    if "failed" in result:
        return f"| {name} | {title} | failed | | | | | |"
    whole, kinds = sum(result["seconds"][1:]), result["kinds"]
    shares = {kind: one["seconds"] / whole for kind, one in kinds.items()}
    rate = kinds["products"]["gflop"] / kinds["products"]["seconds"]
    return (
        f"| {name} | {title} | {whole:.1f} | {shares['products']:.0%} | {rate:.0f} GFLOP/s "
        f"| {shares['attention']:.0%} | {shares['others']:.0%} | {1 - sum(shares.values()):.0%} |"
    )


ABLATION = """\
The whole fast engine in pairs with itself, with one technique after the other switched off in the second process by
`LUTHIER_FAST_WITHOUT`; `nothing` switches nothing off, and says how far two equal processes lie apart.
"""

TECHNIQUES = {
    "flat": "rows lie side by side in one, without padding",
    "prefixes": "a beginning that rows share is computed once",
    "head": "the output layer computes supervised tokens only, a few at a time",
    "last-layer": "the last layer computes only what the loss reads, and the keys and values of the rest",
    "fused-lora": "a linear layer and its adapter are one operation",
    "norms": "norms are one operation",
    "recompute": "the product inside an MLP is computed again in the backward pass instead of being kept",
}
"""What the techniques of the fast engine are, by the name that switches each one off."""


def ablation(raw: Record) -> list[str]:
    """The fast engine with each technique switched off."""
    lines: list[str] = []
    for name in ABLATED:
        found = summaries(raw, name, ablation=True)
        if len(found) < 2 or NOTHING not in found:
            continue
        lines += [f"### {name}", "", "| switched off | rows/s | whole engine beside it | peak memory | pairs |"]
        lines += ["|---|---|---|---|---|"]
        lines += [
            f"| {technique} | {one['rows']:.2f} | {one['times']:.2f}x ±{one['spread']:.0%} "
            f"| {one['memory_mb']:,.0f} MB | {one['pairs']} |"
            for technique, one in sorted(found.items(), key=lambda item: item[0] != NOTHING)
        ]
        lines.append("")
    if not lines:
        return []
    explained = [f"- `{technique}`: {words}" for technique, words in TECHNIQUES.items()]
    return ["## What each technique is worth", "", *ABLATION.splitlines(), "", *explained, "", *lines]


def accuracy(raw: Record) -> list[str]:
    """Time to the accuracy aimed at."""
    found = raw.get("accuracy", {})
    if not found:
        return []
    lines = ["## Time to 0.95 test accuracy on A", "", "Start-up included, asking left out.", ""]
    lines += ["| | seconds | steps |", "|---|---|---|"]
    for name, one in found.items():
        reached = "failed" if "failed" in one else f"{one['seconds']:.0f}" if one["seconds"] else "not reached"
        lines.append(f"| {CONTESTANTS[name].title} | {reached} | {one.get('steps', '–')} |")
    return [*lines, ""]


def aims_text(matrix_rate: dict[str, float]) -> list[str]:
    """Why the aims are out of reach of a processor without fast products of bfloat16."""
    if matrix_rate.get("bfloat16", 0.0) >= 2 * matrix_rate["float32"]:
        return []
    return [
        "The aims were set for a processor that multiplies bfloat16 several times as fast as float32. This one does",
        "not, so everybody trains in float32 and spends much of a step in the same products: little is left to win but",
        "work that can be left out. The ceiling says how much that is.",
        "",
    ]


SETTINGS = {
    "dtype": "number type",
    "padding_free": "padding-free batches",
    "micro_batch": "micro-batch",
    "attention": "attention",
    "grouped": "length grouping",
}
"""What the settings are called on the page."""


def search_text() -> list[str]:
    """How many settings were tried, and which ones were varied where."""
    trials = search.load()["trials"]
    count = sum(len(tried) for peers in trials.values() for tried in peers.values())
    refused = sum("refused" in trial for peers in trials.values() for tried in peers.values() for trial in tried)
    lines = [
        f"The search tried {count} settings of the peers, of which {refused} were refused or failed: "
        "`benchmarks/best_settings.json`. What was varied on each workload, for any of its peers:",
        "",
    ]
    lines += [f"- {workload}: {', '.join(varied(peers.values()))}" for workload, peers in sorted(trials.items())]
    return [*lines, ""]


def varied(peers: Iterable[Sequence[Record]]) -> list[str]:
    """The settings of which any peer's trials had more than one value, in words."""
    tried = [[trial["settings"] for trial in trials] for trials in peers]
    return [
        words for key, words in SETTINGS.items() if any(len({settings[key] for settings in one}) > 1 for one in tried)
    ] or ["nothing"]


def write(raw: Record) -> None:
    """Writes page and chart."""
    measured = [name for name in WORKLOADS if any(pair["workload"] == name for pair in raw["pairs"])]
    machine = raw["machine"]
    rate = ", ".join(f"{dtype} {value:.0f} GFLOP/s" for dtype, value in raw["matrix_rate"].items())
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench` (`benchmarks/README.md`): LoRA training with Luthier and with other trainers.",
        f"{machine['name']}, {machine['cores']} cores, {machine['memory_gb']:g} GB; matrix products: {rate}.",
        "",
        "![rows per second of every contestant, as a multiple of the best peer's](benchmarks.svg)",
        "",
        *overview(raw),
        "",
        *aims_text(raw["matrix_rate"]),
        HOW,
        *search_text(),
    ]
    for name in measured:
        lines += section(raw, name)
    lines += profiles(raw) + ablation(raw) + accuracy(raw)
    PAGE.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    groups = []
    for name in measured:
        found = summaries(raw, name)
        best = best_peer(found, PEERS)
        if best:
            times = {key: found[key].get("times", 1.0) for key in CONTESTANTS if key in found}
            ratios = {key: times[best] / value for key, value in times.items()}
            groups.append((f"{name}  {WORKLOADS[name].title}", ratios, WORKLOADS[name].speed))
    CHART.write_text(bars(groups, {c.name: c.title for c in CONTESTANTS.values()}), encoding="utf-8")


if __name__ == "__main__":
    write(json.loads(RAW.read_text(encoding="utf-8")))
