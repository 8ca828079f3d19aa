"""A preparation that is interrupted, killed or wrong, and what the next one finds."""

import subprocess
import sys
from pathlib import Path

import pytest

from luthier.data.workshop import once, workshop
from luthier.errors import DataError


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "0123abcd"


def finish(place: Path, made: list[str]) -> None:
    """Prepares; `made` is told when the first pass was made."""
    with workshop(place, "last") as aside:
        state = once(aside, lambda: made.append("pass") or {"rows": 3})
        assert state == {"rows": 3}
        (aside / "last").write_text("done")


def fail(place: Path, error: BaseException, *, behind_first_pass: bool = True) -> None:
    with workshop(place, "last") as aside:
        (aside / "some").write_text("rows")
        if behind_first_pass:
            once(aside, lambda: {"rows": 3})
        raise error


def interrupt(place: Path) -> Path:
    with pytest.raises(KeyboardInterrupt):
        fail(place, KeyboardInterrupt())
    [left] = place.parent.iterdir()
    return left


def finished(place: Path) -> bool:
    return list(place.parent.iterdir()) == [place] and (place / "last").is_file() and not list(place.glob("first*"))


def test_a_whole_preparation_leaves_nothing_aside(place: Path) -> None:
    made: list[str] = []
    finish(place, made)
    assert finished(place)
    assert made == ["pass"]


def test_the_first_pass_of_an_interrupted_one_is_not_made_again(place: Path) -> None:
    interrupt(place)
    made: list[str] = []
    finish(place, made)
    assert made == []
    assert finished(place)


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_dead_process_left_is_taken_over(place: Path) -> None:
    left = interrupt(place)
    left.rename(place.parent / f".{place.name}.{dead_pid()}.partial")
    made: list[str] = []
    finish(place, made)
    assert made == []
    assert finished(place)


def test_what_a_living_process_works_on_is_left_alone(place: Path) -> None:
    other = place.parent / f".{place.name}.1.partial"
    interrupt(place).rename(other)
    made: list[str] = []
    finish(place, made)
    assert made == ["pass"]
    assert other.is_dir()


def test_half_a_first_pass_is_nothing(place: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fail(place, KeyboardInterrupt(), behind_first_pass=False)
    assert list(place.parent.iterdir()) == []
    (place.parent / f".{place.name}.{dead_pid()}.partial").mkdir()
    finish(place, [])
    assert finished(place)


def test_an_error_leaves_nothing(place: Path) -> None:
    with pytest.raises(DataError):
        fail(place, DataError("too many bad rows"))
    assert list(place.parent.iterdir()) == []


def test_the_faster_process_wins(place: Path) -> None:
    with workshop(place, "last") as aside:
        (aside / "last").write_text("mine")
        place.mkdir()
        (place / "last").write_text("theirs")
    assert (place / "last").read_text() == "theirs"
    assert finished(place)
