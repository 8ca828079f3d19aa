"""Live progress on stderr: a bar and tables on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from luthier.cli.output import console as make_console
from luthier.cli.output import table
from luthier.progress import Report, silent

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

PLAIN_LINES = 20
"""How often a step is printed during a whole run when there is no bar to move."""


@contextmanager
def progress_bar(*, enabled: bool = True, console: Console | None = None) -> Iterator[Report]:
    """Shows how far preparation is: `with progress_bar() as report: report("tokenising", 100, 1000)`.

    Each phase is one bar; without a terminal it is one line when it ends. `enabled=False` shows nothing (`--json`).
    """
    target = console or make_console(stderr=True)
    if not enabled:
        yield silent
    elif target.is_terminal:
        with _bars(target) as bars:
            yield bars
    else:
        with _phase_lines(target) as lines:
            yield lines


@contextmanager
def _bars(console: Console) -> Iterator[Report]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        phases: dict[str, Any] = {}

        def report(phase: str, done: int, total: int | None) -> None:
            if phase not in phases:
                phases[phase] = bars.add_task(phase, total=total)
            bars.update(phases[phase], completed=done, total=total)

        yield report


@contextmanager
def _phase_lines(console: Console) -> Iterator[Report]:
    last: tuple[str, int] | None = None

    def report(phase: str, done: int, total: int | None) -> None:
        nonlocal last
        if last and last[0] != phase:
            console.print(f"{last[0]}: {last[1]}")
        last = (phase, done)

    yield report
    if last:
        console.print(f"{last[0]}: {last[1]}")


class TrainingDisplay:
    """Shows a run's events as they happen; give it to the event log as a listener.

    A bar with loss, learning rate, tokens per second, time left and the last scores; under every `samples` event a
    table of prompts with the model's previous and new answers, so that one sees them change.

    Args:
        enabled: False shows nothing (`--json`).
        console: where to print; stderr when not given.
    """

    def __init__(self, *, enabled: bool = True, console: Console | None = None) -> None:
        self._console = console or make_console(stderr=True)
        self._enabled = enabled
        self._total: int | None = None
        self._scores = ""
        self._answers: dict[str, str] = {}
        self._bar: Progress | None = None
        self._printed_share = -1

    def __enter__(self) -> TrainingDisplay:
        if self._enabled and self._console.is_terminal:
            self._bar = _training_bar(self._console)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Shows one event; kinds that it does not know are left out."""
        show = getattr(self, f"_on_{event['kind']}", None)
        if self._enabled and show:
            show(event)

    def _on_state(self, event: Mapping[str, Any]) -> None:
        self._total = event.get("steps", self._total)
        if self._bar:
            self._bar.update(self._bar.task_ids[0], total=self._total, completed=event["step"])
        message = event.get("message")
        self._console.print(f"{event['state']}: {message}" if message else event["state"], style="dim")

    def _on_step(self, event: Mapping[str, Any]) -> None:
        numbers = (
            f"loss {event['loss']:.4f}  lr {event['learning_rate']:.2e}  {event['tokens_per_second']:,.0f} tokens/s"
        )
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=event["step"], numbers=numbers, scores=self._scores)
        elif self._is_due(event["step"]):
            self._console.print(f"step {event['step']}/{self._total or '?'}  {numbers}{self._time_left(event)}")

    def _is_due(self, step: int) -> bool:
        share = step * PLAIN_LINES // self._total if self._total else step // 10
        due = share > self._printed_share
        self._printed_share = max(share, self._printed_share)
        return due

    def _time_left(self, event: Mapping[str, Any]) -> str:
        if not self._total or not event.get("seconds"):
            return ""
        return f"  {format_seconds(event['seconds'] / event['step'] * (self._total - event['step']))} left"

    def _on_evaluation(self, event: Mapping[str, Any]) -> None:
        self._scores = "  ".join(f"{name} {value:.3f}" for name, value in event["metrics"].items() if value is not None)
        self._console.print(f"step {event['step']}  {event['split']}: {self._scores}", style="bold")

    def _on_samples(self, event: Mapping[str, Any]) -> None:
        self._console.print(self._samples_table(event))

    def _samples_table(self, event: Mapping[str, Any]) -> Table:
        from rich.text import Text

        rows = table("", "prompt", "expected", "answer", title=f"answers at step {event['step']}")
        for row in event["rows"]:
            right = row["answer"].strip() == (row["expected"] or "").strip()
            mark = Text("✓", style="green") if right else Text("✗", style="red")
            before = self._answers.get(row["prompt"])
            answer = Text(_short(row["answer"], 40), style="green" if right else "red")
            if before is not None and before != row["answer"]:
                answer = Text.assemble((f"{_short(before, 40)} → ", "dim"), answer)
            rows.add_row(mark, Text(_short(row["prompt"], 90)), Text(_short(row["expected"] or "", 40)), answer)
            self._answers[row["prompt"]] = row["answer"]
        return rows

    def _on_checkpoint(self, event: Mapping[str, Any]) -> None:
        best = " (the best so far)" if event.get("best") else ""
        self._console.print(f"step {event['step']}  saved {event['path']}{best}", style="dim", soft_wrap=True)

    def _on_warning(self, event: Mapping[str, Any]) -> None:
        self._console.print(f"warning: {event['message']}", style="yellow", soft_wrap=True)


def _training_bar(console: Console) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        MofNCompleteColumn(),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[numbers]}", markup=False),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[scores]}", markup=False, style="dim"),
        console=console,
    )
    bar.add_task("training", total=None, numbers="", scores="")
    return bar


def format_seconds(seconds: float) -> str:
    """A length of time for people: 45 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _short(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"
