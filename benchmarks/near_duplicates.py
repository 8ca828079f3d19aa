"""Recall, precision, speed and memory of near-duplicate removal, against exact comparison on a sample.

    python benchmarks/near_duplicates.py [--rows 1000000] [--sample 4000]

The rows are finance-like sentences. Three in ten are altered copies of an earlier row, by one to six words, so that
they are planted at all similarities from 0.3 to 1; some rows have one copy, some thirty. One row in twenty comes from
one of fifty templates in which only a name and two numbers differ: crowds of rows that are alike, but not enough.

- recall: of the sample's rows that resemble an earlier kept row of the sample (exact Jaccard similarity of 5-grams at
  least 0.8), the share that was dropped. Whole families of copies are sampled.
- precision: of the dropped rows that were drawn, the share whose exact similarity to the row that is named as kept
  instead is at least 0.8.

Exit code 1 when recall is below 0.95, precision below 0.99, or it took more than 5 minutes or 2 GB.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from finance_rows import Sentences

THRESHOLD = 0.8
BOUNDS = {"recall": 0.95, "precision": 0.99, "seconds": 300.0, "peak_mb": 2048.0}


def texts(count: int, seed: int = 0) -> Iterator[tuple[str, int]]:
    """(text, number of the family that it belongs to); a row that nobody copied is a family of one."""
    sentences = Sentences(seed)
    draw = sentences.draw
    templates = [sentences.sentence() for _ in range(50)]
    recent: list[tuple[str, int]] = []
    for number in range(count):
        how = draw.random()
        if recent and how < 0.3:
            original, family = draw.choice(recent)
            yield sentences.altered(original, draw.randint(1, 6)), family
            continue
        if how < 0.35:
            which = draw.randrange(len(templates))
            text = re.sub(r"\d+\.\d", lambda _: f"{draw.uniform(0.1, 999):.1f}", templates[which])
            yield sentences.altered(text, 2), -which - 1
            continue
        text = sentences.sentence()
        if draw.random() < 0.15:
            recent = [*recent[-199:], (text, number)]
        yield text, number


def write_rows(path: Path, count: int, sample: int) -> list[int]:
    """Writes the rows and returns the ids of a sample of about so many: whole families."""
    rows_of: dict[int, list[int]] = {}
    with path.open("w", encoding="utf-8") as file:
        for number, (text, family) in enumerate(texts(count)):
            file.write(json.dumps({"text": text}) + "\n")
            if family % 7 == 0 or family < 0:
                rows_of.setdefault(family, []).append(number)
    families = [rows[:200] for rows in rows_of.values() if len(rows) > 1]
    random.Random(1).shuffle(families)
    chosen: list[int] = []
    for rows in families:
        if len(chosen) < sample:
            chosen += rows
    return sorted(chosen)


def measure(path: Path) -> dict[str, Any]:
    """Reads the rows, compares them and says which would be dropped, why, and what it took."""
    import numpy as np

    from luthier.config import RunConfig
    from luthier.data.cleaning.deduplicate import Deduplicate, DeduplicateOptions
    from luthier.data.decisions import gather
    from luthier.data.intake import iterate_examples

    begun = time.perf_counter()
    config = RunConfig.model_validate({"model": {"base": "none"}, "data": {"train": str(path), "clean": []}})
    rows = gather(iterate_examples(config), path.parent / "aside.arrow", lambda done: None)
    read = time.perf_counter() - begun
    step = Deduplicate(DeduplicateOptions(near=THRESHOLD))
    dropped = step.judge(rows.row_set(np.arange(len(rows.roles))))
    instead = {row: int(re.findall(r"row (\d+)", reason)[0]) for row, reason in dropped.items()}
    seconds = time.perf_counter() - begun
    return {"instead": instead, "read": read, "seconds": seconds, "peak_mb": peak_mb()}


def peak_mb() -> float:
    """The most memory this process ever held, in MB, by the kernel's account of it alone."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    assert found
    return int(found[1]) / 1024


