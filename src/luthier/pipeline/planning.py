"""What a run will do: measured here, foretold for elsewhere, raced against the stock trainer."""

from __future__ import annotations

import time
from collections.abc import Sequence

from luthier.pipeline.opening import Config, read_config
from luthier.progress import Report
from luthier.training.devices import find_device
from luthier.training.forecast import Forecast, make_forecast
from luthier.training.planning import Plan, make_plan
from luthier.training.race import Race, run_race
from luthier.training.session import Materials


def plan(config: Config, overrides: Sequence[str] = (), *, progress: Report | None = None) -> Plan:
    """What a run will do: rows, tokens, parameters, memory and time measured on a few real steps, warnings."""
    started = time.perf_counter()
    materials = Materials.gather(read_config(config, overrides), progress)
    return make_plan(materials, time.perf_counter() - started, progress)


def forecast(config: Config, device: str, overrides: Sequence[str] = (), *, progress: Report | None = None) -> Forecast:
    """Whether a run fits another device and how long it takes there: estimated from published facts, not measured.

    Args:
        config: the configuration.
        device: its name in `luthier.training.devices`, such as rtx4090 or cpu-16.
        overrides: `key.path=value`.
        progress: told (phase, done, total) while the data is prepared.

    Raises:
        ConfigError: nothing is known of that device.
    """
    known = find_device(device)  # before the data is prepared
    return make_forecast(Materials.gather(read_config(config, overrides), progress), known)


def race(config: Config, overrides: Sequence[str] = (), *, seconds: float = 60, progress: Report | None = None) -> Race:
    """The run's own rows and model on Luthier and on the stock Trainer of `transformers` with `peft`, in turns.

    Args:
        config: the configuration.
        overrides: `key.path=value`.
        seconds: training time of each; loading is not counted.
        progress: told (phase, done, total).

    Raises:
        ConfigError: the stock Trainer cannot train this method or task.
    """
    return run_race(Materials.gather(read_config(config, overrides), progress), seconds, progress)
