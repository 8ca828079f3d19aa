"""Seconds from `luthier train` to the first step, on prepared data.

    python benchmarks/startup.py [--repeats 3]

The recipe `finance_sentiment` (SmolLM2-135M) on the phrasebank, as a user starts it: a new process each time, which
imports, finds the prepared rows, loads the base, tries the fast engine against the reference engine, and lets the base
answer the samples that are shown beside the training. The first start prepares the data and is not counted. Each is
ended when its first step is over; the step itself is not counted either.

Exit code 1 when the median is above 15 seconds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from luthier.runs.events import read_events

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("LUTHIER_DATA", ROOT.parent / "shared" / "data"))
PHRASEBANK = DATA / "financial_phrasebank" / "Sentences_AllAgree.txt"
RECIPE = ROOT / "src" / "luthier" / "recipes" / "finance_sentiment.yaml"
LUTHIER = Path(sys.executable).with_name("luthier")
LONGEST = 15.0


def start(folder: Path) -> float:
    """Starts a training and returns the seconds before its first step.

    Raises:
        SystemExit: it ended before that.
    """
    command = [str(LUTHIER), "train", str(RECIPE), "--set", f"data.train={PHRASEBANK}"]
    began = time.time()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            while process.poll() is None:
                for events in folder.glob("runs/*/*/events.jsonl"):
                    for step in read_events(events, "step"):
                        return float(step["time"] - step["seconds"] - began)
                time.sleep(0.1)
            assert process.stderr is not None
            raise SystemExit(f"the training ended before its first step:\n{process.stderr.read()}")
        finally:
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    times = []
    for number in range(parser.parse_args().repeats + 1):
        with tempfile.TemporaryDirectory() as folder:
            seconds = start(Path(folder))
        print(f"{'prepared' if number else 'first (not counted)'}: {seconds:.1f} s", flush=True)
        times.append(seconds)
    middle = median(times[1:])
    print(f"median {middle:.1f} s, at most {LONGEST:g}")
    raise SystemExit(middle > LONGEST)


if __name__ == "__main__":
    main()
