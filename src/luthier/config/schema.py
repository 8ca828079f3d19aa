"""The JSON Schema of a configuration, from which editors complete and check."""

from __future__ import annotations

from typing import Any

from luthier.config.run import RunConfig


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of everything that a run's YAML may hold, with every field's description."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **RunConfig.model_json_schema(),
        "title": "Luthier run",
        "description": "One run of Luthier: which model is tuned, on which rows, how, and how it is measured.",
    }
