"""Data sets of the model hub, streamed through `datasets` (the extra `hub`): nothing is downloaded that is not read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from luthier.data.examples import BadRow, Row
from luthier.data.reading.files import DataFile
from luthier.errors import DataError

PREFIX = "hub:"
"""What a path begins with that names a data set of the hub."""

_ELSEWHERE = "without a network, take the files from a machine that has one and give their folder"


@dataclass(eq=False)
class HubRows:
    """One split of a data set.

    Attributes:
        name: as the user wrote it, such as hub:owner/name or hub:owner/name@REVISION; a folder after hub: is read by
            the same library.
        subset: which configuration of the data set, None for its only or default one.
        split: train, or what the data set calls it.
    """

    name: str
    subset: str | None = None
    split: str = "train"
    kind: str = "hub"
    encoding: None = None

    @property
    def repository(self) -> str:
        """The data set's name on the hub, or the folder."""
        return self.name.removeprefix(PREFIX).partition("@")[0]

    @property
    def revision(self) -> str | None:
        """Branch, tag or commit, None for the newest."""
        return self.name.partition("@")[2] or None

    def digest(self) -> str:
        """Hash of the commit that is read, or of the folder's files.

        Raises:
            DataError: the hub cannot be reached, or has no such data set.
        """
        state = hashlib.sha256(f"{self.subset}/{self.split}/".encode())
        if Path(self.repository).is_dir():
            for file in sorted(path for path in Path(self.repository).rglob("*") if path.is_file()):
                state.update(DataFile(file, str(file), self.kind).digest().encode())
        else:
            state.update(self._commit.encode())
        return state.hexdigest()

    def rows(self) -> Iterator[Row | BadRow]:
        """All rows of the split, in its order.

        Raises:
            DataError: the hub cannot be reached, or has no such data set or split.
        """
        position = 0
        stream = iter(self._opened())
        while True:
            try:
                values = next(stream, None)
            except Exception as error:  # the library raises what its many readers and the network raise
                if not position:
                    raise self._unreachable(error) from error
                yield BadRow(self.name, position + 1, f"the data set cannot be read further: {_first_line(error)}")
                return
            if values is None:
                break
            position += 1
            yield Row(values, self.name, position)
        if not position:
            yield BadRow(self.name, 1, "the split has no rows")

    def _opened(self) -> Any:
        try:
            from datasets import load_dataset
        except ImportError as error:
            raise self._needs(error) from error
        folder = Path(self.repository).is_dir()
        revision = None if folder else self._commit
        try:
            return load_dataset(self.repository, self.subset, split=self.split, streaming=True, revision=revision)
        except Exception as error:  # as above: a wrong split is a ValueError, a wrong name one of several
            raise self._unreachable(error) from error

    @cached_property
    def _commit(self) -> str:
        """The commit that the name means today; the rows are read from that one."""
        from huggingface_hub import HfApi

        try:
            return str(HfApi().dataset_info(self.repository, revision=self.revision, timeout=20).sha)
        except Exception as error:  # one of a dozen kinds of network and hub errors
            raise self._unreachable(error) from error

    def _needs(self, error: ImportError) -> DataError:
        return DataError(
            f"data sets of the hub need the package {error.name}", where=self.name, hint="pip install 'luthier[hub]'"
        )

    def _unreachable(self, error: Exception) -> DataError:
        if isinstance(error, DataError):
            return error
        return DataError(
            f"the data set cannot be opened: {_first_line(error)}",
            where=f"{self.name}, split {self.split}{f', subset {self.subset}' if self.subset else ''}",
            expected="the name, subset and split of a data set on the hub, and a network",
            hint=_ELSEWHERE,
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
