"""Settings that both tools take from the Trainer of `transformers`: schedule, optimiser, how often, number type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from luthier import registry
from luthier.errors import ConfigError
from luthier.importing._translation import Translation

SCHEDULE, WARMUP = "training.schedule.name", "training.schedule.warmup"

SCHEDULES = {
    **dict.fromkeys(("cosine", "cosine_with_restarts", "cosine_with_min_lr", "cosine_warmup_with_min_lr"), "cosine"),
    "inverse_sqrt": "inverse_sqrt",
    "linear": "linear",
    "polynomial": "polynomial",
    **dict.fromkeys(("constant", "constant_with_warmup"), "constant"),
    "warmup_stable_decay": "wsd",
    "reduce_lr_on_plateau": "plateau",
}
"""Their schedules that Luthier has."""

WITHOUT_WARMUP = ("constant", "reduce_lr_on_plateau")

SCHEDULE_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "polynomial": {"power": 1.0},
    "warmup_stable_decay": {"shape": "cosine"},
    "reduce_lr_on_plateau": {"metric": "loss", "factor": 0.1, "patience": 11},
}
"""Options of Luthier's schedule that do what theirs does by itself."""

SCHEDULE_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "cosine_with_restarts": {"num_cycles": "cycles"},
    "cosine_with_min_lr": {"min_lr_rate": "minimum"},
    "cosine_warmup_with_min_lr": {"min_lr_rate": "minimum"},
    "polynomial": {"power": "power"},
    "warmup_stable_decay": {"num_decay_steps": "decay", "decay_type": "shape", "min_lr_ratio": "minimum"},
    "reduce_lr_on_plateau": {"factor": "factor"},
}
"""Keys of `lr_scheduler_kwargs` with another name here and the same meaning."""

LOWEST_RATES = ("min_lr", "lr_end")
"""Others of them, which are rates where Luthier's `minimum` is a share of the peak."""

_FEWER_BITS = "the same steps, with the optimiser's state in float32 instead of fewer bits"
_PAGED = "the same steps; the optimiser's state stays in the device's memory"

OPTIMISERS = {
    **dict.fromkeys(("adamw", "adamw_hf", "adamw_torch", "adamw_torch_fused", "optimi_adamw"), ("adamw", "")),
    **dict.fromkeys(("adamw_torch_xla", "adamw_torch_npu_fused", "adamw_apex_fused"), ("adamw", "")),
    **dict.fromkeys(
        ("adamw_torch_8bit", "adamw_torch_4bit", "ao_adamw_8bit", "ao_adamw_4bit", "ao_adamw_fp8", "flash_adamw"),
        ("adamw", _FEWER_BITS),
    ),
    "paged_adamw_32bit": ("adamw", _PAGED),
    **dict.fromkeys(("adamw_bnb_8bit", "adamw_8bit"), ("adamw_8bit", "")),
    "paged_adamw_8bit": ("adamw_8bit", _PAGED),
    "adafactor": ("adafactor", ""),
    "lion_32bit": ("lion", ""),
    "paged_lion_32bit": ("lion", _PAGED),
    **dict.fromkeys(("lion_8bit", "paged_lion_8bit"), ("lion", _FEWER_BITS)),
    "muon": ("muon", ""),
    "sgd": ("sgd", ""),
}
"""Their optimisers that Luthier has, and what is different."""


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


def schedule(translation: Translation, key: str, default: str, *, warmup: float = 0.0, note: str = "") -> None:
    """Schedule with warm-up and its other options; `training.learning_rate` is known already.

    Args:
        translation: both sides.
        key: the tool's key of the schedule.
        default: its schedule where the file names none.
        warmup: the same of the warm-up, as a share of all steps.
        note: what to know about that one.
    """
    wanted = str(translation.get(key, default))
    _warmup(translation, wanted, warmup, note)
    told = _schedule_options(translation, wanted)
    if wanted not in SCHEDULES:
        translation.differs(key, SCHEDULE, "cosine", f"there is no '{wanted}'; cosine is nearest")
    elif told:
        translation.differs(key, SCHEDULE, SCHEDULES[wanted], told)
    else:
        translation.same(key, SCHEDULE, SCHEDULES[wanted])


def _warmup(translation: Translation, wanted: str, default: float, note: str) -> None:
    steps = translation.number("warmup_steps", 0)
    if wanted in WITHOUT_WARMUP:
        translation.put(WARMUP, 0)
        translation.explain("nothing", dict.fromkeys(("warmup_steps", "warmup_ratio"), "their schedule has no warm-up"))
    elif steps or (translation.has("warmup_steps") and not translation.has("warmup_ratio")):
        told = "a share of all steps" if 0 < steps < 1 else ""
        translation.same("warmup_steps", WARMUP, steps if told else int(steps), told)
        translation.explain("nothing", {"warmup_ratio": "warmup_steps comes first"})
    elif note and not translation.has("warmup_ratio"):
        translation.differs("warmup_ratio", WARMUP, default, note)
    else:
        translation.same("warmup_ratio", WARMUP, translation.number("warmup_ratio", default))
        translation.explain("nothing", {"warmup_steps": "warmup_ratio says it"})


