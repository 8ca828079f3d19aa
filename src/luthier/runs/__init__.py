"""A run's folder: what every other room writes to and reads from."""

from luthier.runs.events import Event, EventLog, read_events
from luthier.runs.folder import Run

__all__ = ["Event", "EventLog", "Run", "read_events"]
