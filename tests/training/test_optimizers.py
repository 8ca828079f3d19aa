import pytest
import torch
from pydantic import ValidationError

from luthier.training.optimizers.adamw import Adamw, AdamwOptions


def test_one_step_is_adams_formula_with_decoupled_decay():
    weight = torch.nn.Parameter(torch.tensor([2.0]))
    optimizer = Adamw(AdamwOptions(beta1=0.5, beta2=0.75, epsilon=1.0)).build(
        [{"params": [weight], "lr": 0.1, "weight_decay": 0.2}]
    )
    weight.grad = torch.tensor([3.0])
    optimizer.step()
    # After one step the bias-corrected moments are the gradient and its square.
    assert weight.item() == pytest.approx(2.0 * (1 - 0.1 * 0.2) - 0.1 * 3.0 / (3.0 + 1.0))


def test_groups_keep_their_learning_rates_and_decay():
    groups = [
        {"params": [torch.nn.Parameter(torch.ones(1))], "lr": 1e-3, "weight_decay": 0.5},
        {"params": [torch.nn.Parameter(torch.ones(1))], "lr": 1e-4},
    ]
    optimizer = Adamw(AdamwOptions(weight_decay=0.1)).build(groups)
    assert [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups] == [(1e-3, 0.5), (1e-4, 0.1)]


def test_a_beta_of_one_is_refused():
    with pytest.raises(ValidationError):
        AdamwOptions(beta2=1.0)
