from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from luthier.models.digests import file_digest, files_digest


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


def test_digest_is_blake2b_of_the_content(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"12345")
    assert file_digest(file) == hashlib.blake2b(b"12345", digest_size=16).hexdigest()


def test_an_unchanged_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"12345")
    first = file_digest(file)
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert file_digest(file) == first


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"12345")
    first = file_digest(file)
    file.write_bytes(b"54321")
    os.utime(file, ns=(1, 1))
    assert file_digest(file) != first


def test_several_files_in_any_order(tmp_path: Path) -> None:
    one, two = tmp_path / "1", tmp_path / "2"
    one.write_bytes(b"a")
    two.write_bytes(b"b")
    both = files_digest([one, two])
    assert files_digest([two, one]) == both
    two.write_bytes(b"changed")
    assert files_digest([one, two]) != both
