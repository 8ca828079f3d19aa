"""`luthier new`: the configuration fits the data, and is complete."""

import json
import random
import re

import pytest

from luthier import drafting
from luthier.config import parse_config
from luthier.drafting import draft
from luthier.errors import ConfigError, DataError
from luthier.languages import speaking

WORDS = "profit sales market share quarter growth loss bank price order new old plan unit cost".split()  # noqa: SIM905


@pytest.fixture
def write(tmp_path):
    def make(name, rows, encoding="utf-8"):
        file = tmp_path / name
        lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
        file.write_bytes("\n".join([*lines, ""]).encode(encoding))
        return str(file)

    return make


def labelled(count, labels, text=None, seed=1):
    pick = random.Random(seed)
    sentence = text or (lambda: " ".join(pick.choices(WORDS, k=12)))
    return [{"sentence": sentence(), "mood": labels[number % len(labels)]} for number in range(count)]


def chinese(pick=random.Random(2)):  # noqa: B008
    return "".join(pick.choices("公司业绩增长下滑市场股价大幅上涨净利润同比减少项目投资", k=20))


@pytest.mark.parametrize("task", [None, "sequence_classification"])
def test_what_is_written_is_read_as_the_same_configuration(write, task):
    made = draft(write("a.jsonl", labelled(60, ["good", "bad"])), task=task)
    assert parse_config(made.yaml) == made.config
    assert made.yaml.startswith(f"# {made.profile.path}: 60 rows")


def test_english_labels(write):
    path = write("my rows.jsonl", labelled(90, ["positive", "negative", "neutral"]))
    made = draft(path)
    data = made.config.data
    assert made.config.name == "my-rows"
    assert made.config.task.name == "causal_lm"
    assert data.train[0].path == path
    assert data.train[0].columns == {"text": "sentence", "label": "mood"}
    assert data.labels == ["negative", "neutral", "positive"]
    assert data.instruction == "What is the sentiment of this text? Choose from {labels}."
    assert data.max_length == 192
    assert made.config.training.epochs == 5
    assert "\n  # For 90 rows; fewer rows need more passes.\n  epochs: 5.0\n" in made.yaml


def test_chinese_text_is_asked_in_chinese(write):
    rows = [f"{row['sentence']},{row['mood']}" for row in labelled(60, ["财报", "并购"], chinese)]
    made = draft(write("新闻.csv", ["text,label", *rows], encoding="gb18030"))
    assert made.config.name == "新闻"
    assert made.config.data.train[0].encoding == "gb18030"
    assert made.config.data.labels == ["并购", "财报"]
    assert made.config.data.instruction == "这段文字属于哪一类？请从以下选项中选择：{labels}。"


def test_everything_is_said_in_chinese(write):
    rows = labelled(50, ["good"]) + labelled(5, ["bad"], seed=2) + labelled(1, ["rare"], seed=3)
    path = write("a.jsonl", [*rows, "{}"])
    english = draft(path)
    with speaking("zh"):
        made = draft(path)
    assert made.config == english.config.model_copy(update={"language": "zh"})
    assert parse_config(made.yaml) == made.config
    comments = re.findall(r"^ *# (.*)$", made.yaml, re.MULTILINE)
    assert len(comments) > 60
    for line in [*made.summary, *made.remarks, *comments]:
        assert re.search("[\u4e00-\u9fff，。、（）]", line), line
    assert all(len(line) < 130 for line in made.yaml.splitlines())


def test_an_encoder_needs_no_instruction(write):
    made = draft(write("a.jsonl", labelled(60, ["good", "bad"])), task="sequence_classification")
    assert made.config.data.instruction is None
    assert made.config.training.learning_rate == 1e-3


def test_plain_text_is_split_and_has_no_labels(write):
    made = draft(write("a.txt", [" ".join(WORDS) + f" {number}." for number in range(60)]))
    assert made.config.data.too_long == "split"
    assert made.config.data.labels is None
    assert made.config.evaluation.few_shot == 0


def test_answers_are_conversations(write):
    rows = [{"prompt": f"What is {number} plus one?", "response": str(number + 1)} for number in range(60)]
    made = draft(write("a.jsonl", rows))
    assert made.config.data.split.by == "random"
    assert made.config.evaluation.generate.max_new_tokens == 64
    with pytest.raises(ConfigError, match="learns labels"):
        draft(made.profile.path, task="sequence_classification")


