"""What all commands share: how they are found, and how errors become messages and exit codes.

The file `luthier/cli/plan.py` is the command `luthier plan`: its function `command` has the options, its docstring is
the help. It is imported when it is called, or when `--help` lists it, so commands import the pipeline inside the
function. The file `luthier/cli/data/profile.py` is the command `luthier data profile`; what the group `luthier data` is
for, is the docstring of its package.
"""

from __future__ import annotations

import errno
import importlib
import os
import re
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, cast

import typer
import typer.core
from typer.exceptions import Abort, TyperException

from luthier.cli.output import print_error
from luthier.errors import ConfigError, Interrupted, LuthierError

COMMANDS = (
    "demo",
    "new",
    "import-config",
    "recipes",
    "data profile",
    "data prepare",
    "data diff",
    "data join",
    "data forecast",
    "data merge",
    "data convert",
    "data generate",
    "plan",
    "race",
    "inspect",
    "train",
    "evaluate",
    "diagnose",
    "compare",
    "walk-forward",
    "judge",
    "benchmark fingpt",
    "predict",
    "chat",
    "export",
    "report",
    "track",
    "doctor",
    "schema",
)
"""In the order in which a person meets them; `--help` shows them so."""

# What the machine refuses is not a bug of ours: say which file and why.
_REFUSALS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSALS |= {errno.EISDIR, errno.ENOTDIR}


class _Commands(Mapping[str, Any]):
    """Typer commands by name, imported when one is asked for; `group` is what stands before the name."""

    def __init__(self, group: str = "") -> None:
        self._prefix = f"{group} " if group else ""

    def __getitem__(self, name: str) -> Any:
        if name not in list(self):
            raise KeyError(name)
        path = self._prefix + name
        module = importlib.import_module(f"luthier.cli.{path.replace('-', '_').replace(' ', '.')}")
        if path not in COMMANDS:
            return _LazyGroup(name=name, help=module.__doc__, path=path)
        app = typer.Typer(add_completion=False)
        app.command(name)(module.command)
        return typer.main.get_command(app)

    def __iter__(self) -> Iterator[str]:
        inside = (name.removeprefix(self._prefix) for name in COMMANDS if name.startswith(self._prefix))
        return iter(dict.fromkeys(name.partition(" ")[0] for name in inside))

    def __len__(self) -> int:
        return len(list(iter(self)))


class _LazyGroup(typer.core.TyperGroup):
    def __init__(self, *, path: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.commands = cast(Any, _Commands(path))

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)


app = typer.Typer(cls=_LazyGroup, add_completion=False)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"luthier {version('luthier')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Turn your own rows into a specialised model, and see whether it is better than the one you started from."""


def run(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code; errors are printed to stderr, never as a traceback.

    Args:
        arguments: what stands after `luthier` on the command line; nothing means `--help`.
    """
    as_json = "--json" in arguments
    if os.environ.get("LUTHIER_DEBUG") != "1":
        warnings.simplefilter("ignore")  # what libraries tell their developers is not for the user
    try:
        code = typer.main.get_command(app)(list(arguments) or ["--help"], prog_name="luthier", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except LuthierError as error:
        return _fail(error, as_json)
    except TyperException as error:
        return _fail(_usage(error), as_json)
    except (KeyboardInterrupt, Abort):
        return _fail(Interrupted("interrupted"), as_json)
    except Exception as error:  # the one place where nothing may escape
        return _fail(_refused(error) if _system_error(error) in _REFUSALS else _bug(error), as_json)


def _fail(error: LuthierError, as_json: bool) -> int:
    if os.environ.get("LUTHIER_DEBUG") == "1":
        traceback.print_exception(error)
    print_error(error, as_json=as_json)
    return error.exit_code


def _usage(error: TyperException) -> ConfigError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "luthier"
    return ConfigError(error.format_message(), hint=f"`{path} --help`")


def _system_error(error: Exception) -> int | None:
    """The system's number for what went wrong; libraries in Rust, such as safetensors, have it in their message."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else None


def _refused(error: Exception) -> LuthierError:
    file = getattr(error, "filename", None)
    refused = LuthierError(f"{getattr(error, 'strerror', None) or error}", where=file and str(file))
    refused.__cause__ = error
    return refused


def _bug(error: Exception) -> LuthierError:
    try:
        where, report = f"the traceback is in {_traceback_file(error)}", "report it with that file; "
    except OSError as refused:
        where, report = f"the traceback could not be written: {refused}", ""
    bug = LuthierError(
        f"a bug in Luthier: {type(error).__name__}: {error}",
        where=where,
        hint=f"{report}LUTHIER_DEBUG=1 shows the traceback here",
    )
    bug.__cause__ = error
    return bug


def _traceback_file(error: Exception) -> str:
    handle, path = tempfile.mkstemp(prefix="luthier-", suffix="-traceback.txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f"luthier {' '.join(sys.argv[1:])}\n\n")
        traceback.print_exception(error, file=file)
    return path
