"""One configuration with several methods: the same rows, base and seed, and for each method its own learning rate."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from luthier import registry
from luthier.config import RunConfig, parse_config
from luthier.config.writing import to_yaml
from luthier.errors import ConfigError, Interrupted, ModelError, TrainingError
from luthier.methods import Method, count_parameters
from luthier.models.base import BaseModel
from luthier.runs import Run
from luthier.runs.files import write_text
from luthier.training.guidance import middle_rate
from luthier.training.session import Materials
from luthier.training.sizes import base_without_weights

_COMMAND = (sys.executable, "-c", "from luthier.cli import main; main()", "train")


def parse_methods(text: str) -> list[dict[str, Any]]:
    """Reads `lora, lora{rank: 4}, full{learning_rate: 3e-5}`: names, each with its options as in YAML.

    Raises:
        ConfigError: it is not written so, or there is no such method.
    """
    found = []
    for part in _parts(text):
        match = re.fullmatch(r"\s*(\w+)\s*(\{.*\})?\s*", part, re.DOTALL)
        try:
            options = YAML(typ="safe", pure=True).load(match[2]) if match and match[2] else {}
        except YAMLError:
            match = None
        if not match:
            raise ConfigError(
                f"'{part.strip()}' is no method", where="--methods", expected="NAME or NAME{option: value}"
            )
        registry.load("method", match[1])
        found.append({"name": match[1], **options})
    if not found:
        raise ConfigError("no method was named", where="--methods", expected="such as lora,full")
    return found


def _parts(text: str) -> list[str]:
    """Split at commas outside of braces and brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "{[") - (character in "}]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part for part in parts if part.strip()]


def variants(materials: Materials, methods: Sequence[Mapping[str, Any]]) -> tuple[list[RunConfig], list[str]]:
    """The configuration once for each method (see `variant`), and why some methods do not fit the network.

    Raises:
        ConfigError: the options of a method are wrong.
    """
    import torch

    def base() -> BaseModel:
        return base_without_weights(materials, torch.float32)

    _, parameters = count_parameters(base().network)
    fitting, refused = [], []
    for made in [variant(materials.config, wanted, parameters) for wanted in methods]:
        method: Method = registry.load("method", made.method.name)(made.method)
        try:
            method.apply(base(), peft_task=materials.task.peft_task, total_steps=1)
            fitting.append(made)
        except ModelError as error:
            refused.append(f"{made.name} could not be trained: {error.found}")
    return fitting, refused


def variant(config: RunConfig, method: Mapping[str, Any], parameters: int) -> RunConfig:
    """The configuration with another method, under a name of its own.

    The learning rate is the one given among the method's options, else the configuration's own for its own method,
    else the middle of what is usual for the method on a model of that size.

    Raises:
        ConfigError: the options are wrong.
    """
    options = {key: value for key, value in method.items() if key != "learning_rate"}
    name = f"{config.name}-{_label(method)}"
    made = parse_config(to_yaml(config), [f"method={json.dumps(options)}", f"name={json.dumps(name)}"])
    rate = method.get("learning_rate")
    if rate is None and options["name"] != config.method.name:
        rate = middle_rate(registry.load("method", options["name"])(made.method), parameters)
    return made if rate is None else parse_config(to_yaml(made), [f"training.learning_rate={json.dumps(rate)}"])


def _label(method: Mapping[str, Any]) -> str:
    """What a variant is called: its method, and its options as they were given."""
    words = [method["name"], *(f"{key}-{value}" for key, value in method.items() if key != "name")]
    return re.sub(r"[^\w.]+", "-", "-".join(map(str, words))).strip("-").lower()


def earlier(config: RunConfig) -> Run | None:
    """The newest run of exactly this configuration, on the base and the rows as they are now; whatever became of it."""
    folder = Path(config.output) / config.name
    runs = [Run(file.parent.resolve()) for file in sorted(folder.glob("*/run.json"), reverse=True)]
    same = [run for run in runs if run.config == config]
    if not same:
        return None
    origins = Materials.gather(config).origins
    return next((run for run in same if not origins.changed(run)), None)


def train_apart(config: RunConfig, *, quiet: bool) -> Run:
    """Trains in a process of its own, so that its peak of memory is that of its method.

    A finished run of the same configuration, base and rows is taken as it is; one that stopped goes on.

    Args:
        config: the run.
        quiet: keeps its progress to itself.

    Raises:
        Interrupted: the user asked to stop; the same call goes on.
        TrainingError: it failed.
    """
    run = earlier(config)
    if run is None:
        file = Path(config.output) / f"{config.name}.yaml"
        write_text(file, to_yaml(config))
        _process(config.name, [str(file)], quiet)
    elif run.record.get("state") != "finished":
        _process(config.name, ["--resume", str(run.path)], quiet)
    return Run.open(Path(config.output) / config.name) if run is None else run


def _process(name: str, arguments: list[str], quiet: bool) -> None:
    """Runs to its end, also when the user interrupts: both get the signal, and the run saves before it stops."""
    errors = subprocess.PIPE if quiet else None
    process = subprocess.Popen([*_COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=errors, text=True)
    try:
        _, told = process.communicate()
    except KeyboardInterrupt:
        process.wait()
        raise
    if process.returncode == Interrupted.exit_code:
        raise Interrupted(f"stopped while training {name}; what was done is saved", hint="the same command goes on")
    if process.returncode:
        reason = re.search(r"^error: (.+)$", told or "", re.MULTILINE)
        raise TrainingError(f"{name} could not be trained" + (f": {reason[1]}" if reason else ""))
