"""`luthier demo`: the whole way in five minutes, on data and a model that need no download."""

from __future__ import annotations

from luthier.cli.output import Json, Overrides, emit
from luthier.languages import speaking


def command(overrides: Overrides = None, as_json: Json = False) -> None:
    """Tune a small language model on 300 headlines, and watch its answers change."""
    from luthier import pipeline
    from luthier.cli.progress import TrainingDisplay, progress_bar
    from luthier.cli.train import result, show

    config = pipeline.demo(overrides or [])
    with progress_bar(enabled=not as_json) as progress, TrainingDisplay(enabled=not as_json) as display:
        run = pipeline.train(config, listeners=[display], progress=progress)
    with speaking(config.language):
        emit(result(run), lambda console: show(run, console), as_json=as_json)
