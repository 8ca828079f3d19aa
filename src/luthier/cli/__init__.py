"""The command `luthier`: one file per command, loaded when it is called; each calls only `luthier.pipeline`."""

from __future__ import annotations

import sys

from luthier.cli.frame import run

__all__ = ["main"]


def main() -> None:
    """Runs the command line and exits with its code."""
    sys.exit(run(sys.argv[1:]))
