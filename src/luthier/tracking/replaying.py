"""A run told to a tracker afterwards."""

from __future__ import annotations

from luthier.config import RunConfig, parse_config
from luthier.config.writing import to_yaml
from luthier.errors import ConfigError, LuthierError
from luthier.runs import Run, read_events
from luthier.tracking import Tracker, TrackerOptions
from luthier.tracking.telling import ENDS, Teller


def options_for(config: RunConfig, wanted: str) -> TrackerOptions:
    """A tracker's options.

    Args:
        config: of the run; where it has the tracker, its options are taken.
        wanted: the tracker's name, or its name and options as YAML: {name: wandb, mode: offline}.

    Raises:
        ConfigError: there is no such tracker, or the options are wrong.
    """
    for options in config.tracking:
        if options.name == wanted:
            return options
    made = parse_config(to_yaml(config), [f"tracking=[{wanted}]"]).tracking
    if len(made) != 1:
        raise ConfigError(
            f"'{wanted}' is not one tracker", where="--to", expected="a name, or {name: ..., its options}"
        )
    return made[0]


def replay(tracker: Tracker, run: Run) -> str:
    """Tells a tracker a run from its first event to its last.

    Returns:
        Where the record is.

    Raises:
        LuthierError: the tracker failed.
    """
    teller = Teller(tracker, run)
    state = run.record.get("state")
    try:
        where = teller.begin(0)
        for event in read_events(run.events.path):
            teller.tell(event)
        teller.end(state if state in ENDS else "interrupted")
    except LuthierError:
        raise
    except Exception as error:  # whatever a tracker's library raises
        raise LuthierError(f"the tracker {tracker.options.name} failed: {type(error).__name__}: {error}") from error
    return where
