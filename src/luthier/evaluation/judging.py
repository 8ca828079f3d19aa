"""Which of two models answers better, as a language model sees it. Each pair is shown twice, in both orders.

Judges favour the answer that stands first (Zheng et al. 2023, "Judging LLM-as-a-Judge with MT-Bench and Chatbot
Arena"): an answer wins only when it is chosen in both places, everything else is a tie.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TextIO

import numpy as np

from luthier.endpoint import Messages, Reply
from luthier.errors import ConfigError
from luthier.evaluation.statistics import bootstrap_totals, interval
from luthier.progress import Report
from luthier.runs import Run
from luthier.runs.files import read_json

QUESTION = "Which of the two answers is the more natural one, and answers the request better?"
"""What a judge is asked, unless the user asks something else."""

_INSTRUCTION = (
    "You compare two answers to the same request. Length and the order in which they are shown do not matter. "
    "Reply with one word: A, B, or tie."
)
_VERDICT = re.compile(
    r"\b(?P<tie>(?i:tied?))\b"
    r"|(?<!and )(?<!or )\b(?P<letter>(?<=[a-z,] )A|A(?! (?!(?:is|was|wins|because)\b)[a-z])|B)\b(?! (?:and|or|nor)\b)"
)
"""A tie, or one letter by itself; an A that begins a sentence is an article where a noun may follow."""

_TOKENS = 16

Choice = Literal["first", "second", "tie"]


class Judge(Protocol):
    """A model that answers a conversation, such as `luthier.endpoint.Endpoint`."""

    @property
    def model(self) -> str:
        """Its name."""
        ...

    def ask(self, messages: Messages, **settings: Any) -> Reply:
        """Its answer."""
        ...


@dataclass(frozen=True)
class Pair:
    """Two answers to the same request."""

    row_id: int
    request: str
    one: str
    other: str


def pairs(run: Run, other: Run | None, limit: int | None) -> list[Pair]:
    """The tuned model's written answers of two runs to the same requests; without another run, beside its base's.

    Raises:
        ConfigError: a run has no written answers, or the two were not asked about the same rows.
    """
    one = _written(run, "tuned")
    two = _written(other, "tuned") if other else _written(run, "base")
    shared = [key for key in one if key in two]
    if not shared:
        raise ConfigError(
            "the two were not asked about the same rows",
            where=f"{run.path} and {other.path if other else 'its base'}",
            hint="train both on the same data with the same split",
        )
    return [Pair(row_id, request, one[row_id, request], two[row_id, request]) for row_id, request in shared[:limit]]


def _written(run: Run, model: str) -> dict[tuple[int, str], str]:
    """{(row, request): answer} of one model, as predictions.jsonl has them."""
    if not run.predictions_file.exists():
        raise ConfigError(f"the run in '{run.path}' was not evaluated yet", hint=f"luthier evaluate {run.path}")
    split = read_json(run.metrics_file)["primary"]["split"]
    with run.predictions_file.open(encoding="utf-8") as file:
        lines = [json.loads(text) for text in file]
    wanted = (model, split, "generate")
    answers = {
        (line["row_id"], line["prompt"]): line["raw"]
        for line in lines
        if (line["model"], line["split"], line["mode"]) == wanted
    }
    if not answers:
        raise ConfigError(
            f"the {model} model of '{run.path}' has written no answers",
            hint="evaluation.modes has to have generate among them; then luthier evaluate",
        )
    return answers


def judge_pairs(
    judge: Judge, found: Sequence[Pair], log: Path, *, question: str = QUESTION, progress: Report | None = None
) -> dict[str, Any]:
    """Asks about every pair in both orders, and counts.

    Args:
        judge: who is asked.
        found: the pairs.
        log: a file of verdicts, one JSON object a line. What stands there is not asked again, so that a judgement that
            was interrupted goes on; the same answers, question and judge are the same request.
        question: what is asked about the two answers.
        progress: told (phase, done, total).

    Returns:
        See `summary`.
    """
    known = dict(_known(log))
    log.parent.mkdir(parents=True, exist_ok=True)
    verdicts = []
    with log.open("a", encoding="utf-8") as file:
        _end_line(log, file)
        for done, pair in enumerate(found):
            both = []
            for first, second in ((pair.one, pair.other), (pair.other, pair.one)):
                messages = _messages(question, pair.request, first, second)
                key = hashlib.sha256(json.dumps([judge.model, messages]).encode()).hexdigest()
                if key not in known:
                    known[key] = reply = judge.ask(messages, max_tokens=_TOKENS, temperature=0.0).text
                    line = {"key": key, "row_id": pair.row_id, "judge": judge.model, "reply": reply}
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
                    file.flush()
                both.append(read_verdict(known[key]))
            verdicts.append((both[0], both[1]))
            if progress:
                progress("judging", done + 1, len(found))
    return summary(verdicts)


def _known(log: Path) -> Iterator[tuple[str, str]]:
    """(key, reply) of an earlier judgement; a line cut off by a crash is left out."""
    if not log.exists():
        return
    with log.open(encoding="utf-8") as file:
        for text in file:
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                continue
            yield line["key"], line["reply"]


def _end_line(log: Path, file: TextIO) -> None:
    """Ends a last line that a crash cut off, so that the next one stands by itself."""
    if log.stat().st_size and not log.read_bytes().endswith(b"\n"):
        file.write("\n")


def _messages(question: str, request: str, first: str, second: str) -> list[dict[str, str]]:
    shown = f"Request:\n{request}\n\nAnswer A:\n{first}\n\nAnswer B:\n{second}\n\n{question} Reply with A, B, or tie."
    return [{"role": "system", "content": _INSTRUCTION}, {"role": "user", "content": shown}]


def read_verdict(reply: str) -> Choice | None:
    """The first verdict that a reply names; None when it names none."""
    found = _VERDICT.search(reply)
    if not found:
        return None
    verdicts: dict[str | None, Choice] = {"A": "first", "B": "second", None: "tie"}
    return verdicts[found["letter"]]


def summary(verdicts: Sequence[tuple[Choice | None, Choice | None]]) -> dict[str, Any]:
    """Counts of pairs, from the verdicts on (one, other) and on (other, one).

    Returns:
        rows; wins, losses and ties of the first model; of the ties, `inconsistent` (the two orders disagree) and
        `unreadable` (a reply named no verdict); score, the share of wins with ties counting a half, with its 95 %
        interval; first_place, how often the answer shown first was chosen where one was.
    """
    outcomes = [_outcome(straight, swapped) for straight, swapped in verdicts]
    points = np.array([{"win": 1.0, "loss": 0.0}.get(outcome, 0.5) for outcome in outcomes])
    totals = bootstrap_totals({"points": points[:, None]}, seed=0)["points"][:, 0]
    chosen = [choice for both in verdicts for choice in both if choice in ("first", "second")]
    return {
        "rows": len(outcomes),
        "wins": outcomes.count("win"),
        "losses": outcomes.count("loss"),
        "ties": len(outcomes) - outcomes.count("win") - outcomes.count("loss"),
        "inconsistent": outcomes.count("inconsistent"),
        "unreadable": outcomes.count("unreadable"),
        "score": interval(float(points.mean()), totals / len(points)),
        "first_place": chosen.count("first") / len(chosen) if chosen else None,
    }


def _outcome(straight: Choice | None, swapped: Choice | None) -> str:
    if straight is None or swapped is None:
        return "unreadable"
    turned = {"first": "second", "second": "first", "tie": "tie"}[swapped]
    if straight != turned:
        return "inconsistent"
    return {"first": "win", "second": "loss", "tie": "tie"}[straight]
