"""Checkpoints: whole or not there, passed over when damaged, and put back bit for bit."""

import json
import resource
from contextlib import contextmanager

import pytest
import torch

from luthier.errors import TrainingError
from luthier.methods._common import TrainedInPlace
from luthier.training import checkpoints as module
from luthier.training.checkpoints import Checkpoints, Progress


class Setting:
    """A small network that is trained, and its checkpoints."""

    def __init__(self, folder, keep=2):
        torch.manual_seed(0)
        self.network = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
        self.network[0].requires_grad_(False)
        self.optimizer = torch.optim.AdamW([p for p in self.network.parameters() if p.requires_grad], lr=0.1)
        self.method = TrainedInPlace()
        self.checkpoints = Checkpoints(folder / "checkpoints", keep)

    def step(self):
        self.network(torch.randn(5, 4)).square().sum().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def save(self, step, best=False):
        self.step()
        return self.checkpoints.save(
            self.network, self.method, self.optimizer, Progress(step, tokens=10 * step), best=best
        )

    def restore(self, path):
        return self.checkpoints.restore(path, self.network, self.method, self.optimizer)

    def names(self):
        return [path.name for path in self.checkpoints.complete()]


@pytest.fixture
def setting(tmp_path):
    return Setting(tmp_path)


def flip(file, place=-1):
    content = bytearray(file.read_bytes())
    content[place] ^= 0x80
    file.write_bytes(bytes(content))


def test_everything_comes_back(setting, tmp_path):
    saved = setting.save(3)
    setting.step()
    expected = [p.clone() for p in setting.network.parameters()]
    moments = setting.optimizer.state_dict()["state"]
    chance = torch.rand(3)

    other = Setting(tmp_path)
    progress = other.restore(saved)
    other.step()
    assert progress == Progress(3, tokens=30)
    assert all(torch.equal(one, two) for one, two in zip(expected, other.network.parameters(), strict=True))
    for number, values in moments.items():
        for key, value in values.items():
            assert torch.equal(value, other.optimizer.state_dict()["state"][number][key])
    assert torch.equal(chance, torch.rand(3)), "chance goes on where it was"


class Odd(torch.optim.SGD):
    """An optimiser whose state has a plain number and a mapping, as some have."""

    def state_dict(self):
        held = super().state_dict()
        rest = {"count": 2**53 - 1, "share": 0.1, "inner": {"scale": torch.ones(2), "bits": 8}}
        return held | {"state": {0: rest, 1: {"momentum_buffer": torch.zeros(2)}}}

    def load_state_dict(self, state):
        self.loaded = state["state"]


def test_numbers_and_mappings_in_an_optimizers_state(setting):
    setting.optimizer = Odd(setting.network[1].parameters(), lr=0.1)
    saved = setting.save(1)
    setting.restore(saved)
    loaded, expected = setting.optimizer.loaded, setting.optimizer.state_dict()["state"]
    assert torch.equal(loaded[0]["inner"].pop("scale"), expected[0]["inner"].pop("scale"))
    assert torch.equal(loaded[1]["momentum_buffer"], expected[1]["momentum_buffer"])
    assert loaded[0] == expected[0]
    assert isinstance(loaded[0]["count"], int)


def test_only_what_is_trained_is_kept(setting):
    from safetensors.torch import load_file

    assert set(load_file(setting.save(1) / "trained.safetensors")) == {"1.weight", "1.bias"}


def test_old_ones_go_and_the_best_stays(setting):
    setting.save(1, best=True)
    for step in (2, 3, 4):
        setting.save(step)
    assert setting.names() == ["step-000001", "step-000003", "step-000004"]
    assert setting.checkpoints.best == setting.checkpoints.path(1)
    setting.save(5, best=True)
    assert setting.names() == ["step-000004", "step-000005"]


@pytest.mark.parametrize("file", ["trained", "optimizer", "random"])
def test_a_damaged_one_is_passed_over(setting, file):
    older, newer = setting.save(1), setting.save(2)
    flip(newer / f"{file}.safetensors")
    assert setting.checkpoints.latest() == older
    with pytest.raises(TrainingError, match="damaged"):
        setting.restore(newer)
    assert setting.restore(older).step == 1


@pytest.mark.parametrize("file", ["progress.json", "manifest.json"])
@pytest.mark.parametrize("place", [0, 20, -1])
def test_a_damaged_note_is_passed_over_too(setting, file, place):
    older, newer = setting.save(1), setting.save(2)
    flip(newer / file, place)
    assert setting.checkpoints.latest() == older


def test_a_missing_file_is_damage(setting):
    older, newer = setting.save(1), setting.save(2)
    (newer / "random.safetensors").unlink()
    assert setting.checkpoints.latest() == older


def test_none_is_whole(setting):
    flip(setting.save(1) / "trained.safetensors")
    assert setting.checkpoints.latest() is None


@pytest.mark.parametrize("crash_in", ["save_file", "write_json", "_sync", "rename"])
def test_a_crash_in_the_middle_leaves_whole_ones_only(setting, monkeypatch, crash_in):
    first = setting.save(1)

    class Crash(BaseException):
        pass

    def crash(*_, **__):
        raise Crash

    with monkeypatch.context() as patch:
        if crash_in == "save_file":
            patch.setattr("safetensors.torch.save_file", crash)
        elif crash_in == "rename":
            patch.setattr("pathlib.Path.rename", crash)
        else:
            patch.setattr(module, crash_in, crash)
        with pytest.raises(Crash):
            setting.save(2, best=True)
    folder = setting.checkpoints.folder
    assert [path.name for path in folder.glob(".step-*.partial")], "what was being written lies aside"
    assert setting.names() == ["step-000001"]
    assert setting.checkpoints.latest() == first
    setting.save(2)
    assert sorted(path.name for path in folder.iterdir()) == ["step-000001", "step-000002"]


@contextmanager
def full_disk(room):
    """No file may grow beyond so many bytes: the system refuses as it does when the disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [100, 600])
def test_a_full_disk_says_how_to_go_on_and_keeps_what_there_was(setting, room):
    first = setting.save(1, best=True)
    with full_disk(room), pytest.raises(TrainingError, match="the checkpoint of step 2 cannot be written") as refused:
        setting.save(2)
    assert refused.value.hint.endswith(f"luthier train --resume {setting.checkpoints.folder.parent}")
    folder = setting.checkpoints.folder
    assert sorted(path.name for path in folder.iterdir()) == ["best", "step-000001"], "nothing half-written is left"
    assert setting.checkpoints.latest() == first
    assert setting.restore(setting.save(2)).step == 2


def test_what_a_killed_process_left_is_ignored_and_removed(setting):
    saved = setting.save(1)
    left = saved.with_name(".step-000002.1.partial")
    left.mkdir()
    for file in saved.iterdir():
        (left / file.name).write_bytes(file.read_bytes())
    assert setting.checkpoints.latest() == saved
    setting.save(3)
    assert not left.exists()


def test_the_manifest_covers_every_file(setting):
    saved = setting.save(1)
    manifest = json.loads((saved / "manifest.json").read_text())
    assert set(manifest) == {path.name for path in saved.iterdir()} - {"manifest.json"}
