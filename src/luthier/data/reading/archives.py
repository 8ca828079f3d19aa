"""Archives of files: unpacked once, into the cache, under the archive's own hash."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from luthier.errors import DataError
from luthier.runs.files import cache_folder, content_hash, new_folder

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")

_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)


def is_archive(path: Path) -> bool:
    """Whether a file's name is that of an archive."""
    return path.name.lower().endswith(SUFFIXES)


def unpacked(path: Path) -> Path:
    """The folder with an archive's files, unpacked when it is not there yet.

    Links, devices and paths that lead out of the folder are refused. An archive inside an archive stays packed.

    Raises:
        DataError: it is damaged, wants a password, or holds what must not be unpacked.
    """
    folder = cache_folder() / "archives" / content_hash(path)[:24]
    if not folder.is_dir():
        try:
            with new_folder(folder, many=True) as aside:
                _unpack(path, aside)
        except _BROKEN as error:
            raise DataError(
                f"the archive cannot be unpacked: {error}", where=str(path), hint="unpack it and give the folder"
            ) from error
    return folder


def _unpack(path: Path, folder: Path) -> None:
    if path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                    raise zipfile.BadZipFile(f"'{name}' leads out of the folder")
            archive.extractall(folder)
    else:
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
