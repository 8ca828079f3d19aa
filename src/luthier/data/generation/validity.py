"""What is wrong with a proposed task, seen from the task alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from luthier.data.generation.tasks import Task
from luthier.data.similarity import normalised

SHORTEST, LONGEST = 3, 150
"""Words of an instruction; a Chinese character counts as one."""

LONGEST_TEXT = 2000
"""Words of an input or an output."""

_UNIT = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+")
_REFUSAL = re.compile(
    r"\b(?:as an? (?:ai|large language model|language model)|i(?:'m| am) (?:sorry|unable)|i (?:cannot|can't|can not|"
    r"won't) (?:assist|help|provide|answer|fulfil|comply|generate|write|create))\b|"
    r"作为(?:一个|一名)?(?:人工智能|AI|语言模型)|(?:抱歉|对不起)[，,]?(?:我|无法)|我(?:无法|不能)(?:回答|提供|协助|帮助)",
    re.IGNORECASE,
)
_UNSEEN = re.compile(
    r"\b(?:images?|pictures?|photos?|photographs?|screenshots?|flowcharts?|diagrams?|videos?|audio|attachments?|"
    r"attached|(?:graph|chart|plot|map|figure|table) (?:below|above|shown))\b|"
    r"图片|图像|照片|截图|视频|音频|附件|如图|下图|上图",
    re.IGNORECASE,
)


def problem(task: Task) -> str:
    """Why a task is not to be used; empty when nothing speaks against it."""
    return next((reason for reason in _problems(task) if reason), "")


def units(text: str) -> int:
    """Length in words; a Chinese character counts as one."""
    return sum(1 for _ in _UNIT.finditer(text))


def _problems(task: Task) -> Iterator[str]:
    checks: tuple[Callable[[Task], str], ...] = (_empty, _length, _repeats, _refuses, _unseen)
    return (check(task) for check in checks)


def _empty(task: Task) -> str:
    return "empty" if not task.instruction or not task.output else ""


def _length(task: Task) -> str:
    words = units(task.question)
    if words < SHORTEST:
        return f"too short: asked in {words} words"
    if units(task.instruction) > LONGEST:
        return f"too long: an instruction of {units(task.instruction)} words"
    longest = max(units(task.input), units(task.output))
    return f"too long: a text of {longest} words" if longest > LONGEST_TEXT else ""


def _repeats(task: Task) -> str:
    answer = normalised(task.output)
    if answer in (normalised(task.instruction), normalised(task.question)) or task.instruction in task.output:
        return "the answer repeats the instruction"
    return "the answer repeats the input" if task.input and answer == normalised(task.input) else ""


def _refuses(task: Task) -> str:
    return "the answer refuses" if _REFUSAL.search(task.output) else ""


def _unseen(task: Task) -> str:
    return "it asks about what is no text" if _UNSEEN.search(task.question) else ""
