"""Live progress, with and without a terminal."""

import io

import pytest
from rich.console import Console

from luthier.cli.progress import TrainingDisplay, format_seconds, progress_bar


def plain_console():
    return Console(file=io.StringIO(), width=160, markup=False, highlight=False)


def terminal():
    return Console(file=io.StringIO(), width=160, markup=False, force_terminal=True)


def step(number, **fields):
    return {
        "kind": "step",
        "step": number,
        "loss": 1.25,
        "learning_rate": 5e-4,
        "tokens_per_second": 828.4,
        "seconds": number * 2.0,
    } | fields


RUNNING = {"kind": "state", "step": 0, "state": "running", "steps": 100}


def samples(number, answer):
    rows = [{"prompt": "Profit [rose]", "expected": "positive", "answer": answer, "valid": True}]
    return {"kind": "samples", "step": number, "rows": rows}


def test_plain_lines_thin_out_the_steps():
    console = plain_console()
    with TrainingDisplay(console=console) as display:
        display(RUNNING)
        for number in range(1, 101):
            display(step(number))
    lines = [line for line in console.file.getvalue().splitlines() if line.startswith("step ")]
    assert len(lines) == 21
    assert lines[0] == "step 1/100  loss 1.2500  lr 5.00e-04  828 tokens/s  3 min 18 s left"
    assert lines[-1].startswith("step 100/100")


def test_answers_are_seen_to_change():
    console = plain_console()
    with TrainingDisplay(console=console) as display:
        display(samples(0, "neutral"))
        display(samples(10, "positive"))
    first, second = console.file.getvalue().split("answers at step 10")
    assert "✗" in first
    assert "Profit [rose]" in first
    assert "✓" in second
    assert "neutral → positive" in second


def test_scores_checkpoints_and_warnings_are_said():
    console = plain_console()
    with TrainingDisplay(console=console) as display:
        display({"kind": "evaluation", "step": 5, "split": "validation", "metrics": {"f1_macro": 0.7123, "mcc": None}})
        display({"kind": "checkpoint", "step": 5, "path": "checkpoints/step-000005", "best": True})
        display({"kind": "warning", "step": 5, "message": "the learning rate is high"})
        display({"kind": "something else", "step": 5})
    assert console.file.getvalue().splitlines() == [
        "step 5  validation: f1_macro 0.712",
        "step 5  saved checkpoints/step-000005 (the best so far)",
        "warning: the learning rate is high",
    ]


def test_a_terminal_shows_a_bar_with_numbers_and_scores():
    console = terminal()
    with TrainingDisplay(console=console) as display:
        display(RUNNING)
        display({"kind": "evaluation", "step": 50, "split": "validation", "metrics": {"f1_macro": 0.71}})
        display(step(50))
    shown = console.file.getvalue()
    assert "50/100" in shown
    assert "loss 1.2500" in shown
    assert "f1_macro 0.710" in shown.rpartition("loss 1.2500")[2]


def test_a_resumed_run_begins_where_it_stopped():
    console = terminal()
    with TrainingDisplay(console=console) as display:
        display(RUNNING | {"step": 40})
    assert "40/100" in console.file.getvalue()


@pytest.mark.parametrize("make", [plain_console, terminal])
def test_disabled_shows_nothing(make):
    console = make()
    with TrainingDisplay(enabled=False, console=console) as display:
        display(RUNNING)
        display(step(1))
    with progress_bar(enabled=False, console=console) as report:
        report("tokenising", 1, 2)
    assert console.file.getvalue() == ""


def test_preparation_without_a_terminal_is_a_line_for_each_phase():
    console = plain_console()
    with progress_bar(console=console) as report:
        report("reading", 10, None)
        report("reading", 25, None)
        report("tokenising", 25, 25)
    assert console.file.getvalue().splitlines() == ["reading: 25", "tokenising: 25"]


def test_preparation_on_a_terminal_is_a_bar_for_each_phase():
    console = terminal()
    with progress_bar(console=console) as report:
        report("reading", 10, None)
        report("tokenising", 25, 50)
    assert "tokenising" in console.file.getvalue()
    assert "25/50" in console.file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_format_seconds(seconds, text):
    assert format_seconds(seconds) == text
