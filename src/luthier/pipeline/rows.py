"""Rows: looking at them, preparing, joining, converting, comparing and writing them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.config import RunConfig, SourceConfig, parse_source
from luthier.config.writing import to_yaml
from luthier.data.differences import Differences
from luthier.data.inspection import Inspection, inspect_row
from luthier.data.ledger import places
from luthier.data.market.joining import Joined
from luthier.data.market.plans import ForecastPlan, JoinPlan
from luthier.data.prepare import Prepared
from luthier.data.profile import Profile
from luthier.data.tokenising import LEDGER
from luthier.data.writing import ABOUT, write_preparation
from luthier.errors import ConfigError
from luthier.models.hardware import peak_memory_mb
from luthier.pipeline.opening import Config, read_config
from luthier.progress import Report, silent
from luthier.runs import Run
from luthier.training.session import Materials

if TYPE_CHECKING:
    from luthier.data.exchange import Exchange
    from luthier.data.generation import Budget, Generated, Wishes
    from luthier.data.market.forecasting import Forecasts
    from luthier.endpoint import Endpoint


def prepare(config: Config, overrides: Sequence[str] = (), *, progress: Report | None = None) -> Prepared:
    """Reads, cleans, splits and tokenises the rows; the second time it takes them from the cache.

    Raises:
        DataError: too many rows are unreadable, or none is left to train on.
    """
    return Materials.gather(read_config(config, overrides), progress).prepared


@dataclass(frozen=True)
class Preparation:
    """Prepared rows in a folder of the user's own.

    Attributes:
        folder: SPLIT.jsonl, ledger.parquet, prepared.json, config.yaml.
        prepared: the same rows as tokens, in the cache.
        rows: rows by split; a document that was split into pieces is one.
        places: reason or change, with its numbers left out -> the first rows it was given for.
        seconds: what it took.
        peak_memory_mb: the most memory that this process has held.
    """

    folder: Path
    prepared: Prepared
    rows: dict[str, int]
    places: dict[str, list[str]]
    seconds: float
    peak_memory_mb: float


def write_prepared(
    config: Config, folder: str | Path | None = None, overrides: Sequence[str] = (), *, progress: Report | None = None
) -> Preparation:
    """Prepares the rows and writes them to a folder as people read them; no weight is loaded.

    Args:
        config: the configuration.
        folder: where to; None = prepared/NAME.
        overrides: `key.path=value`.
        progress: told (phase, done, total).

    Raises:
        ConfigError: the folder holds something else.
        DataError: too many rows are unreadable, or none is left to train on.
    """
    started = time.perf_counter()
    settings = read_config(config, overrides)
    prepared = prepare(settings, progress=progress)
    target = Path(folder) if folder is not None else Path("prepared") / settings.name
    rows = write_preparation(prepared, to_yaml(settings), target)
    seconds = round(time.perf_counter() - started, 1)
    return Preparation(target, prepared, rows, places(prepared.ledger), seconds, peak_memory_mb())


def profile(
    paths: Sequence[str | SourceConfig], *, base: str | None = None, progress: Report | None = None
) -> list[Profile]:
    """What can be seen in files and folders of rows, each read once.

    Args:
        paths: files and folders, or sources as in `convert`.
        base: a base model whose tokenizer counts tokens; its weights are not loaded.
        progress: told (phase, done, total).

    Raises:
        DataError: there is nothing to read at a path.
    """
    from luthier.data.profile import profile as look
    from luthier.models.files import resolve
    from luthier.models.loading import load_tokenizer

    tokenizer = load_tokenizer(resolve(base)) if base else None
    return [look(_source(path), tokenizer, progress) for path in paths]


def diff(
    first: str | Path, second: str | Path, *, everything: str | Path | None = None, progress: Report | None = None
) -> Differences:
    """Which rows changed fate, split or text between two preparations.

    Args:
        first: a folder of `write_prepared`, a run, or a configuration, which is prepared if it has not been yet.
        second: likewise.
        everything: a file for all changes, a line of JSON each.
        progress: told (phase, done, total).

    Raises:
        ConfigError: there is no preparation.
    """
    from luthier.data.differences import differences

    one, two = (_ledger_of(Path(each), progress) for each in (first, second))
    return differences(one, two, Path(everything) if everything else None)


def _ledger_of(path: Path, progress: Report | None) -> Path:
    """The ledger of a preparation, a run or a configuration."""
    if (path / ABOUT).is_file():
        return path / LEDGER
    if path.is_file():
        return prepare(path, progress=progress).ledger
    try:
        return Run.open(path).ledger_file
    except ConfigError as error:
        raise ConfigError(
            f"there is no preparation in '{path}'",
            expected="a folder of `luthier data prepare`, a run's folder, or a configuration",
        ) from error


def join(news: str, prices: str, output: str | Path, plan: JoinPlan, *, progress: Report | None = None) -> Joined:
    """Joins news to the prices that were known when they were told, and writes the rows with what was left out.

    Raises:
        ConfigError: what is read would be written over.
        DataError: there is nothing to read, or the columns are not there.
    """
    from luthier.config import SourceConfig
    from luthier.data.market.joining import join as join_rows

    sources = SourceConfig(path=news), SourceConfig(path=prices)
    return join_rows(*sources, Path(output), plan, progress or silent)


def make_forecasts(
    news: str,
    prices: str,
    output: str | Path,
    plan: ForecastPlan,
    *,
    companies: str | None = None,
    progress: Report | None = None,
) -> Forecasts:
    """Rows for a forecaster, a stock's last weeks and what it did in the next one, written with what was left out.

    Args:
        news: a file or a folder.
        prices: likewise.
        output: a JSON Lines file.
        plan: see `luthier.data.market.plans.plan_forecasts`.
        companies: a file of what is known of each stock.
        progress: told (phase, done, total).

    Raises:
        ConfigError: what is read would be written over.
        DataError: there is nothing to read, or the columns are not there.
    """
    from luthier.config import SourceConfig
    from luthier.data.market.forecasting import make_forecasts as make

    about = None if companies is None else SourceConfig(path=companies)
    say = progress or silent
    return make(SourceConfig(path=news), SourceConfig(path=prices), Path(output), plan, say, about)


def inspect(
    config: Config, overrides: Sequence[str] = (), *, row: int | None = None, serve_check: bool = False
) -> Inspection:
    """The exact tokens of one row, what is learned of them, and its line in the ledger.

    Raises:
        DataError: there is no such row.
    """
    settings = read_config(config, overrides)
    materials = Materials.gather(settings)
    return inspect_row(settings, materials.task, materials.prepared, materials.renderer, row, serve=serve_check)


def convert(source: str | SourceConfig, to: str, output: str | Path, *, progress: Report | None = None) -> Exchange:
    """Rows in another format, what it has no room for refused and counted.

    Args:
        source: a path, or what stands in a configuration: `{path: ..., format: ..., columns: ...}`.
        to: the format that is written.
        output: the new file: JSON Lines, or a table, .csv or .parquet.
        progress: told (phase, done, total).

    Raises:
        ConfigError: the format cannot be written, or no file of that name.
        DataError: the source cannot be read, or nothing has room in the format.
    """
    from luthier.data.exchange import convert as write

    return write(_source(source), to, Path(output), _counting("converting", progress))


def merge(
    sources: Sequence[str | SourceConfig], output: str | Path, *, to: str | None = None, progress: Report | None = None
) -> Exchange:
    """Rows of several sources in one file of one format, each with the source it is from; see `convert`.

    Args:
        sources: as in `convert`.
        output: the new file, as in `convert`.
        to: the format that is written; None = the one that holds all of them.
        progress: told (phase, done, total).

    Raises:
        ConfigError: no format holds all of them, or the given one cannot be written.
        DataError: a source cannot be read, or nothing has room in the format.
    """
    from luthier.data.exchange import merge as write

    return write([_source(each) for each in sources], to, Path(output), _counting("merging", progress))


def _source(source: str | SourceConfig) -> SourceConfig:
    return source if isinstance(source, SourceConfig) else parse_source(source)


def _counting(phase: str, progress: Report | None) -> Callable[[int], None]:
    return lambda done: progress(phase, done, None) if progress else None


def generate(
    seeds: Config,
    endpoint: Endpoint,
    out: str | Path,
    wishes: Wishes,
    budget: Budget | None = None,
    *,
    overrides: Sequence[str] = (),
    progress: Report | None = None,
) -> Generated:
    """Instruction rows that a model writes from examples; goes on where an earlier call ended.

    Args:
        seeds: a configuration (only rows of its training split are shown to the model), or a file or folder of rows.
        endpoint: the model.
        out: the file of accepted rows; those refused, and the journal, stand beside it.
        wishes: what is wanted.
        budget: what it may cost in all.
        overrides: `key.path=value`, where seeds are a configuration file.
        progress: told (phase, rows accepted, rows wanted).

    Raises:
        ConfigError: `out` is another file, or the endpoint refuses the requests.
        DataError: the seeds cannot be read.
    """
    from luthier.data import generation

    if isinstance(seeds, RunConfig) or Path(seeds).suffix in (".yaml", ".yml"):
        settings = read_config(seeds, overrides)
    else:  # every row of a file is a seed
        data = {"train": str(seeds), "clean": [], "split": {"test": 0, "validation": 0}, "tolerance": 1}
        settings = RunConfig.model_validate({"model": {"base": "none"}, "data": data})
    say = progress or silent
    return generation.generate(settings, endpoint, Path(out), wishes, budget or generation.Budget(), say)
