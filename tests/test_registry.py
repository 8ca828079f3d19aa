"""Plugins are found from file names and entry points, and a wrong name gets a suggestion."""

import subprocess
import sys

import pytest

from luthier import registry
from luthier.errors import ConfigError
from luthier.registry import Options

ALL = [(kind, name) for kind in registry.PACKAGES for name in registry.names(kind)]


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_every_plugin_loads_and_is_named_after_its_file(kind, name):
    plugin = registry.load(kind, name)
    assert plugin.__name__ == "".join(part.capitalize() for part in name.split("_"))
    assert plugin.__doc__


@pytest.mark.parametrize(("kind", "name"), [pair for pair in ALL if hasattr(registry.load(*pair), "Options")])
def test_every_plugins_options(kind, name):
    options = registry.load(kind, name).Options
    assert issubclass(options, Options)
    assert options.model_fields["name"].default == name
    assert options.__doc__
    undescribed = [key for key, field in options.model_fields.items() if key != "name" and not field.description]
    assert undescribed == []


@pytest.mark.parametrize("kind", ["task", "method", "optimizer", "schedule", "cleaning", "augmentation", "tracker"])
def test_plugins_of_a_configuration_have_options(kind):
    assert registry.names(kind)
    assert all(hasattr(registry.load(kind, name), "Options") for name in registry.names(kind))


def test_loading_every_plugin_imports_nothing_heavy():
    code = (
        "import sys; from luthier import registry; "
        "[registry.load(kind, name) for kind in registry.PACKAGES for name in registry.names(kind)]; "
        "heavy = {'torch', 'transformers', 'peft', 'sklearn', 'pyarrow', 'datasets', 'wandb', 'tensorboard'}; "
        "heavy &= set(sys.modules); "
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_wrong_name_gets_the_nearest_right_one():
    with pytest.raises(ConfigError) as caught:
        registry.load("schedule", "cosin")
    assert caught.value.found == "there is no schedule named 'cosin'; did you mean 'cosine'?"
    assert caught.value.expected == "one of constant, cosine, inverse_sqrt, linear, plateau, polynomial, wsd"


def test_suggest_gives_nothing_when_nothing_is_near():
    assert registry.suggest("COSINE", ["cosine"]) == "cosine"
    assert registry.suggest("banana", ["cosine", "linear"]) is None


def test_a_package_beside_luthier_adds_a_plugin(tmp_path, monkeypatch):
    (tmp_path / "beside.py").write_text("class Steps:\n    pass\n")
    info = tmp_path / "beside-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: beside\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[luthier.schedule]\nsteps = beside:Steps\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry._targets.cache_clear()
    try:
        assert "steps" in registry.names("schedule")
        assert registry.load("schedule", "steps").__name__ == "Steps"
    finally:
        monkeypatch.undo()
        registry._targets.cache_clear()
    assert "steps" not in registry.names("schedule")
