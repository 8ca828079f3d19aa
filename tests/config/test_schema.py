"""The JSON Schema accepts what is accepted, refuses what is refused, and lets editors complete."""

import pytest

from luthier import registry
from luthier.config.schema import json_schema

SCHEMA = json_schema()


def definition(reference):
    return SCHEMA["$defs"][reference["$ref"].rpartition("/")[2]]


@pytest.mark.parametrize(
    ("kind", "part", "key"),
    [
        ("task", None, "task"),
        ("method", None, "method"),
        ("optimizer", "TrainingConfig", "optimizer"),
        ("schedule", "TrainingConfig", "schedule"),
        ("cleaning", "DataConfig", "clean"),
        ("tracker", None, "tracking"),
    ],
)
def test_a_plugin_is_its_name_or_its_options(kind, part, key):
    field = (SCHEMA["$defs"][part] if part else SCHEMA)["properties"][key]
    names, *options = (field["items"] if kind in ("cleaning", "tracker") else field)["anyOf"]
    assert names.get("enum", [names.get("const")]) == registry.names(kind)
    assert [definition(option)["properties"]["name"]["const"] for option in options] == registry.names(kind)
    for option in options:
        assert "name" in definition(option)["required"]
        assert definition(option)["additionalProperties"] is False
        assert definition(option)["description"]


def test_metrics_and_formats_are_listed():
    metrics = SCHEMA["$defs"]["EvaluationConfig"]["properties"]["metrics"]
    assert metrics["items"]["enum"] == registry.names("metric")
    assert SCHEMA["$defs"]["SourceConfig"]["properties"]["format"]["enum"] == ["auto", *registry.names("format")]


def test_sources_may_be_paths():
    train = SCHEMA["$defs"]["DataConfig"]["properties"]["train"]
    assert train["anyOf"][0] == {"type": "string"}
    assert {"type": "string"} in train["anyOf"][2]["items"]["anyOf"]


def test_it_says_what_it_is():
    assert SCHEMA["$schema"].startswith("https://json-schema.org/")
    assert SCHEMA["title"] == "Luthier run"
    assert SCHEMA["required"] == ["model", "data"]


def test_every_reference_leads_somewhere():
    def references(node):
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    found = set(references(SCHEMA))
    assert found
    assert {reference.rpartition("/")[2] for reference in found} == set(SCHEMA["$defs"])
