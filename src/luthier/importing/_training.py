"""Settings that both tools take from the Trainer of `transformers`: schedule, optimiser, how often, number type."""

from __future__ import annotations

import re
from typing import Any

from luthier.errors import ConfigError
from luthier.importing._translation import Translation

SCHEDULES = {
    "cosine": "cosine",
    "cosine_with_restarts": "cosine",
    "inverse_sqrt": "inverse_sqrt",
    "linear": "linear",
    "polynomial": "polynomial",
    "constant": "constant",
    "constant_with_warmup": "constant",
}
"""Their schedules that Luthier has."""

OPTIMISERS = {
    **dict.fromkeys(("adamw_torch", "adamw_torch_fused", "adamw_hf", "adamw"), "adamw"),
    **dict.fromkeys(("adamw_bnb_8bit", "adamw_8bit"), "adamw_8bit"),
    "adafactor": "adafactor",
}
"""Their optimisers that Luthier has."""


FOLDERS = {"saves", "outputs", "output", "out", "runs", "checkpoints", "models"}
"""First parts of an output folder that name nothing."""


def name(translation: Translation) -> None:
    """The run's name, from the folder that the tool writes to."""
    parts = [
        part for part in str(translation.get("output_dir", "")).replace("\\", "/").split("/") if part not in (".", "")
    ]
    kept = parts[1:] if len(parts) > 1 and parts[0] in FOLDERS else parts
    if made := re.sub(r"[^\w.-]+", "-", "-".join(kept)).strip("-."):
        note = "a folder inside `output`, with one of its own for every run"
        translation.same("output_dir", "name", made, note)


def schedule(translation: Translation, key: str, default: str) -> None:
    """Schedule with warm-up, by the tool's key."""
    wanted = str(translation.get(key, default))
    ours = SCHEDULES.get(wanted, "cosine")
    if wanted in SCHEDULES:
        translation.same(key, "training.schedule.name", ours)
    else:
        translation.differs(key, "training.schedule.name", ours, f"there is no '{wanted}'; cosine is nearest")
    if wanted == "polynomial":
        translation.put("training.schedule.power", 1.0)
    steps, share = translation.get("warmup_steps"), translation.get("warmup_ratio")
    if wanted == "constant":
        translation.put("training.schedule.warmup", 0)
        for each in ("warmup_steps", "warmup_ratio"):
            if translation.has(each):
                translation.say(each, "nothing", note="their constant schedule has no warm-up")
    elif steps:
        if float(steps) < 1:
            translation.same("warmup_steps", "training.schedule.warmup", float(steps), "a share of all steps")
        else:
            translation.same("warmup_steps", "training.schedule.warmup", int(steps))
        if translation.has("warmup_ratio"):
            translation.say("warmup_ratio", "nothing", note="warmup_steps comes first")
    else:
        translation.same("warmup_ratio", "training.schedule.warmup", float(share or 0))
        if "warmup_steps" in translation.given:
            translation.say("warmup_steps", "nothing")


def optimiser(translation: Translation, key: str, default: str) -> None:
    """The optimiser; those that Luthier does not have become AdamW, and that is said."""
    wanted = str(translation.get(key, default))
    ours = OPTIMISERS.get(wanted, "adamw")
    if wanted in OPTIMISERS:
        translation.same(key, "training.optimizer.name", ours)
    elif "adamw" in wanted:
        note = "the same steps, with the optimiser's state in float32 instead of 8 bits or paged memory"
        translation.differs(key, "training.optimizer.name", "adamw", note)
    else:
        translation.differs(
            key, "training.optimizer.name", "adamw", f"there is no '{wanted}': its rate may not fit AdamW"
        )
    for theirs, option in {"adam_beta1": "beta1", "adam_beta2": "beta2", "adam_epsilon": "epsilon"}.items():
        if translation.has(theirs) and ours == "adafactor":
            translation.say(theirs, "nothing", note="Adafactor has none")
        elif translation.has(theirs):
            translation.same(theirs, f"training.optimizer.{option}", translation.number(theirs, 0))
    translation.same("weight_decay", "training.optimizer.weight_decay", translation.number("weight_decay", 0.0))
    translation.put("training.max_grad_norm", 1.0)
    if translation.has("max_grad_norm"):
        limit = translation.number("max_grad_norm", 1.0)
        translation.same("max_grad_norm", "training.max_grad_norm", limit or None)


