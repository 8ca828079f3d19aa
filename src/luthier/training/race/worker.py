"""One turn of a race: `python -m luthier.training.race.worker JOB.json` writes result.json beside the job."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

from luthier.config import load_config
from luthier.errors import LuthierError
from luthier.runs import Run
from luthier.runs.files import read_json, write_json
from luthier.training.race.contestants import CONTESTANTS
from luthier.training.session import Materials


def main(file: Path) -> int:
    """Runs the turn that a job describes: {contestant, config, seconds}."""
    job = read_json(file)
    try:
        materials = Materials.gather(load_config(job["config"]))
        turn = CONTESTANTS[job["contestant"]](materials, Run(file.parent), job["seconds"])
    except LuthierError as error:
        print(error.found, file=sys.stderr)
        return error.exit_code
    write_json(file.parent / "result.json", asdict(turn))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
