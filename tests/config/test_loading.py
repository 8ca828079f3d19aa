"""Reading a configuration: everything that is wrong is said at once, each with its place and the nearest right name."""

import pytest

from luthier.config import load_config, parse_config
from luthier.errors import ConfigError

GOOD = """\
model: {base: some/base}
data: {train: rows.csv}
"""


def errors_of(text, overrides=()):
    """The lines of the error, without the first and the last one."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, overrides, source="run.yaml")
    assert caught.value.exit_code == 2
    return [line.removeprefix("- ") for line in caught.value.found.splitlines()[1:]]


def error_of(text, overrides=()):
    (line,) = errors_of(text, overrides)
    return line


def test_the_smallest_configuration():
    config = parse_config(GOOD)
    assert config.model.base == "some/base"
    assert [source.path for source in config.data.train] == ["rows.csv"]
    assert (config.task.name, config.method.name) == ("causal_lm", "lora")
    assert [step.name for step in config.data.clean] == ["deduplicate"]


def test_all_errors_come_together_in_the_order_of_the_file():
    lines = errors_of(
        """\
model:
  bas: some/base
  device: cdua
training:
  schedul: cosine
  epochs: many
data:
  train: rows.csv
  too_long: drp
""",
    )
    assert lines == [
        "run.yaml:1:1: model.base: this key is required: Hub id, folder, .gguf file, or package:MODULE/FILE "
        "(a file inside a Python package).",
        "run.yaml:2:3: model.bas: unknown key; did you mean 'base'?",
        "run.yaml:3:3: model.device: got \"cdua\", expected 'auto', 'cpu', 'cuda' or 'mps'; did you mean 'cuda'?",
        "run.yaml:5:3: training.schedul: unknown key; did you mean 'schedule'?",
        'run.yaml:6:3: training.epochs: got "many", expected a number',
        "run.yaml:9:3: data.too_long: got \"drp\", expected 'drop', 'truncate', 'split' or 'fail'; "
        "did you mean 'drop'?",
    ]


@pytest.mark.parametrize(
    ("yaml", "place", "message"),
    [
        ("method: {name: lora, rnk: 8}", "3:22", "method.rnk: unknown key; did you mean 'rank'?"),
        ("method: {rnk: 8}", "3:10", "method.rnk: unknown key; did you mean 'rank'?"),
        ("method: lorra", "3:1", "method: there is no 'lorra'; did you mean 'lora'?"),
        ("task: {name: causal_ml}", "3:1", "task: there is no 'causal_ml'; did you mean 'causal_lm'?"),
        (
            "training: {schedule: {name: cosine, minimun: 0.1}}",
            "3:37",
            "training.schedule.minimun: unknown key; did you mean 'minimum'?",
        ),
        ("training: {schedule: cosin}", "3:12", "training.schedule: there is no 'cosin'; did you mean 'cosine'?"),
        ("training: {optimizer: {beta2: 1}}", "3:24", "training.optimizer.beta2: got 1, expected a number below 1.0"),
        (
            "evaluation: {metrics: [acuracy]}",
            "3:24",
            "evaluation.metrics[0]: there is no metric 'acuracy'; did you mean 'accuracy'?",
        ),
        ("evaluation: {every: -1}", "3:14", "evaluation.every: got -1, expected 0 or more"),
        ("learning_rate: 3", "3:1", "learning_rate: unknown key here; did you mean 'training.learning_rate'?"),
        ("trainin: {}", "3:1", "trainin: unknown key; did you mean 'training'?"),
        (
            "training: {micro_batch: lots}",
            "3:12",
            "training.micro_batch: got \"lots\", expected a whole number or 'auto'",
        ),
        ("training: {micro_batch: 0}", "3:12", "training.micro_batch: got 0, expected 1 or more or 'auto'"),
        ("training: {seed: -1}", "3:12", "training.seed: got -1, expected 0 or more"),
        ("method: {alpha: 0}", "3:10", "method.alpha: got 0, expected a number above 0.0 or 'auto'"),
        (
            "method: {rank_pattern: {q_proj: 0}}",
            "3:25",
            "method.rank_pattern.q_proj: got 0, expected 1 or more",
        ),
        ("training: {epochs: [1, 2]}", "3:12", "training.epochs: got [1, 2], expected a number"),
        ("training: 3", "3:1", "training: got 3, expected a mapping of keys to values"),
        ("method: 3", "3:1", "method: got 3, expected a name or {name: ..., its options}; known: "),
        (
            "training: {checkpoint: {every: 1.5}}",
            "3:25",
            "training.checkpoint.every: a float is a share of all steps, up to 1.0; use an integer",
        ),
        ('name: "a b"', "3:1", 'name: got "a b", which does not fit: Name of the run'),
        ("output: 2026", "3:1", "output: got 2026, expected text; put it in quotes"),
        (
            "training: {engine: null}",
            "3:12",
            "training.engine: got null, expected 'auto', 'reference' or 'fast'",
        ),
    ],
)
def test_one_wrong_key_or_value(yaml, place, message):
    assert error_of(GOOD + yaml).startswith(f"run.yaml:{place}: {message}")


@pytest.mark.parametrize(
    ("yaml", "place", "message"),
    [
        (
            "{train: [{path: a, colums: {text: s}}]}",
            "2:26",
            "data.train[0].colums: unknown key; did you mean 'columns'?",
        ),
        ("{train: [{path: a, columns: {text: 3}}]}", "2:36", "data.train[0].columns.text: got 3, expected text"),
        ("{train: [{path: a, format: labeled}]}", "2:26", "data.train[0].format: there is no format 'labeled'; did"),
        (
            "{train: [{format: auto}]}",
            "2:16",
            "data.train[0].path: this key is required: A file or a folder",
        ),
        ("{train: []}", "2:8", "data.train: got [], expected at least 1 item"),
        ("{train: a, clean: [dedup]}", "2:26", "data.clean[0]: there is no 'dedup'; did you mean 'deduplicate'?"),
        ("{train: a, labels: [up, 1]}", "2:31", "data.labels[1]: got 1, expected text; put it in quotes"),
        ("{train: a, split: {by: lable}}", "2:26", 'data.split.by: got "lable", which does not fit: random | label'),
        ("{}", "2:1", "data.train: this key is required: Sources of the training rows."),
    ],
)
def test_one_wrong_key_or_value_in_data(yaml, place, message):
    line = error_of(f"model: {{base: some/base}}\ndata: {yaml}")
    assert line.startswith(f"run.yaml:{place}: {message}")


def test_yaml_1_2_booleans_and_numbers():
    config = parse_config(
        GOOD.replace("rows.csv", "rows.csv, labels: [yes, no, on]") + "training: {learning_rate: 5e-4}"
    )
    assert config.data.labels == ["yes", "no", "on"]
    assert config.training.learning_rate == 5e-4


def test_values_are_pythons_own_types():
    config = parse_config('name: &n "quoted"\nmodel: {base: *n, trust_remote_code: &b true}\ndata: {train: 2024-01-31}')
    assert type(config.name) is type(config.model.base) is str
    assert config.model.trust_remote_code is True
    assert config.data.train[0].path == "2024-01-31"


def test_short_forms_of_sources():
    text = "model: {base: b}\ndata: {train: [a.csv, {path: b.csv, encoding: gb18030}], test: {path: c.csv}}"
    data = parse_config(text).data
    assert [(source.path, source.encoding) for source in data.train] == [("a.csv", "auto"), ("b.csv", "gb18030")]
    assert [source.path for source in data.test] == ["c.csv"]


class TestOverrides:
    @pytest.mark.parametrize(
        ("override", "read"),
        [
            ("training.epochs=1.5", lambda config: config.training.epochs == 1.5),
            ("training.learning_rate=1e-4", lambda config: config.training.learning_rate == 1e-4),
            ("method.rank=4", lambda config: (config.method.name, config.method.rank) == ("lora", 4)),
            ("training.schedule=linear", lambda config: config.training.schedule.name == "linear"),
            ("training.schedule.minimum=0.5", lambda config: config.training.schedule.minimum == 0.5),
            ("data.train.columns.text=s", lambda config: config.data.train[0].columns == {"text": "s"}),
            ("data.train=[a.csv, b.csv]", lambda config: len(config.data.train) == 2),
            ("data.labels=[yes, no]", lambda config: config.data.labels == ["yes", "no"]),
            ("data.instruction=Choose: {labels}", lambda config: config.data.instruction == "Choose: {labels}"),
            ("data.system=", lambda config: config.data.system is None),
            ("evaluation.every=null", lambda config: config.evaluation.every is None),
        ],
    )
    def test_any_key(self, override, read):
        assert read(parse_config(GOOD, [override]))

    def test_an_item_of_a_list(self):
        text = "model: {base: b}\ndata: {train: [{path: a.csv}, b.csv]}"
        data = parse_config(text, ["data.train[0].encoding=latin-1", "data.train.1.format=auto"]).data
        assert [(source.path, source.encoding) for source in data.train] == [("a.csv", "latin-1"), ("b.csv", "auto")]

    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ("training.epoch=1", "training.epoch: unknown key; did you mean 'epochs'?"),
            ("trainin.epochs=1", "trainin: unknown key; did you mean 'training'?"),
            ("training.epochs=x", 'training.epochs: got "x", expected a number'),
            ("model.device={}", "model.device: got {}, expected 'auto', 'cpu', 'cuda' or 'mps'"),
            ("training", "expected KEY.PATH=VALUE, such as training.epochs=1"),
            ("=3", "expected KEY.PATH=VALUE, such as training.epochs=1"),
            ("training..epochs=3", "expected KEY.PATH=VALUE, such as training.epochs=1"),
            ("data.clean.name=x", "data.clean is a list; say which item, such as data.clean[0].name"),
            ("data.clean[1].name=x", "data.clean has no item 1; it has 1, counted from 0"),
            ("training.epochs.more=1", "training.epochs is a value (2) and has no keys of its own"),
            ("data.labels=[a", "the value is not YAML; put it in quotes if it is text"),
        ],
    )
    def test_a_wrong_one_is_named(self, override, message):
        text = "model: {base: b}\ndata: {train: a.csv, clean: [deduplicate]}\ntraining: {epochs: 2}"
        assert error_of(text, [override]) == f"--set {override}: {message}"

    def test_errors_of_overrides_and_of_the_file_come_together(self):
        lines = errors_of(GOOD + "nme: x", ["training", "training.epoch=1"])
        assert [line.split(": ")[0] for line in lines] == ["--set training", "run.yaml:3:1", "--set training.epoch=1"]

    def test_a_wrong_override_is_refused_though_the_file_is_right(self):
        assert error_of(GOOD, ["x"]).startswith("--set x: ")


class TestFiles:
    def refused(self, path):
        with pytest.raises(ConfigError) as caught:
            load_config(path)
        assert caught.value.exit_code == 2
        return caught.value

    def test_a_file_with_a_byte_order_mark(self, tmp_path):
        file = tmp_path / "run.yaml"
        file.write_text(GOOD, encoding="utf-8-sig")
        assert load_config(file).model.base == "some/base"

    def test_missing(self, tmp_path):
        assert "there is no configuration file" in self.refused(tmp_path / "run.yaml").found

    def test_a_folder(self, tmp_path):
        assert "is a folder" in self.refused(tmp_path).found

    def test_not_utf_8(self, tmp_path):
        file = tmp_path / "run.yaml"
        file.write_bytes("name: 运行".encode("gb18030"))
        assert "UTF-8" in self.refused(file).found

    @pytest.mark.parametrize("text", ["", "\n# only a comment\n", "---\n"])
    def test_empty(self, tmp_path, text):
        file = tmp_path / "run.yaml"
        file.write_text(text)
        assert self.refused(file).found == "the configuration is empty"

    @pytest.mark.parametrize("text", ["- a\n- b\n", "just text"])
    def test_not_a_mapping(self, tmp_path, text):
        file = tmp_path / "run.yaml"
        file.write_text(text)
        assert "mapping" in self.refused(file).found

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ("model: {base: b\ndata: c", ":2:5"),
            ("model:\n\tbase: b\n", ":2:1"),
            ("name: a\nname: b\n", ":2:1"),
            ("name: *nowhere\n", ":1:7"),
            ('name: "a\n', ":2:1"),
            ("a: 1\n---\nb: 2\n", ":2:1"),
            ("name: a\x07b\n", ""),
        ],
    )
    def test_broken_yaml_names_the_place(self, tmp_path, text, place):
        file = tmp_path / "run.yaml"
        file.write_text(text)
        error = self.refused(file)
        assert error.found.startswith("not valid YAML: ")
        assert "\n" not in error.found
        assert error.where == f"{file}{place}"

    def test_tabs_are_explained(self, tmp_path):
        file = tmp_path / "run.yaml"
        file.write_text("model:\n\tbase: b\n")
        assert "tabs" in self.refused(file).hint
