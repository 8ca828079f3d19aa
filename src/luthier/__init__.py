"""Luthier turns a person's own rows into a specialised model.

    import luthier

    run = luthier.train("config.yaml")
    run.evaluate()
    luthier.predict(run, ["Profit rose to EUR 13.1 mn from EUR 8.7 mn."])

Everything here comes from `luthier.pipeline` and is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luthier.pipeline import evaluate, export, inspect, plan, predict, prepare, report, train

__all__ = ["evaluate", "export", "inspect", "plan", "predict", "prepare", "report", "train"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'luthier' has no attribute '{name}'")
    from luthier import pipeline

    return getattr(pipeline, name)
