"""How errors become messages and exit codes, and how quickly `--help` answers."""

import errno
import json
import resource
import subprocess
import sys
from types import ModuleType

import pytest

from luthier.cli import frame
from luthier.cli.output import Json, emit
from luthier.errors import (
    ArtefactRefused,
    ConfigError,
    DataError,
    Interrupted,
    LuthierError,
    ModelError,
    TrainingError,
)


@pytest.fixture
def boom(monkeypatch):
    """Registers a command `boom` that raises what it is given."""

    def register(error):
        module = ModuleType("luthier.cli.boom")

        def command(as_json: Json = False) -> None:
            """Go wrong."""
            if error is not None:
                raise error
            emit({"fine": True}, lambda console: console.print("fine"), as_json=as_json)

        module.command = command
        monkeypatch.setitem(sys.modules, "luthier.cli.boom", module)
        monkeypatch.setattr(frame, "COMMANDS", ("boom",))

    return register


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LuthierError("x"), 1),
        (ConfigError("x"), 2),
        (DataError("x"), 3),
        (ModelError("x"), 4),
        (TrainingError("x"), 5),
        (ArtefactRefused("x"), 6),
        (Interrupted("x"), 130),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes(boom, error, code):
    boom(error)
    assert frame.run(["boom"]) == code


def test_a_command_that_works(boom, capsys):
    boom(None)
    assert frame.run(["boom"]) == 0
    assert capsys.readouterr().out == "fine\n"
    assert frame.run(["boom", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"fine": True}


def test_an_error_says_found_where_expected_and_try(boom, capsys):
    boom(DataError("no [bold]label[/bold]", where="a.csv:3", expected="a label", hint="add one"))
    frame.run(["boom"])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "error: no [bold]label[/bold]",
        "  where: a.csv:3",
        "  expected: a label",
        "  try: add one",
    ]


def test_an_error_as_json(boom, capsys):
    boom(DataError("没有标签", where="a.csv:3", hint="add one"))
    assert frame.run(["boom", "--json"]) == 3
    assert json.loads(capsys.readouterr().err) == {
        "error": "没有标签",
        "where": "a.csv:3",
        "expected": None,
        "hint": "add one",
        "exit_code": 3,
    }


def test_a_bug_writes_its_traceback_to_a_file(boom, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    boom(ZeroDivisionError("by zero"))
    assert frame.run(["boom"]) == 1
    shown = capsys.readouterr().err
    (file,) = tmp_path.iterdir()
    assert "Traceback" not in shown
    assert str(file) in shown
    assert "Traceback" in file.read_text()
    assert "ZeroDivisionError: by zero" in file.read_text()


def test_debug_shows_the_traceback(boom, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("LUTHIER_DEBUG", "1")
    boom(ZeroDivisionError("by zero"))
    assert frame.run(["boom"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_what_the_machine_refuses_is_not_a_bug(boom, capsys):
    boom(PermissionError(errno.EACCES, "Permission denied", "/locked/x"))
    assert frame.run(["boom"]) == 1
    assert capsys.readouterr().err == "error: Permission denied\n  where: /locked/x\n"


def test_what_the_machine_refuses_a_library_in_rust_is_not_a_bug(boom, capsys):
    boom(Exception(f"Error while serializing: I/O error: No space left on device (os error {errno.ENOSPC})"))
    assert frame.run(["boom"]) == 1
    assert capsys.readouterr().err.startswith("error: Error while serializing: I/O error: No space left on device")


def test_a_bug_where_no_file_can_be_written(boom, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "full"))
    boom(ZeroDivisionError("by zero"))
    assert frame.run(["boom"]) == 1
    shown = capsys.readouterr().err
    assert "a bug in Luthier: ZeroDivisionError: by zero" in shown
    assert "the traceback could not be written: " in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recipies"], "Did you mean 'recipes'?"),
        (["recipes", "--jsn"], "No such option: --jsn"),
        (["report"], "Missing argument 'RUN'"),
    ],
)
def test_wrong_usage_is_2_and_says_what_to_try(arguments, message, capsys):
    assert frame.run(arguments) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "--help`" in shown


def test_wrong_usage_as_json(capsys):
    assert frame.run(["report", "--json"]) == 2
    assert json.loads(capsys.readouterr().err)["exit_code"] == 2


def test_every_command_has_help_and_json(capsys):
    for name in frame.COMMANDS:
        assert frame.run([*name.split(), "--help"]) == 0
        assert "--json" in capsys.readouterr().out, name


def test_help_lists_every_command(capsys):
    assert frame.run([]) == 0
    shown = capsys.readouterr().out
    assert all(f" {name.partition(' ')[0]} " in shown for name in frame.COMMANDS)


def test_a_group_lists_its_commands_and_says_what_it_is_for(capsys):
    assert frame.run(["data", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "prepare them without training" in shown
    assert all(f" {name.removeprefix('data ')} " in shown for name in frame.COMMANDS if name.startswith("data "))
    assert frame.run(["data", "preparr"]) == 2


def test_help_is_quick_and_imports_nothing_heavy():
    code = (
        "import sys; from luthier.cli.frame import run; run(['--help']); "
        "heavy = {'torch', 'transformers', 'pydantic', 'numpy', 'peft', 'pyarrow', 'ruamel'} & set(sys.modules); "
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.5  # of processor time: other work on the machine does not count
