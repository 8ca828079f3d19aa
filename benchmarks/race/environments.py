"""The virtual environments that peers run in, from the pinned lists in requirements/.

python -m race.environments [NAME ...]
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from race.workloads import CACHE, HERE

REQUIREMENTS = HERE / "requirements"
NAMES = sorted(file.stem for file in REQUIREMENTS.glob("*.txt"))
FINISHED = "requirements.txt"
"""A copy of the list that an environment was made from, written when it is whole."""


def python(name: str | None) -> Path:
    """The interpreter of a peer's environment; None = the one that runs the race."""
    return CACHE / "environments" / name / "bin" / "python" if name else Path(sys.executable)


def make(name: str) -> None:
    """Makes an environment, unless it stands there as the list says.

    Every package is pinned, so nothing is resolved: what peers merely wish for (such as a page to click on) stays out.
    """
    folder = CACHE / "environments" / name
    wanted = (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8")
    finished = folder / FINISHED
    if finished.exists() and finished.read_text(encoding="utf-8") == wanted:
        return
    print(f"making the environment '{name}'", file=sys.stderr, flush=True)
    venv.create(folder, with_pip=True, clear=True)
    pip = [str(python(name)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "-r", str(REQUIREMENTS / f"{name}.txt")], check=True)
    finished.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    for wanted in sys.argv[1:] or NAMES:
        make(wanted)
