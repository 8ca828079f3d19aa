"""MLflow, by its client: no run of MLflow becomes the active one of the process."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from posixpath import normpath
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from luthier.tracking import About, Rows, TrackerOptions

TAG = "luthier.run"
"""The tag that names Luthier's run."""

MOST_PARAMETERS, LONGEST_PARAMETER, LONGEST_NAME = 100, 6000, 250
"""What MLflow takes at once, and the characters of a value and of a name."""

STATES = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


class MlflowOptions(TrackerOptions):
    """A run of MLflow; a server's user and password are read from MLFLOW_TRACKING_USERNAME and _PASSWORD."""

    name: Literal["mlflow"] = Field("mlflow", description="The tracker's name.")
    uri: str | None = Field(
        None, description="Server or database; null = MLFLOW_TRACKING_URI, else MLflow's own default, mlflow.db here."
    )
    experiment: str | None = Field(None, description="The experiment; null = the run's `name`.")

    @field_validator("uri")
    @classmethod
    def _without_password(cls, uri: str | None) -> str | None:
        if uri and urlsplit(uri).password:
            raise ValueError("a password has no place in a file: set MLFLOW_TRACKING_PASSWORD")
        return uri


class Mlflow:
    """A run tagged with the id of Luthier's run, so that a resumed one goes on in the same place."""

    Options = MlflowOptions
    package: ClassVar[str] = "mlflow"
    repeats: ClassVar[str] = "kept beside the first ones: two points of the same step and value, at different times"

    def __init__(self, options: MlflowOptions) -> None:
        self.options = options
        self._client: Any = None
        self._run = ""

    def open(self, about: About, after: int) -> str:
        """See `luthier.tracking.Tracker`."""
        from mlflow import MlflowClient

        self._client = client = MlflowClient(tracking_uri=self.options.uri)
        name = self.options.experiment or about.name
        known = client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else client.create_experiment(name)
        found = client.search_runs([experiment], f"tags.`{TAG}` = '{about.id}'", max_results=1)
        if found:
            self._run = found[0].info.run_id
            client.update_run(self._run, status="RUNNING")
        else:
            self._run = client.create_run(experiment, run_name=about.id, tags={TAG: about.id}).info.run_id
            self._parameters(about)
        return f"{client.tracking_uri}, experiment {name}, run {about.id}"

    def _parameters(self, about: About) -> None:
        from mlflow.entities import Param

        settings = {_name(key): str(value)[:LONGEST_PARAMETER] for key, value in about.settings.items()}
        parameters = [Param(name, value) for name, value in settings.items()]
        for start in range(0, len(parameters), MOST_PARAMETERS):
            self._client.log_batch(self._run, params=parameters[start : start + MOST_PARAMETERS])
        self._client.log_text(self._run, about.yaml, "config.yaml")

    def curves(self, values: Mapping[str, float], step: int, time: float) -> None:
        """Metrics."""
        from mlflow.entities import Metric

        moment = round(time * 1000)
        self._client.log_batch(self._run, [Metric(_name(name), value, moment, step) for name, value in values.items()])

    def table(self, name: str, rows: Rows, step: int, time: float) -> None:
        """A JSON file among the run's artifacts, as MLflow's own tables are written."""
        columns = list(rows[0]) if rows else []
        table = {"columns": columns, "data": [[row[column] for column in columns] for row in rows]}
        self._client.log_text(self._run, json.dumps(table, ensure_ascii=False), f"{name}/step-{step:06d}.json")

    def results(self, values: Mapping[str, float], step: int, time: float) -> None:
        """Metrics too."""
        self.curves(values, step, time)

    def close(self, state: str) -> None:
        """Ends the run."""
        self._client.set_terminated(self._run, STATES[state])


def _name(name: str) -> str:
    """As MLflow takes it on every system: letters of any script, digits, spaces and `_-.`, and slashes of a path."""
    return normpath(re.sub(r"[^\w.\- /]", "_", name))[:LONGEST_NAME]
