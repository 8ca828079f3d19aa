"""Tasks of lm-eval with local data, asked of the tiny Llama."""

import importlib.util
import json

import pytest

from luthier.errors import ConfigError, LuthierError
from luthier.evaluation import harness
from luthier.evaluation.harness import run_harness

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("own_cache")]

needs_lm_eval = pytest.mark.skipif(
    importlib.util.find_spec("lm_eval") is None, reason="lm-eval is not installed (extra lm-eval)"
)

TASK = """\
task: signals
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{text}}}}"
doc_to_target: label
doc_to_choice: [up, down, flat]
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
metadata: {{version: 1}}
"""


@pytest.fixture
def task(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    rows = [{"text": f"amber {word} bridge {n}", "label": label} for n in range(4) for label, word in
            (("up", "rose"), ("down", "fell"), ("flat", "met"))]  # fmt: skip
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "signals.yaml").write_text(TASK.format(file=tmp_path / "rows.jsonl"))
    return str(tmp_path / "signals.yaml")


@needs_lm_eval
def test_a_task_of_local_data(trained_llama, task):
    found = run_harness(trained_llama, [task])
    line = found["signals"]["acc,none"]
    assert set(line) == {"base", "tuned", "base_stderr", "tuned_stderr"}
    assert 0 <= line["base"] <= 1
    assert (12 * line["tuned"]) % 1 == pytest.approx(0, abs=1e-9), "a share of twelve rows"
    limited = run_harness(trained_llama, [task], limit=3)["signals"]["acc,none"]
    assert (3 * limited["tuned"]) % 1 == pytest.approx(0, abs=1e-9)


@needs_lm_eval
def test_what_cannot_be_asked(trained_llama, trained_bert, task, tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        run_harness(trained_llama, [str(tmp_path / "other.yaml")])
    with pytest.raises(ConfigError, match="models that write"):
        run_harness(trained_bert, [task])
    (tmp_path / "rows.jsonl").unlink()
    with pytest.raises(LuthierError, match="cannot run these tasks"):
        run_harness(trained_llama, [task])


def test_without_lm_eval_it_says_how_to_install_it(trained_llama, monkeypatch):
    monkeypatch.setattr(harness, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="not installed") as raised:
        run_harness(trained_llama, ["any"])
    assert "luthier[lm-eval]" in raised.value.hint
