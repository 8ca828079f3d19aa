"""The public Python API: prepare, plan, train, evaluate, predict, inspect, export, report.

Every function takes a configuration (a path, or a `RunConfig`) or a run (a path, or a `Run`) and raises subclasses of
`LuthierError` with messages for people. The command line calls nothing else.
"""

from __future__ import annotations

from luthier.data.market.plans import plan_forecasts, plan_join
from luthier.doctor import examine as doctor
from luthier.drafting import draft as new
from luthier.evaluation.speaker import Speaker
from luthier.pipeline.evaluating import benchmark_fingpt, compare, diagnose, evaluate, harness, judge, predict, speaker
from luthier.pipeline.handing_on import export, import_config, report, schema, track
from luthier.pipeline.planning import forecast, plan, race
from luthier.pipeline.rows import (
    Preparation,
    convert,
    diff,
    generate,
    inspect,
    join,
    make_forecasts,
    merge,
    prepare,
    profile,
    write_prepared,
)
from luthier.pipeline.training import TrainedRun, demo, train, train_methods, walk_forward
from luthier.recipes import Recipe, recipe, recipes
from luthier.training.forecast import Forecast
from luthier.training.planning import Plan
from luthier.training.race import Race

__all__ = [
    "Forecast",
    "Plan",
    "Preparation",
    "Race",
    "Recipe",
    "Speaker",
    "TrainedRun",
    "benchmark_fingpt",
    "compare",
    "convert",
    "demo",
    "diagnose",
    "diff",
    "doctor",
    "evaluate",
    "export",
    "forecast",
    "generate",
    "harness",
    "import_config",
    "inspect",
    "join",
    "judge",
    "make_forecasts",
    "merge",
    "new",
    "plan",
    "plan_forecasts",
    "plan_join",
    "predict",
    "prepare",
    "profile",
    "race",
    "recipe",
    "recipes",
    "report",
    "schema",
    "speaker",
    "track",
    "train",
    "train_methods",
    "walk_forward",
    "write_prepared",
]
