"""The scale of the loss in float16."""

import pytest
import torch

from luthier.training.checkpoints import Progress
from luthier.training.scaling import GROW_AFTER, START, LossScale


def parameter(gradient: float) -> torch.Tensor:
    made = torch.zeros(2, requires_grad=True)
    made.grad = torch.tensor([1.0, gradient])
    return made


def test_gradients_are_divided_by_the_scale():
    scale, one = LossScale(Progress(), used=True), parameter(START)
    assert scale.settle([one])
    assert one.grad.tolist() == [1 / START, 1.0]


def test_an_overflow_halves_the_scale_and_asks_for_the_step_again():
    progress = Progress(good_steps=5)
    scale, one = LossScale(progress, used=True), parameter(float("inf"))
    assert not scale.settle([one])
    assert (progress.loss_scale, progress.good_steps) == (START / 2, 0)
    progress.loss_scale = 1.0
    assert scale.settle([one]), "at 1 the gradient itself is not finite: the loop says so"


def test_the_scale_grows_after_many_good_steps():
    progress = Progress(good_steps=GROW_AFTER - 1)
    assert LossScale(progress, used=True).settle([parameter(1.0)])
    assert (progress.loss_scale, progress.good_steps) == (2 * START, 0)


def test_a_resumed_run_keeps_its_scale():
    assert LossScale(Progress(step=3, loss_scale=8.0), used=True).value == 8.0


def test_other_types_are_not_scaled():
    scale, one = LossScale(Progress(), used=False), parameter(float("inf"))
    assert scale.value == 1.0
    assert scale.settle([one])


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_float16_learns_what_float32_learns(bench, events, engine):
    losses = {}
    for dtype in ("float32", "float16"):
        trainer = bench.trainer(bench.materials(model={"dtype": dtype}, training={"engine": engine}), dtype)
        for _ in range(6):
            trainer.step()
        losses[dtype] = [event["loss"] for event in events(trainer)]
    assert trainer.scale.value <= START
    assert losses["float16"] == pytest.approx(losses["float32"], rel=0.02)
    assert losses["float16"] != losses["float32"]


def test_a_scale_that_overflows_costs_a_second_try_and_nothing_else(bench, events):
    materials = bench.materials(model={"dtype": "float16"}, training={"engine": "reference"})
    losses = {}
    for start in (2.0**10, 2.0**40):
        trainer = bench.trainer(materials, f"from-{start}")
        trainer.session.progress.loss_scale = start
        trainer.step()
        trainer.step()
        losses[start] = [event["loss"] for event in events(trainer)]
    assert trainer.scale.value < 2.0**40
    assert losses[2.0**10] == pytest.approx(losses[2.0**40], rel=1e-3)
