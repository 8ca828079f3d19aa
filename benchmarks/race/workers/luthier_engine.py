"""Luthier itself, by the configuration that the rows were made from."""

from __future__ import annotations

from contextlib import suppress

from common import Clock, Reached, finish, read_job, watched

from luthier.config import load_config
from luthier.config.writing import to_yaml
from luthier.runs import Run
from luthier.runs.events import read_events
from luthier.training.loop import Trainer
from luthier.training.session import Materials, Session


def main() -> None:
    job, clock = read_job(), Clock()
    settings = [f"training.engine={job.settings['engine']}", f"output={job.path.parent / 'runs'}"]
    config = load_config(job["config"], [*job["overrides"], f"training.max_steps={job['steps']}", *settings])
    materials = Materials.gather(config)
    run = Run.create(config, to_yaml(config))
    session = Session.start(materials, run, materials.load_base())
    trainer = Trainer(session)
    questions = watched(job, clock, session.network)
    clock.start(job, questions)
    with suppress(Reached):
        trainer.fit()
    materials.method.save(session.network, run.adapter, session.base)
    losses = [event["loss"] for event in read_events(run.events.path, "step")]
    dtype = str(session.base.dtype).removeprefix("torch.")
    finish(job, clock, losses, ("luthier", "transformers", "peft"), dtype=dtype, accuracy=questions and questions.curve)


if __name__ == "__main__":
    main()