def batch(translation: Translation, per_device: str, default: int) -> None:
    """Rows of an optimiser step: those of a device, times how many steps are accumulated."""
    rows, times = int(translation.get(per_device, default)), int(translation.get("gradient_accumulation_steps", 1))
    note = f"{rows} rows x {times} accumulated, on one device: multiply by their number of devices"
    translation.same(per_device, "training.batch_size", rows * times, note)
    ours = f"training.batch_size: {rows * times}"
    translation.say("gradient_accumulation_steps", "same", ours, "how a step is cut changes nothing here")


def number_type(translation: Translation, keys: dict[str, str]) -> None:
    """The number type: {their key: type}; the first that is switched on counts."""
    chosen = next((key for key in keys if translation.get(key) not in (None, False)), None)
    for key in keys:
        if key not in translation.given:
            continue
        if key != chosen:
            translation.say(key, "nothing")
        elif translation.given[key] == "auto":
            translation.same(key, "model.dtype", "auto")
        else:
            note = "frozen weights and computation; trained weights stay float32"
            translation.same(key, "model.dtype", keys[key], note)


def quantise(translation: Translation, key: str, bits: int) -> None:
    """A base in 4 or 8 bits."""
    kinds = {4: "nf4", 8: "int8"}
    if bits in kinds:
        translation.same(key, "model.quantise", kinds[bits])
    else:
        translation.say(key, "none", note=f"there is no base in {bits} bits; nf4 and int8 there are (model.quantise)")


def every(translation: Translation, path: str, what: str, epochs: float) -> None:
    """How often something is done: `eval_strategy` and `eval_steps`, or the same of `save`.

    Args:
        translation: both sides.
        path: Luthier's key.
        what: eval or save.
        epochs: of the whole run.
    """
    strategy, steps = f"{what}_strategy", f"{what}_steps"
    wanted = str(translation.get(strategy, "steps" if translation.has(steps) else "default"))
    if wanted == "no":
        translation.same(strategy, path, None)
    elif wanted == "epoch":
        translation.same(strategy, path, _share(1 / epochs))
    elif translation.has(strategy):
        translation.say(strategy, "same", note="as the steps say")
    if translation.has(steps):
        amount = translation.number(steps, 0)
        if wanted == "steps":
            translation.same(steps, path, int(amount) if amount >= 1 else amount)
        else:
            translation.say(steps, "nothing", note=f"{strategy} is {wanted}")


def _share(value: float) -> float:
    return min(1.0, round(value, 4))


def per_epoch(translation: Translation, key: str, path: str, epochs: float) -> None:
    """How often an epoch, as a share of all steps."""
    times = translation.number(key, 0)
    translation.same(key, path, _share(1 / (times * epochs)) if times else None, f"{times:g} times an epoch")


def kept(translation: Translation) -> None:
    """How many checkpoints are kept."""
    if translation.has("save_total_limit"):
        translation.same(
            "save_total_limit", "training.checkpoint.keep", max(1, int(translation.get("save_total_limit")))
        )


def held_out(translation: Translation, key: str, given: bool) -> None:
    """Rows that are held out. Luthier scores every run, so there are always some.

    Args:
        translation: both sides.
        key: the tool's key of the validation's size: a share, or a number of rows.
        given: whether the tool names validation rows of their own.
    """
    size = translation.number(key, 0)
    translation.put("data.split", {"by": "random", "test": 0.0, "validation": 0.0})
    if size >= 1:
        note = f"a share here, not {size:g} rows: set it to {size:g} by the number of your rows"
        translation.differs(key, "data.split.validation", 0.1, note)
    elif size > 0:
        translation.same(key, "data.split.validation", size)
    elif given:
        translation.say(key, "nothing", note="there are validation rows of their own")
    else:
        note = "a tenth of the rows is held out to score the result beside its base; the tool trains on all of them"
        translation.differs(key, "data.split.test", 0.1, note)


def unsupported(what: str, where: str, file: Any, expected: str) -> ConfigError:
    """The error about a job that Luthier does not do."""
    return ConfigError(f"Luthier does not do {what}", where=f"{where} in {file}", expected=expected)
