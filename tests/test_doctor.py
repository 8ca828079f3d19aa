"""What `luthier doctor` sees."""

from importlib.metadata import PackageNotFoundError

import pytest

from luthier import doctor


@pytest.fixture
def required(monkeypatch):
    def put(*lines):
        monkeypatch.setattr(doctor, "requires", lambda name: list(lines))
        return {entry["extra"]: entry for entry in doctor.examine()["requirements"]}

    return put


def test_missing_packages_of_an_extra_come_with_the_command_that_gets_them(required):
    found = required("pydantic>=2", 'no-such-package>=1.5; extra == "serve"', 'rich>=1; extra == "studio"')
    assert found[None] == {"extra": None, "missing": [], "install": None}
    assert found["serve"] == {
        "extra": "serve",
        "missing": ["no-such-package>=1.5"],
        "install": "pip install 'luthier[serve]'",
    }
    assert found["studio"]["missing"] == []


def test_a_version_that_is_too_old_is_missing(required):
    assert required("pydantic>=999")[None]["missing"] == ["pydantic>=999"]
    assert required("pydantic>=999")[None]["install"] == "pip install 'luthier'"


def test_requirements_of_other_platforms_do_not_count(required):
    assert required('no-such-package; sys_platform == "nowhere"')[None]["missing"] == []


def test_what_it_says_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "not" / "there"))
    found = doctor.examine()
    assert found["packages"]["torch"]
    assert found["processor"]["cores"] >= 1
    assert found["disk_free_gb"][str(tmp_path / "not" / "there")] > 0
    assert found["dtype"] in ("float32", "bfloat16")
    assert found["dtype_reason"]


def test_packages_that_are_not_installed_have_no_version(monkeypatch):
    def version(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", version)
    assert doctor.examine()["packages"]["torch"] is None
