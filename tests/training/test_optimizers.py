"""The optimisers: their formulas, what every one of them keeps to, and what the estimates take for their state."""

import pytest
import torch
from pydantic import ValidationError

from luthier import registry
from luthier.errors import ConfigError, ModelError
from luthier.training.memory import trained_bytes
from luthier.training.optimizers.adafactor import Adafactor, AdafactorOptions
from luthier.training.optimizers.adamw import Adamw, AdamwOptions
from luthier.training.optimizers.adamw_8bit import Adamw8bit, Adamw8bitOptions
from luthier.training.optimizers.lion import Lion, LionOptions
from luthier.training.optimizers.muon import Muon, MuonOptions
from luthier.training.optimizers.sgd import Sgd, SgdOptions

NAMES = registry.names("optimizer")
OF_BITSANDBYTES = ("adamw_8bit", "lion")


def built(name, groups, inside=(), **options):
    if name in OF_BITSANDBYTES:
        pytest.importorskip("bitsandbytes", reason="an optimiser of bitsandbytes")
    plugin = registry.load("optimizer", name)
    return plugin(plugin.Options(**options)).build(groups, set(inside))


def weight(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.Parameter(torch.randn(*shape, generator=generator))


# formulas


def test_one_step_is_adams_formula_with_decoupled_decay():
    weight = torch.nn.Parameter(torch.tensor([2.0]))
    optimizer = Adamw(AdamwOptions(beta1=0.5, beta2=0.75, epsilon=1.0)).build(
        [{"params": [weight], "lr": 0.1, "weight_decay": 0.2}], set()
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
    optimizer = Adamw(AdamwOptions(weight_decay=0.1)).build(groups, set())
    assert [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups] == [(1e-3, 0.5), (1e-4, 0.1)]


def test_a_beta_of_one_is_refused():
    with pytest.raises(ValidationError):
        AdamwOptions(beta2=1.0)


def test_adamw_in_8_bits_is_adamw_with_less_exact_state():
    pytest.importorskip("bitsandbytes", reason="an optimiser of bitsandbytes")
    options = {"weight_decay": 0.1, "beta1": 0.8, "beta2": 0.9}
    one, other = weight(64, 64), weight(64, 64)
    exact = Adamw(AdamwOptions(**options)).build([{"params": [one], "lr": 1e-2}], set())
    rough = Adamw8bit(Adamw8bitOptions(**options)).build([{"params": [other], "lr": 1e-2}], set())
    before = one.detach().clone()
    for seed in range(1, 6):
        one.grad, other.grad = weight(64, 64, seed=seed).detach(), weight(64, 64, seed=seed).detach()
        exact.step()
        rough.step()
    assert rough.state[other]["state1"].dtype == torch.uint8
    moved, apart = (one - before).norm(), (one - other).norm()
    assert 0 < apart < 0.05 * moved


def test_one_step_of_lion_is_the_sign():
    pytest.importorskip("bitsandbytes", reason="an optimiser of bitsandbytes")
    tensor = torch.nn.Parameter(torch.tensor([2.0, 2.0, 2.0]))
    optimizer = Lion(LionOptions(weight_decay=0.5)).build([{"params": [tensor], "lr": 0.1}], set())
    tensor.grad = torch.tensor([3.0, -0.001, 0.0])
    optimizer.step()
    decayed = 2.0 * (1 - 0.1 * 0.5)
    assert tensor.tolist() == pytest.approx([decayed - 0.1, decayed + 0.1, decayed])


def test_two_steps_of_sgd_with_momentum():
    tensor = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = Sgd(SgdOptions(momentum=0.5)).build([{"params": [tensor], "lr": 0.1}], set())
    for _ in range(2):
        tensor.grad = torch.tensor([2.0])
        optimizer.step()
    assert tensor.item() == pytest.approx(1.0 - 0.1 * 2.0 - 0.1 * (0.5 * 2.0 + 2.0))


def test_one_step_of_adafactor():
    """Squares of rank one are kept exactly by rows and columns, so the first step is the sign, as with Adam."""
    tensor = torch.nn.Parameter(torch.zeros(2, 3))
    optimizer = Adafactor(AdafactorOptions()).build([{"params": [tensor], "lr": 0.1}], set())
    tensor.grad = torch.tensor([[1.0, -2.0, 3.0], [-2.0, 4.0, 6.0]])
    optimizer.step()
    assert tensor.tolist() == [pytest.approx([-0.1, 0.1, -0.1]), pytest.approx([0.1, -0.1, -0.1])]


def test_muon_takes_the_matrices_of_the_layers_and_adamw_the_rest():
    inside, table, bias = weight(16, 32), weight(50, 32), weight(32)
    groups = [
        {"params": [inside, table], "lr": 0.1, "weight_decay": 0.0},
        {"params": [bias], "lr": 0.2, "weight_decay": 0.0},
    ]
    optimizer = Muon(MuonOptions()).build(groups, {id(inside), id(bias)})
    before = {id(each): each.detach().clone() for each in (inside, table, bias)}
    for each in (inside, table, bias):
        each.grad = torch.randn_like(each)
    optimizer.step()
    assert set(optimizer.state[inside]) == {"momentum_buffer"}
    assert "exp_avg_sq" in optimizer.state[table]
    assert "exp_avg_sq" in optimizer.state[bias]
    step = (before[id(inside)] - inside.detach()) / 0.1
    singular = torch.linalg.svdvals(step)
    assert singular.min() > 0.5 * singular.max(), "orthogonalised"
    assert float(step.square().mean().sqrt()) == pytest.approx(0.2, rel=0.25), "of the size of a step of AdamW"
    for each, rate in ((table, 0.1), (bias, 0.2)):
        torch.testing.assert_close(before[id(each)] - each, rate * each.grad.sign(), atol=1e-4, rtol=0)


def test_muon_without_matrices_is_refused():
    with pytest.raises(ModelError, match="nothing for muon"):
        Muon(MuonOptions()).build([{"params": [weight(8, 8)], "lr": 0.1}], set())


# what every optimiser keeps to


@pytest.mark.parametrize("name", NAMES)
def test_every_group_has_its_own_rate(name):
    """LoRA+ rests on it: the same gradient moves a weight of 16 times the rate 16 times as far."""
    slow, fast = weight(64, 64), weight(64, 64)
    groups = [{"params": [slow], "lr": 1e-4, "weight_decay": 0.0}, {"params": [fast], "lr": 16e-4, "weight_decay": 0.0}]
    optimizer = built(name, groups, inside=(id(slow), id(fast)))
    before = slow.detach().clone()
    slow.grad = fast.grad = weight(64, 64, seed=1).detach()
    optimizer.step()
    assert (before - slow).norm() > 0
    torch.testing.assert_close(before - fast, 16 * (before - slow), rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_no_rate_no_step(name):
    """The plan measures steps that learn nothing, so a rate of zero must change nothing."""
    tensor = weight(64, 64)
    optimizer = built(name, [{"params": [tensor], "lr": 0.1}], inside=(id(tensor),))
    before = tensor.detach().clone()
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    tensor.grad = torch.ones_like(tensor)
    optimizer.step()
    assert torch.equal(before, tensor)


@pytest.mark.parametrize("name", NAMES)
def test_the_estimates_know_its_state(name):
    first, second = weight(16, 576), weight(64, 64)
    optimizer = built(name, [{"params": [first, second], "lr": 0.1}], inside=(id(first), id(second)))
    for each in (first, second):
        each.grad = torch.randn_like(each)
    optimizer.step()
    tensors = [value for values in optimizer.state.values() for value in values.values() if torch.is_tensor(value)]
    held = sum(tensor.nbytes for tensor in tensors if tensor.numel() > 256)
    counted = trained_bytes(registry.load("optimizer", name).Options()) - 8
    tolerance = 0.5 if name == "adafactor" else 0.05
    assert held / (first.numel() + second.numel()) == pytest.approx(counted, abs=tolerance)


def test_without_momentum_sgd_has_no_state():
    assert trained_bytes(SgdOptions(momentum=0.0)) == 8
    assert trained_bytes(SgdOptions()) == 12
    assert trained_bytes(AdamwOptions()) == 16


@pytest.mark.parametrize("name", OF_BITSANDBYTES)
def test_without_bitsandbytes_it_says_what_to_install(name, monkeypatch):
    monkeypatch.setattr("luthier.training.optimizers._bitsandbytes.find_spec", lambda module: None)
    with pytest.raises(ConfigError, match="not installed") as caught:
        built(name, [{"params": [weight(4)], "lr": 0.1}])
    assert "luthier[quantise]" in caught.value.hint


def test_a_device_without_kernels_is_refused_with_the_reason(monkeypatch):
    optim = pytest.importorskip("bitsandbytes.optim", reason="an optimiser of bitsandbytes")

    def missing(self):
        raise NotImplementedError("no kernel")

    monkeypatch.setattr(optim.Lion, "step", missing)
    with pytest.raises(ModelError, match="has no Lion for cpu: no kernel"):
        built("lion", [{"params": [weight(4)], "lr": 0.1}])
