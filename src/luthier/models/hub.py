"""Base models from the model hub: what is already on this machine first, the network only when it must be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from luthier.errors import ModelError

if TYPE_CHECKING:
    from luthier.models.base import Progress

WANTED = ["*.json", "*.jinja", "*.txt", "*.model", "*.py", "*.safetensors"]
PICKLES = ["*.bin", "*.pt", "*.pth"]
ELSEWHERE = (
    "download it where there is a network (`hf download {base} --local-dir FOLDER`) and give the folder, "
    "or take a model from a Python package with package:MODULE/FILE"
)


def snapshot(base: str, *, allow_pickle: bool, progress: Progress | None) -> Path:
    """The folder of a hub model, downloaded if it is not in the local cache.

    Raises:
        ModelError: the hub cannot be reached, or has no such model, or wants a login.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    local = _in_local_cache(base)
    if local is not None:
        return local
    if progress:
        progress(f"downloading {base}")
    patterns = WANTED + (PICKLES if allow_pickle else [])
    try:  # subfolders hold other formats of the same weights
        folder = Path(snapshot_download(base, allow_patterns=patterns, ignore_patterns=["*/*"]))
    except HFValidationError as error:
        raise ModelError(f"'{base}' is neither a file, a folder nor a hub id", hint="check the path") from error
    except GatedRepoError as error:
        raise ModelError(
            f"the hub gives '{base}' only to users who accepted its terms",
            hint="accept them on the model's page and log in with `hf auth login`",
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"the hub has no model '{base}', or it is private",
            hint="check the spelling; `hf auth login` for private ones",
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        raise ModelError(
            f"'{base}' is not on this machine, and the hub cannot be reached",
            expected="a folder, a .gguf file, package:MODULE/FILE, or a hub id with a network",
            hint=ELSEWHERE.format(base=base),
        ) from error
    if not _has_weights(folder):  # without a network the library is content with what there is
        raise ModelError(
            f"the weights of '{base}' are not on this machine, and the hub gave no safetensors",
            hint=f"without a network, {ELSEWHERE.format(base=base)}; "
            "if the hub has pickled weights only and you trust them, set model.allow_pickle: true",
        )
    return folder


def _in_local_cache(base: str) -> Path | None:
    """The model's snapshot if it has weights: another tool may have fetched its tokenizer only."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(base, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    return folder if _has_weights(folder) else None


def _has_weights(folder: Path) -> bool:
    return any(file for pattern in ["*.safetensors", "*.gguf", *PICKLES] for file in folder.glob(pattern))
