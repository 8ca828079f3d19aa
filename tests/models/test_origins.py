"""What a run was begun with, and whether it is still there."""

from dataclasses import replace

import pytest

from luthier.errors import ConfigError
from luthier.models.origins import Origins
from luthier.runs import Run

BEGUN = Origins("b", "k", "c", "d")


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path)
    run.update_record(base={"digest": "b"}, tokenizer_digest="k", template_digest="c", data={"digest": "d"})
    return run


def test_the_same_is_fine(run):
    assert Origins.recorded(run) == BEGUN
    BEGUN.check(run)
    replace(BEGUN, data=None).check(run)


@pytest.mark.parametrize(
    ("field", "name"),
    [("base", "weights"), ("tokenizer", "tokenizer"), ("template", "chat template"), ("data", "rows")],
)
def test_what_differs_is_named(run, field, name):
    now = replace(BEGUN, **{field: "other"})
    [changed] = now.changed(run)
    assert name in changed
    with pytest.raises(ConfigError, match=name) as refused:
        now.check(run)
    assert str(run.config_file) in refused.value.hint


def test_a_run_that_has_nothing_on_record_has_not_begun(tmp_path):
    assert BEGUN.changed(Run(tmp_path)) == []