def test_pairs_are_for_an_encoder_decoder(write):
    rows = [{"translation": {"zh": chinese(), "en": " ".join(WORDS[n % 9 : n % 9 + 7]) + f" {n}"}} for n in range(60)]
    made = draft(write("a.jsonl", rows))
    config = made.config
    assert (config.task.name, config.model.base) == ("seq2seq", drafting.HUB_BASES["seq2seq"])
    assert config.data.train[0].columns == {"source": "en", "target": "zh"}
    assert config.task.max_target_length == config.data.max_length
    assert config.data.split.by == "random"
    assert config.evaluation.metrics == ["chrf", "bleu"]
    assert "bring its folder here" in made.yaml
    assert parse_config(made.yaml) == config
    with pytest.raises(ConfigError, match="does not learn from"):
        draft(made.profile.path, task="causal_lm")


def test_two_answers_are_for_preference_tuning(write):
    rows = [{"prompt": f"{WORDS[n % 9]} {n}?", "chosen": f"yes {n}", "rejected": f"no {n * 7}"} for n in range(60)]
    made = draft(write("a.jsonl", rows))
    assert made.config.task.name == "preference"
    assert made.config.model.base in (drafting.HUB_BASES["preference"], drafting.LOCAL_BASES["preference"])
    assert made.config.data.split.by == "random"
    assert parse_config(made.yaml) == made.config
    with pytest.raises(ConfigError, match="does not learn from"):
        draft(made.profile.path, task="causal_lm")


def test_a_local_base_is_preferred_and_a_hub_one_explained(write, monkeypatch):
    path = write("a.jsonl", labelled(60, ["good", "bad"]))
    local = drafting.LOCAL_BASES["causal_lm"]
    monkeypatch.setattr(drafting, "local_bases", lambda: [local])
    assert draft(path).config.model.base == local
    monkeypatch.setattr(drafting, "local_bases", list)
    made = draft(path)
    assert made.config.model.base == drafting.HUB_BASES["causal_lm"]
    assert "# From the hub." in made.yaml
    assert draft(path, base="my/base").config.model.base == "my/base"


def test_rows_that_cannot_be_read_are_told_and_tolerated(write):
    made = draft(write("a.jsonl", [*labelled(57, ["good", "bad"]), '{"sentence": 1', "{}", '{"sentence": null}']))
    assert 3 / 60 <= made.config.data.tolerance <= 0.07
    assert "3 of 60 rows cannot be read" in made.remarks[0]


@pytest.mark.parametrize(
    ("labels", "remark"),
    [
        (["0", "1"], "the labels are numbers"),
        (["same"], "every row has the same label"),
        (["a"] * 30 + ["rare"] + ["b"] * 29, "fewer than three rows have rare"),
    ],
)
def test_labels_that_will_not_do_are_told(write, labels, remark):
    rows = [{"text": row["sentence"], "label": row["mood"]} for row in labelled(60, labels)]
    assert any(remark in said for said in draft(write("a.jsonl", rows)).remarks)


def test_long_rows_are_cut_and_told(write):
    rows = [
        {"text": " ".join(WORDS * 60), "label": "good"},
        *({"text": f"fine {n}", "label": "bad"} for n in range(40)),
    ]
    made = draft(write("a.jsonl", rows))
    assert made.config.data.max_length == 1024
    assert made.config.data.too_long == "truncate"
    assert any("cut at 1,024" in said for said in made.remarks)


def test_rows_without_a_format_are_refused(write):
    with pytest.raises(DataError) as caught:
        draft(write("a.jsonl", [{"x": number, "y": number * 2} for number in range(30)]))
    assert caught.value.exit_code == 3
    assert "x, y" in caught.value.hint


def test_a_wrong_task_gets_the_nearest_right_one(write):
    with pytest.raises(ConfigError, match="causal_lm"):
        draft(write("a.jsonl", labelled(30, ["good", "bad"])), task="causal-lm")


@pytest.mark.parametrize(
    ("row", "task", "kind"),
    [
        (
            lambda n: {"text": f"{n} rose", "labels": ["up", "new"][: n % 3]},
            "sequence_classification",
            "several",
        ),
        (lambda n: {"text": f"{n} shares rose", "score": n / 10}, "sequence_classification", "regression"),
        (lambda n: {"words": [str(n), "Nokia"], "tags": ["O", "B-ORG"]}, "token_classification", None),
    ],
    ids=["several labels", "scores", "tags"],
)
def test_rows_for_a_head_get_the_only_task_that_learns_from_them(write, row, task, kind):
    path = write("a.jsonl", [row(number) for number in range(60)])
    made = draft(path)
    assert (made.config.task.name, getattr(made.config.task, "kind", None)) == (task, kind)
    assert made.config.data.instruction is None
    assert made.config.evaluation.baselines
    assert parse_config(made.yaml) == made.config
    with pytest.raises(ConfigError, match="does not learn from"):
        draft(path, task="causal_lm")


def test_labels_are_no_tags(write):
    with pytest.raises(ConfigError, match="learns tags, and these rows have none"):
        draft(write("a.jsonl", labelled(60, ["good", "bad"])), task="token_classification")
