"""GGUF files as base models: dequantised once into the cache, as a folder of float32 safetensors.

The copy is a model of its own: its weights are the quantised ones written out, not those the file was made from.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from luthier.errors import ModelError
from luthier.models.base import Progress
from luthier.models.digests import file_digest
from luthier.models.quiet import quiet
from luthier.runs.files import cache_folder, new_folder

MAGIC = b"GGUF"


def dequantised(file: Path, progress: Progress | None = None) -> Path:
    """The folder with the file's dequantised copy; made on first use, found by the file's content afterwards.

    Raises:
        ModelError: the file is damaged, or its architecture is unknown.
    """
    with file.open("rb") as opened:
        if opened.read(len(MAGIC)) != MAGIC:
            raise ModelError(f"'{file.name}' is not a GGUF file", where=str(file), hint="copy or download it again")
    folder = cache_folder() / "models" / f"{file.stem}-{file_digest(file)[:16]}"
    if folder.is_dir():
        return folder
    if progress:
        progress(f"dequantising {file.name} into {folder} (once; it takes about half a minute)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with new_folder(folder) as aside:
        _convert(file, aside)
    return folder


def _convert(file: Path, folder: Path) -> None:
    source: dict[str, Any] = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    try:
        with quiet(), _worked_out_once():
            network, tokenizer, missing = _read(source | {"local_files_only": True})
    except Exception as error:  # the readers raise whatever a damaged file makes them stumble over
        raise ModelError(
            f"'{file.name}' cannot be read: {error}",
            where=str(file),
            hint="a file that is damaged or cut off has to be copied again; for an architecture that is not known, "
            "take the model as a safetensors folder",
        ) from error
    if missing:
        raise ModelError(f"'{file.name}' lacks weights, such as {min(missing)}", where=str(file))
    with quiet():
        network.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _read(source: dict[str, Any]) -> tuple[Any, Any, set[str]]:
    """Network, tokenizer, and the names of weights that the file lacks."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer, GgufConfig

    config = AutoConfig.from_pretrained(**source)
    loader = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    network, report = loader.from_pretrained(
        **source,
        config=config,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
        output_loading_info=True,
    )
    tokenizer = AutoTokenizer.from_pretrained(**source)
    for private in ("local_files_only", "is_local"):  # how it was loaded is no part of the tokenizer
        tokenizer.init_kwargs.pop(private, None)
    return network, tokenizer, set(report["missing_keys"])


@contextmanager
def _worked_out_once() -> Iterator[None]:
    """Keeps what transformers works out again and again: the file is parsed four times, the names once per module.

    Both depend on nothing but their arguments; remembering them makes a first load about twice as fast.
    """
    import gguf

    reader, names = gguf.GGUFReader, gguf.get_tensor_name_map
    gguf.GGUFReader, gguf.get_tensor_name_map = cache(reader), cache(names)
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map = reader, names
