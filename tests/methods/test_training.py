"""Whole runs of every method on the tiny Llama: which engine computes, resuming, and asking the result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from luthier import pipeline, registry
from luthier.config import load_config
from luthier.errors import Interrupted
from luthier.runs import Run
from luthier.runs.files import read_json
from luthier.training.loop import Trainer
from luthier.training.session import Materials, Session

OWN_INPUTS = "the method adds its own inputs to the model"
ENGINES = {
    "adalora": "",
    "bottleneck": "",
    "full": "",
    "ia3": "",
    "layer_norm": "",
    "llama_adapter": OWN_INPUTS,
    "lora": "",
    "multitask_prompt": "",
    "p_tuning": "with dropout every row draws its own for the virtual tokens",
    "prefix": "",
    "prompt": "",
}
"""Why the fast engine does not run with a method as it is configured here; nothing where it does.

BitFit has nothing to train here.
"""

Start = Callable[[dict[str, Any], str], Trainer]


@pytest.fixture
def start(own_cache: Path, tmp_path: Path, write_config: Any, tiny_llama: Path, labelled_file: Path) -> Start:
    """A trainer of six steps with a method, in a folder which may have been used before."""

    def made(method: dict[str, Any], name: str) -> Trainer:
        parts = {"training": {"max_steps": 6, "checkpoint": {"every": 2}}, "method": method}
        materials = Materials.gather(
            load_config(write_config(tmp_path / "run.yaml", tiny_llama, labelled_file, **parts))
        )
        run = Run(tmp_path / name)
        run.path.mkdir(exist_ok=True)
        return Trainer(Session.start(materials, run, materials.load_base()))

    return made


def test_every_method_is_tried() -> None:
    assert set(registry.names("method")) - set(ENGINES) == {"bitfit"}


@pytest.mark.parametrize("name", ENGINES)
def test_the_engine_and_resuming_bit_for_bit(name: str, start: Start) -> None:
    method = {"name": name} | ({"encoder": "lstm", "dropout": 0.2} if name == "p_tuning" else {})
    whole = start(method, "whole")
    choice = whole.session.choice
    assert choice.engine.name == ("reference" if ENGINES[name] else "fast"), choice.reason
    assert ENGINES[name] in choice.reason
    whole.fit()

    first = start(method, "parts")
    gradient = first.gradient

    def interrupted(step: int) -> Any:
        import signal

        if step == 4:
            signal.raise_signal(signal.SIGINT)
        return gradient(step)

    first.gradient = interrupted  # type: ignore[method-assign]
    with pytest.raises(Interrupted, match="after step 4"):
        first.fit()
    torch.rand(3)
    second = start(method, "parts")
    assert second.resume()
    second.fit()
    states = [trainer.materials.method.state(trainer.network) for trainer in (whole, second)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("name", ["prefix", "prompt", "p_tuning", "multitask_prompt", "llama_adapter", "bottleneck"])
def test_a_run_trains_evaluates_and_answers(
    name: str, own_cache: Path, tmp_path: Path, write_config: Any, tiny_llama: Path, labelled_file: Path
) -> None:
    file = write_config(
        tmp_path / "run.yaml", tiny_llama, labelled_file, method={"name": name}, training={"max_steps": 4}
    )
    run = pipeline.train(file)
    scores = read_json(run.metrics_file)["results"]["test"]["labels"]
    assert scores["rows"] == 12
    assert 0 < scores["tuned"]["loss"]["value"] < 100
    answers = run.predict(["amber rose bridge", "candle fell"])
    assert {answer.parsed for answer in answers} <= {"up", "down", "flat"}
    reopened = pipeline.evaluate(run.path)  # from what was saved, without a soft prompt's encoder
    assert reopened["results"]["test"]["labels"]["tuned"]["loss"] == scores["tuned"]["loss"]
