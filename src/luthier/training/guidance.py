"""What people with experience would say about a plan: rank, number of rows, memory. Each remark only where it applies.

Where the numbers come from:

- Ranks. Hu et al., "LoRA" (2021, arXiv:2106.09685), section 7.2: 1 to 8 is enough for classification and short
  answers. Dettmers et al., "QLoRA" (2023, arXiv:2305.14314): 64 for instructions, where the rank hardly mattered once
  all linear layers had an adapter. Biderman et al., "LoRA Learns Less and Forgets Less" (2024, arXiv:2405.09673):
  continued pre-training is still behind full tuning at rank 256. Schulman et al., "LoRA Without Regret" (2025): an
  adapter falls behind when the rows hold more than its parameters can.
- Rows. 10 000 to 100 000 are commonly advised; Zhou et al., "LIMA" (2023, arXiv:2305.11206), did well with 1 000 chosen
  ones.
"""

from __future__ import annotations

import math

from luthier.methods import Method
from luthier.training.session import Materials

RANKS = {"labels": (4, 16), "instructions": (16, 64), "running text": (64, 256)}
"""Usual ranks by what is learned: the harder, the higher."""

ADVISED_ROWS = (10_000, 100_000)
"""Training rows that are commonly advised."""

MANY_EPOCHS = 3

MOST_MEMORY = 0.7
"""Share of the free memory that a run may take: the rest is for longer rows and for other programs."""


def middle_rate(method: Method, parameters: int) -> float:
    """The middle of a method's usual learning rates by its logarithm, with one digit, as people write it."""
    low, high, _ = method.usual_learning_rates(parameters)
    return rounded(math.sqrt(low * high))


def rounded(rate: float) -> float:
    """A learning rate with one digit."""
    return float(f"{rate:.0e}")


def remarks_for(materials: Materials) -> list[str]:
    """Remarks about rank and rows, each a sentence."""
    return [remark for remark in (_rank(materials), _rows(materials)) if remark]


def _rank(materials: Materials) -> str:
    rank = getattr(materials.config.method, "rank", None)
    kind = _kind(materials)
    low, high = RANKS[kind]
    if rank is None or low <= rank <= high:
        return ""
    effect = "more than is needed: it costs memory and learns rows by heart sooner" if rank > high else "little room"
    return f"method.rank is {rank}; usual for {kind} is {low} to {high}, so this is {effect}"


def _kind(materials: Materials) -> str:
    """What the training rows teach."""
    if materials.renderer.labels:
        return "labels"
    answers = materials.prepared.train.labels
    return "instructions" if any(answer is not None for answer in answers) else "running text"


def _rows(materials: Materials) -> str:
    rows, (few, many) = len(materials.prepared.train), ADVISED_ROWS
    if rows >= few:
        return ""
    config = materials.config
    advice = []
    if config.training.epochs < MANY_EPOCHS:
        advice.append(f"more passes (training.epochs is {config.training.epochs:g})")
    if getattr(config.method, "rank", 0) > RANKS[_kind(materials)][0]:
        advice.append(f"a lower rank ({RANKS[_kind(materials)][0]})")
    if config.training.early_stopping is None and len(materials.prepared.validation):
        advice.append("training.early_stopping")
    if materials.task.shots and materials.renderer.labels and not config.evaluation.few_shot:
        advice.append("the few-shot base beside it (evaluation.few_shot)")
    what = f"; with fewer, consider {', '.join(advice)}" if advice else ""
    return f"{rows:,} training rows; {few:,} to {many:,} are commonly advised{what}"


def free_ram_mb() -> float:
    """Main memory that this process may still take or holds already, in MB."""
    import psutil

    return float(psutil.virtual_memory().available + psutil.Process().memory_info().rss) / 1e6


def memory_warning(needed_mb: float, room_mb: float) -> str:
    """A warning where a run takes more of the free memory than it should; else empty.

    Args:
        needed_mb: peak of the process.
        room_mb: what was free before it began, with what it held already.
    """
    if needed_mb <= MOST_MEMORY * room_mb:
        return ""
    return (
        f"the run takes {needed_mb:,.0f} MB, {needed_mb / room_mb:.0%} of the {room_mb:,.0f} MB that are free; above "
        f"{MOST_MEMORY:.0%} it may not fit beside other programs: lower training.micro_batch or data.max_length, or "
        "set training.memory: low"
    )
