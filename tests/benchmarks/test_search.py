"""The search for a peer's settings, on trials that are made up."""

import json
from pathlib import Path
from typing import Any

import pytest
from race import search
from race.contestants import CONTESTANTS, START, Settings
from race.processes import Entry
from race.search import Search, beginning
from race.workloads import Prepared

TRAINER = CONTESTANTS["trainer"]


@pytest.fixture
def losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The first loss by attention; 2.5 is legal. A grouped peer is the fastest, and its first loss its own."""
    found = {"sdpa": 2.5, "eager": 2.5}

    def together(entries: list[Entry], prepared: Prepared, steps: int, longest: float) -> list[dict[str, Any]]:
        (entry,) = entries
        seconds = 1.0 if entry.settings["grouped"] else 2.0
        loss = 9.9 if entry.settings["grouped"] else found[entry.settings["attention"]]
        tokens = {"tokens_seen": [12, prepared.about.get("seen", 20)]}
        return [{"seconds": [9.0, seconds], "losses": [loss], "peak_memory_mb": 100.0, **tokens}]

    monkeypatch.setattr(search, "together", together)
    monkeypatch.setattr(search, "bfloat16_is_slow", lambda: True)
    monkeypatch.setattr(search, "BEST", tmp_path / "best.json")
    return found


def searched(folder: Path, name: str = "B", **about: Any) -> Search:
    rows = [{"step": step, "ids": [1] * 5} for step in (1, 1, 2, 2)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    about = {"task": "causal_lm", "batch_size": 16, **about}
    return Search(TRAINER, Prepared(name, folder, about), 2, {"best": {}, "reference": {name: 2.5}, "trials": {}})


def tried(found: Search) -> list[Settings]:
    return [trial["settings"] for trial in found.trials]


def test_grouped_settings_are_legal_where_they_are_without_grouping(tmp_path: Path, losses: dict[str, float]) -> None:
    found = searched(tmp_path)
    grouped = START | {"grouped": True}
    assert found.measure(grouped) == pytest.approx(1.0 * 10 / 8)  # its counted step had 8 of 20 tokens, the others' 10
    assert tried(found) == [START, grouped]
    losses["eager"] = 2.6
    assert found.measure(grouped | {"attention": "eager"}) is None
    assert tried(found)[2:] == [START | {"attention": "eager"}]


def test_a_grouped_peer_has_to_see_every_row(tmp_path: Path, losses: dict[str, float]) -> None:
    found = searched(tmp_path, seen=16)
    assert found.measure(START | {"grouped": True}) is None
    assert found.trials[-1]["refused"] == "it has seen 16 tokens, the rows have 20"


@pytest.mark.parametrize(
    ("name", "task", "kept"),
    [("B", "causal_lm", {"padding_free"}), ("C", "causal_lm", set()), ("E", "sequence_classification", set())],
)
def test_a_peer_begins_without_what_saves_nothing(tmp_path: Path, name: str, task: str, kept: set[str]) -> None:
    best = START | {"micro_batch": 8, "padding_free": True, "grouped": True}
    found = beginning(TRAINER, {"best": {"A": {"trainer": best}}}, Prepared(name, tmp_path, {"task": task}))
    assert found == START | {"micro_batch": 8} | dict.fromkeys(kept, True)


def test_all_settings_are_varied_where_they_mean_something(tmp_path: Path, losses: dict[str, float]) -> None:
    found = searched(tmp_path)
    best = found.best(search.VARIED)
    assert best is not None
    assert best["grouped"]
    values = {key: {settings[key] for settings in tried(found)} for key in START}
    assert values == {
        "dtype": {"float32"},
        "attention": {"sdpa", "eager"},
        "micro_batch": {2, 4, 8},  # 16 lies behind 8, which was no faster
        "padding_free": {False, True},
        "grouped": {False, True},
    }
    alike = searched(tmp_path, "C", batch_size=4)
    alike.best(search.VARIED)
    assert not any(settings["grouped"] or settings["padding_free"] for settings in tried(alike))
