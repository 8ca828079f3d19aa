"""The YAML writer: whatever it writes is read back as an equal configuration."""

import pytest
from ruamel.yaml import YAML

from luthier import registry
from luthier.config import RunConfig, parse_config
from luthier.config.writing import to_yaml

FULL = """\
name: all-keys
model: {base: "package:m/f.gguf", dtype: float32, trust_remote_code: true}
task: sequence_classification
data:
  train: [{path: 数据/a b.csv, format: auto, columns: {text: "the text", "label: 2": label}}, b.jsonl.gz]
  test: [c.csv]
  labels: ["yes", "no", "1", "null", 上涨, "a, b", "- x", "#x", "", " x ", "🙂", "1e3", "2024-01-31", "x\\u2028y\\x85z"]
  instruction: "Choose one of {labels}:\\n\\"quoted\\" \\\\ and\\ttabbed"
  template: |
    {% for message in messages %}
    {{ message.content }}
    {% endfor %}
  clean: []
training: {epochs: 0.5, learning_rate: 1e-7, optimizer: {epsilon: 1e-12}, checkpoint: {every: 7}, max_grad_norm: null}
evaluation: {every: 1.0, metrics: [mcc]}
"""


@pytest.mark.parametrize("comments", [True, False])
@pytest.mark.parametrize("text", [FULL, "model: {base: b}\ndata: {train: a.csv}"])
def test_round_trip(text, comments):
    config = parse_config(text)
    written = to_yaml(config, comments=comments)
    assert parse_config(written) == config
    assert to_yaml(parse_config(written), comments=comments) == written


CLEANING = {
    "contamination": "{name: contamination, benchmarks: {mine: bench.txt}}",
    "domain_terms": "{name: domain_terms, terms: [profit]}",
    "language": "{name: language, keep: [en]}",
    "relevance": "{name: relevance, terms: [profit]}",
    "rules": "{name: rules, rules: [{name: prices, pattern: '[0-9]+'}]}",
}
"""Steps that cannot do without options."""


@pytest.mark.parametrize("kind", ["task", "method", "optimizer", "schedule", "cleaning", "tracker"])
def test_round_trip_of_every_plugins_options(kind):
    places = {"optimizer": "training.optimizer", "schedule": "training.schedule", "cleaning": "data.clean"}
    place = (places | {"tracker": "tracking"}).get(kind, kind)
    for name in registry.names(kind):
        options = CLEANING.get(name, name)
        value = f"[{options}]" if kind in ("cleaning", "tracker") else options
        config = parse_config("model: {base: b}\ndata: {train: a.csv}", [f"{place}={value}"])
        written = to_yaml(config, comments=True)
        assert parse_config(written) == config, name
        assert to_yaml(parse_config(written), comments=True) == written, name


def test_every_key_is_written_with_its_description():
    lines = to_yaml(parse_config(FULL), comments=True).splitlines()
    assert lines[lines.index("  max_length: 512") - 1] == "  # Longest row in tokens."
    assert lines[lines.index("  seed: 42") - 1] == "  # Seed of initialisation, dropout and row order."
    tree = YAML(typ="safe", pure=True).load("\n".join(lines))
    dumped = parse_config(FULL).model_dump(mode="json")
    assert keys(tree) == keys(dumped)


def keys(node, path=()):
    if isinstance(node, dict):
        return {path} | {found for key, value in node.items() for found in keys(value, (*path, key))}
    if isinstance(node, list):
        return {path} | {found for position, value in enumerate(node) for found in keys(value, (*path, position))}
    return {path}


def test_header_and_notes():
    config = parse_config("model: {base: b}\ndata: {train: a.csv}")
    written = to_yaml(
        config, comments=True, header=["Written for a.csv", ""], notes={"data.max_length": "80 is enough"}
    )
    assert written.startswith("# Written for a.csv\n#\n\n")
    assert "  # Longest row in tokens.\n  # 80 is enough\n  max_length: 512\n" in written
    assert parse_config(written) == config


def test_every_field_of_the_configuration_has_a_description():
    schema = RunConfig.model_json_schema()
    parts = schema["$defs"] | {"RunConfig": schema}  # a reference is described by what it leads to
    assert all(part["description"] for part in schema["$defs"].values())
    undescribed = [
        f"{title}.{key}"
        for title, part in parts.items()
        for key, field in part["properties"].items()
        if key != "name" and "description" not in field and "$ref" not in field
    ]
    assert undescribed == []
