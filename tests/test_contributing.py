"""CONTRIBUTING.md keeps its word: its two files, in a package beside Luthier, add a format and a metric."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "CONTRIBUTING.md"
CONFIG = """
model: {{base: "{base}", dtype: float32}}
data:
  train: {{path: rows.csv, format: signed}}
  split: {{test: 0.25, validation: 0}}
training: {{max_steps: 1, batch_size: 4}}
evaluation: {{metrics: [balanced_accuracy], few_shot: 0, generate: {{max_new_tokens: 2}}}}
"""
CITIES = ["Turku", "Bergen", "Porto", "Gdansk", "Odense", "Malmo", "Nantes", "Trieste", "Cork", "Varna"]
SCORES = [("Orders rose at the {} yard", 0.8), ("A strike shut the {} mill", -0.6), ("{} office moves in May", 0.0)]


@pytest.fixture
def package(tmp_path):
    """The code of the page as an installed package: modules, and metadata with the page's own entry points."""
    text = PAGE.read_text(encoding="utf-8")
    form, metric = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    [toml] = re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    site = tmp_path / "site"
    module, metadata = site / "my_package", site / "my_package-1.0.dist-info"
    module.mkdir(parents=True)
    metadata.mkdir()
    (module / "__init__.py").touch()
    (module / "signed.py").write_text(form, encoding="utf-8")
    (module / "balanced_accuracy.py").write_text(metric, encoding="utf-8")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    points = re.sub(r'^\[project\.entry-points\."(.+)"\]$', r"[\1]", toml, flags=re.MULTILINE).replace('"', "")
    (metadata / "entry_points.txt").write_text(points)
    return site


@pytest.mark.integration
def test_the_format_reads_rows_and_the_metric_is_computed(package, tmp_path, tiny_llama):
    rows = [f"{text.format(city)},{score}" for city in CITIES for text, score in SCORES]
    (tmp_path / "rows.csv").write_text("\n".join(["headline,score", *rows]) + "\n")
    (tmp_path / "run.yaml").write_text(CONFIG.format(base=tiny_llama))
    done = subprocess.run(
        [sys.executable, "-c", "from luthier.cli import main; main()", "train", "run.yaml", "--json"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(package), "LUTHIER_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["record"]["data"]["labels"] == ["negative", "neutral", "positive"]
    scores = result["metrics"]["results"]["test"]["labels"]
    assert scores["metrics"]["balanced_accuracy"]["title"] == "balanced accuracy"
    assert scores["tuned"]["balanced_accuracy"]["value"] == pytest.approx(mean_recall(result["run"]))


def mean_recall(run):
    """The metric once more, by scikit-learn."""
    from sklearn.metrics import balanced_accuracy_score

    answers = map(json.loads, (Path(run) / "evaluation" / "predictions.jsonl").read_text().splitlines())
    pairs = [(a["expected"], a["parsed"]) for a in answers if (a["model"], a["mode"]) == ("tuned", "labels")]
    return balanced_accuracy_score(*zip(*pairs, strict=True))
