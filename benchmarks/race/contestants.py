"""Who races, with which settings it may be run, and which workloads it cannot run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NOTHING = "nothing"
"""What is switched off in the runs that an ablation compares with."""

ABLATED = ("A", "C", "D")

Settings = dict[str, Any]

START: Settings = {
    "dtype": "float32",
    "attention": "sdpa",
    "micro_batch": 4,
    "padding_free": False,
    "grouped": False,
}
"""Where the search begins: what fits into any memory."""


@dataclass(frozen=True)
class Contestant:
    """A trainer.

    Attributes:
        name: its key in files.
        title: its name on the page.
        worker: file in workers/.
        environment: virtual environment, a file in requirements/; None = Luthier's own.
        settings: what it is run with when nothing was searched.
        choices: values that the search may try, by setting.
        cannot: why it does not run a workload, by the workload's letter.
        converts: whether it first writes the base in a layout of its own.
    """

    name: str
    title: str
    worker: str
    environment: str | None
    settings: Settings = field(default_factory=dict)
    choices: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    cannot: Mapping[str, str] = field(default_factory=dict)
    converts: bool = False

    @property
    def is_peer(self) -> bool:
        return self.environment is not None


DTYPES, ATTENTION, MICRO_BATCHES, BOTH = ("float32", "bfloat16"), ("sdpa", "eager"), (4, 8, 16, 2), (False, True)
OF_TRANSFORMERS = {
    "dtype": DTYPES,
    "attention": ATTENTION,
    "micro_batch": MICRO_BATCHES,
    "padding_free": BOTH,
    "grouped": BOTH,
}
"""What trainers on `transformers` let their users choose."""

NO_CLASSIFIER = "has no sequence classification"

CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        Contestant("fast", "Luthier, fast engine", "luthier_engine.py", None, {"engine": "fast"}),
        Contestant("reference", "Luthier, reference engine", "luthier_engine.py", None, {"engine": "reference"}),
        Contestant(
            "trainer",
            "transformers Trainer with PEFT",
            "standard_trainer.py",
            "huggingface",
            START,
            OF_TRANSFORMERS,
        ),
        Contestant(
            "trl",
            "TRL SFTTrainer",
            "sft_trainer.py",
            "huggingface",
            START,
            OF_TRANSFORMERS,
            {"E": NO_CLASSIFIER},
        ),
        Contestant(
            "llamafactory",
            "LLaMA-Factory",
            "llama_factory.py",
            "llamafactory",
            START,
            OF_TRANSFORMERS,
            {"E": NO_CLASSIFIER},
        ),
        Contestant(
            "litgpt",
            "LitGPT",
            "lit_gpt.py",
            "litgpt",
            START,
            {"dtype": DTYPES, "micro_batch": MICRO_BATCHES},
            {"E": NO_CLASSIFIER, "F": "has no configuration for Gemma 3 270M"},
            converts=True,
        ),
        Contestant(
            "torchtune",
            "torchtune's LoRA builder",
            "torch_tune.py",
            "torchtune",
            START,
            {"dtype": DTYPES, "micro_batch": MICRO_BATCHES, "padding_free": BOTH},
            {"E": "has no builder for BERT", "F": "has no builder for Gemma 3"},
        ),
    )
}
