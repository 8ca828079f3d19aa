"""One configuration with several methods, each trained once."""

import re

import pytest

from luthier.config import load_config, parse_config
from luthier.config.writing import to_yaml
from luthier.errors import ConfigError, TrainingError
from luthier.recipes import recipe
from luthier.runs import Run
from luthier.training.record import passport
from luthier.training.session import Materials
from luthier.training.variants import earlier, parse_methods, train_apart, variant, variants


def test_methods_as_people_write_them():
    assert parse_methods("lora, full") == [{"name": "lora"}, {"name": "full"}]
    found = parse_methods("lora{rank: 4, targets: [q_proj, v_proj]},full{freeze: {layers: 0-1}, learning_rate: 3e-5}")
    assert found == [
        {"name": "lora", "rank": 4, "targets": ["q_proj", "v_proj"]},
        {"name": "full", "freeze": {"layers": "0-1"}, "learning_rate": 3e-5},
    ]


@pytest.mark.parametrize("text", ["", "lora full", "lora{rank: 4", "lora{rank: [}"])
def test_what_is_no_list_of_methods(text):
    with pytest.raises(ConfigError):
        parse_methods(text)


def test_an_unknown_method_gets_a_suggestion():
    with pytest.raises(ConfigError, match="did you mean 'lora'"):
        parse_methods("lorra")


@pytest.fixture
def config(write_config, tmp_path, tiny_llama, labelled_file):
    parts = {"training": {"max_steps": 2, "learning_rate": 7e-4}, "evaluation": {"few_shot": 0, "samples": 0}}
    return load_config(write_config(tmp_path / "run.yaml", tiny_llama, labelled_file, **parts))


def test_learning_rates_fit_the_method(config):
    own = variant(config, {"name": "lora", "rank": 4}, 135_000_000)
    assert (own.name, own.method.rank, own.training.learning_rate) == ("tiny-lora-rank-4", 4, 7e-4)
    full = variant(config, {"name": "full"}, 135_000_000)
    assert (full.name, full.training.learning_rate) == ("tiny-full", 3e-5)
    given = variant(config, {"name": "full", "learning_rate": 1e-3}, 135_000_000)
    assert (given.name, given.training.learning_rate) == ("tiny-full-learning_rate-0.001", 1e-3)
    assert given.data == config.data


def test_wrong_options_are_told_before_anything_is_trained(config):
    with pytest.raises(ConfigError, match="did you mean 'rank'"):
        variant(config, {"name": "lora", "rnk": 4}, 1)


def test_methods_that_do_not_fit_are_told_before_anything_is_trained(bench):
    wanted = [{"name": name} for name in ("lora", "bitfit", "prompt")] + [
        {"name": "lora", "targets": ["no_such_layer"]}
    ]
    fitting, refused = variants(bench.materials(), wanted)
    assert [made.name for made in fitting] == ["tiny-lora", "tiny-prompt"]
    assert "tiny-bitfit could not be trained: this llama network has no biases" in refused[0]
    assert "no_such_layer" in refused[1]


@pytest.mark.parametrize(
    ("name", "base", "task"),
    [("compare_methods", "llama", "causal_lm"), ("compare_methods_encoder", "bert", "sequence_classification")],
)
def test_recipes_name_methods_that_fit(bench, name, base, task):
    wanted = parse_methods(re.search('--methods "([^"]+)"', recipe(name).description)[1])
    fitting, refused = variants(bench.materials(base, task=task), wanted)
    assert len(fitting) == len(wanted) == 6
    assert refused == []


@pytest.mark.integration
def test_a_variant_is_trained_once(config, own_cache, bench, monkeypatch):
    [first], refused = variants(bench.materials(), [{"name": "lora"}])
    assert (first.name, refused) == ("tiny-lora", [])
    quick = variant(config, {"name": "lora", "rank": 2}, 1000)
    assert earlier(quick) is None
    run = train_apart(quick, quiet=True)
    assert run.record["state"] == "finished"
    assert run.record["training_peak_mb"] > 100
    assert set(run.record["asking"]) == {"base", "tuned"}
    monkeypatch.setattr("luthier.training.variants._process", lambda *_: pytest.fail("trained again"))
    assert train_apart(quick, quiet=True) == run
    assert earlier(variant(config, {"name": "lora", "rank": 3}, 1000)) is None


@pytest.mark.integration
def test_a_run_of_other_rows_is_not_taken(config, own_cache, tmp_path, labelled_file):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(labelled_file.read_text())
    own = parse_config(to_yaml(config), [f"data.train={rows}"])
    run = Run.create(own, to_yaml(own))
    run.update_record(**passport(Materials.gather(own)))
    assert earlier(own) == run
    rows.write_text(rows.read_text().replace("rose", "went up"))
    assert earlier(own) is None


@pytest.mark.integration
def test_a_method_that_fails_says_why(config, own_cache):
    wrong = variant(config, {"name": "lora", "targets": ["no_such_layer"]}, 1000)
    with pytest.raises(TrainingError, match=r"tiny-lora-targets-no_such_layer could not be trained: .*no_such_layer"):
        train_apart(wrong, quiet=True)