def _schedule_options(translation: Translation, wanted: str) -> str:
    """The schedule's other options; what to know about it."""
    options = dict(SCHEDULE_DEFAULTS.get(wanted, {}))
    given = translation.get("lr_scheduler_kwargs", {})
    if isinstance(given, Mapping):
        options |= _taken(translation, wanted, given)
    translation.explain("none", {"lr_scheduler_kwargs": "set training.schedule"})
    note = ""
    if wanted == "warmup_stable_decay" and "decay" not in options:
        warmup = translation.values["training"]["schedule"]["warmup"]
        options["decay"] = round(2 / 3 * (1 - (warmup if isinstance(warmup, float) else 0)), 4)
        note = "" if isinstance(warmup, float) else "theirs falls over two thirds of the steps after the warm-up"
    if wanted == "reduce_lr_on_plateau":
        note = "whatever is better counts here; theirs has to be better by a ten-thousandth"
    for option, value in options.items():
        translation.put(f"training.schedule.{option}", value)
    return note


def _taken(translation: Translation, wanted: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What `lr_scheduler_kwargs` says, in Luthier's options."""
    known, numbers = SCHEDULE_OPTIONS.get(wanted, {}), Translation(given, translation.source)
    options = {known[key]: value for key, value in given.items() if key in known}
    rates = [key for key in LOWEST_RATES if key in given and wanted in SCHEDULE_OPTIONS]
    for key in rates:
        options["minimum"] = numbers.number(key, 0) / translation.values["training"]["learning_rate"]
    if waits := wanted == "reduce_lr_on_plateau" and "patience" in given:
        options["patience"] = numbers.whole("patience", 10) + 1  # theirs lowers the rate one evaluation later
    if options:
        left = [key for key in given if key not in (*known, *rates, *["patience"] * waits)]
        ours = f"training.schedule: {', '.join(f'{option}: {value}' for option, value in options.items())}"
        note = f"no equivalent: {', '.join(left)}" if left else ""
        translation.say("lr_scheduler_kwargs", "differs" if left else "same", ours, note)
    return options


def optimiser(translation: Translation, key: str, wanted: str, *, betas: tuple[float, float] = (0.9, 0.999)) -> None:
    """The optimiser; those that Luthier does not have become AdamW, and that is said.

    Args:
        translation: both sides.
        key: the tool's key of it.
        wanted: its name there.
        betas: how slowly the tool's means move where the file does not say.
    """
    ours, note = OPTIMISERS.get(wanted, ("adamw", f"there is no '{wanted}': its rate may not fit AdamW"))
    if note:
        translation.differs(key, "training.optimizer.name", ours, note)
    else:
        translation.same(key, "training.optimizer.name", ours)
    known = registry.load("optimizer", ours).Options.model_fields
    usual = {"adam_beta1": ("beta1", betas[0]), "adam_beta2": ("beta2", betas[1]), "adam_epsilon": ("epsilon", 1e-8)}
    for theirs, (option, value) in usual.items():
        if option not in known:
            translation.explain("nothing", {theirs: f"{ours} has none"})
        elif translation.has(theirs) or known[option].default != value:
            translation.same(theirs, f"training.optimizer.{option}", translation.number(theirs, value))
    if ours == "sgd":
        translation.put("training.optimizer.momentum", 0.0)
    translation.explain("none", {"optim_args": "set training.optimizer"})
    translation.same("weight_decay", "training.optimizer.weight_decay", translation.number("weight_decay", 0.0))
    translation.put("training.max_grad_norm", 1.0)
    if translation.has("max_grad_norm"):
        limit = translation.number("max_grad_norm", 1.0)
        translation.same("max_grad_norm", "training.max_grad_norm", limit or None)


def batch(translation: Translation, per_device: str, default: int) -> None:
    """Rows of an optimiser step: those of a device, times how many steps are accumulated."""
    rows, times = translation.whole(per_device, default), translation.whole("gradient_accumulation_steps", 1)
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
        translation.same(strategy, path, _once_in(epochs))
    elif translation.has(strategy):
        translation.say(strategy, "same", note="as the steps say")
    if translation.has(steps):
        amount = translation.number(steps, 0)
        if wanted == "steps":
            translation.same(steps, path, int(amount) if amount >= 1 else amount)
        else:
            translation.say(steps, "nothing", note=f"{strategy} is {wanted}")


def _once_in(times: float) -> float | None:
    """The share of all steps between two of so many times; None for never."""
    return min(1.0, round(1 / times, 4)) if times else None


def per_epoch(translation: Translation, key: str, path: str, epochs: float) -> None:
    """How often an epoch, as a share of all steps."""
    times = translation.number(key, 0)
    translation.same(key, path, _once_in(times * epochs), f"{times:g} times an epoch")


def kept(translation: Translation) -> None:
    """How many checkpoints are kept."""
    if translation.has("save_total_limit"):
        translation.same(
            "save_total_limit", "training.checkpoint.keep", max(1, translation.whole("save_total_limit", 0))
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