def exact_pairs(sample: Sequence[str]) -> list[tuple[int, int, float]]:
    """All pairs of a sample at the threshold or above, as (later, earlier, similarity), by comparing every pair."""
    import numpy as np
    from sklearn.feature_extraction.text import CountVectorizer

    from luthier.data.similarity import GRAM, normalised

    grams = CountVectorizer(
        analyzer="char", ngram_range=(GRAM, GRAM), lowercase=False, binary=True, dtype=np.int32
    ).fit_transform([normalised(text) for text in sample])
    sizes = np.asarray(grams.sum(axis=1)).ravel()
    found: list[tuple[int, int, float]] = []
    for start in range(0, len(sample), 500):
        common = (grams[start : start + 500] @ grams.T).tocoo()
        later, earlier = common.row + start, common.col
        similarity = common.data / (sizes[later] + sizes[earlier] - common.data)
        alike = (similarity >= THRESHOLD) & (earlier < later)
        found += zip(later[alike].tolist(), earlier[alike].tolist(), similarity[alike].tolist(), strict=True)
    return found


def judge(path: Path, sample: Sequence[int], instead: dict[int, int]) -> dict[str, Any]:
    """Recall and precision of what was dropped."""
    from luthier.data.similarity import jaccard

    drawn = random.Random(2).sample(sorted(instead), min(10_000, len(instead)))
    needed = {*sample, *drawn, *(instead[row] for row in drawn)}
    with path.open(encoding="utf-8") as file:
        text = {number: json.loads(line)["text"] for number, line in enumerate(file) if number in needed}
    right = sum(jaccard(text[row], text[instead[row]]) >= THRESHOLD for row in drawn)
    best: dict[int, float] = {}
    for later, earlier, similarity in exact_pairs([text[row] for row in sample]):
        if sample[earlier] not in instead:
            best[sample[later]] = max(best.get(sample[later], 0.0), similarity)
    levels = {}
    for low in (0.8, 0.85, 0.9, 0.95):
        rows = [row for row, similarity in best.items() if low <= similarity < low + 0.05 + (low == 0.95)]
        levels[f"{low:.2f}"] = (sum(row in instead for row in rows), len(rows))
    return {
        "recall": sum(row in instead for row in best) / max(len(best), 1),
        "precision": right / max(len(drawn), 1),
        "should": len(best),
        "drawn": len(drawn),
        "levels": levels,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--sample", type=int, default=4000)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        result = options.measure.parent / "result.json"
        result.write_text(json.dumps(measure(options.measure)), encoding="utf-8")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        sample = write_rows(path, options.rows, options.sample)
        # a process of its own: writing the rows and comparing exactly must not count
        subprocess.run([sys.executable, __file__, "--measure", str(path)], check=True)
        found = json.loads((Path(folder) / "result.json").read_text(encoding="utf-8"))
        instead = {int(row): kept for row, kept in found.pop("instead").items()}
        found |= judge(path, sample, instead)
    print(f"rows           {options.rows:,}, of which dropped {len(instead):,}")
    print(f"recall         {found['recall']:.4f} of {found['should']:,} rows of a sample of {len(sample):,}")
    print("  by level     " + ", ".join(f"from {low}: {hit}/{all_}" for low, (hit, all_) in found["levels"].items()))
    print(f"precision      {found['precision']:.4f} of {found['drawn']:,} dropped rows")
    print(f"seconds        {found['seconds']:.1f}, of which reading and signing {found['read']:.1f}")
    print(f"peak memory    {found['peak_mb']:,.0f} MB")
    short = [name for name in ("recall", "precision") if found[name] < BOUNDS[name]]
    short += [name for name in ("seconds", "peak_mb") if found[name] > BOUNDS[name]]
    if short:
        raise SystemExit(f"not within bounds: {', '.join(short)}")


if __name__ == "__main__":
    main()
