from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from luthier.evaluation.comparison import compare
from luthier.evaluation.results import Answers, assemble, write_predictions
from luthier.evaluation.sections import compare_sections
from luthier.reporting.report import render_report, write_report
from luthier.runs import Run
from luthier.runs.files import write_json
from luthier.tasks import Prediction

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Collects headings, text and tags, and fails on tags that do not close."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.headings: list[str] = []
        self.words = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.links += [value for name, value in attrs if name in ("href", "src") and value]
        self.ids += [values["id"]] if values.get("id") else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.words += data
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def page_of(run: Run) -> Page:
    path = write_report(run)
    assert path == run.path / "report.html"
    return Page(path.read_text(encoding="utf-8"))


def test_a_complete_run_shows_everything(full_run):
    page = page_of(full_run)
    assert page.headings == ["Scores", "Training", "Classes", "Answers", "Data", "Configuration", "Environment"]
    for text in (
        "Tuning helped: accuracy 0.9",
        "TF-IDF + logistic regression",
        "McNemar's exact test",
        "Put right by tuning",
        "Answers while it ran",
        "2\u202f000 rows came in",
        "data/train.jsonl:98",
        "3 labels share their first token",
        "4\u202f884\u202f480 of 139\u202f399\u202f872 parameters (3.5\u00a0%)",
        "bfloat16 multiplies 3.9 times as fast",
        "learning_rate: 5.0e-4",
        "ab12ab12",
        "本季度净利润同比增长",
    ):
        assert text in page.words
    assert page.tags.count("svg") == 3


def test_a_report_in_chinese_is_built_like_the_english_one(full_run):
    full_run.events.write("step", 227, loss=50.0, learning_rate=1e-4)
    english, chinese = page_of(full_run), Page(render_report(full_run, "zh"))
    assert chinese.tags == english.tags
    assert chinese.ids == english.ids
    assert chinese.headings == ["得分", "诊断", "训练", "类别", "回答", "数据", "配置", "环境"]
    for text in (
        "微调有效：准确率 0.9",
        "损失不稳定",
        "最严重的是第 227 步的 50",
        "读入 2\u202f000 行",
        "学习率",
        "微调后改对",
    ):
        assert text in chinese.words
    numbers = re.compile(r"\d+\.\d{3}")
    assert sorted(numbers.findall(chinese.words)) == sorted(numbers.findall(english.words))


def test_the_language_is_that_of_the_configuration_unless_another_is_asked_for(full_run):
    config = full_run.config_file.read_text(encoding="utf-8")
    full_run.config_file.write_text(f"{config}language: zh\n", encoding="utf-8")
    assert '<html lang="zh">' in render_report(full_run)
    assert '<html lang="en">' in render_report(full_run, "en")


def test_how_often_rows_were_seen(empty_run):
    empty_run.update_record(mix=[{"name": "a & b", "rows": 1200, "repeats": 2.5, "epochs": 7.5}])
    page = page_of(empty_run)
    assert "rows of a & b" in page.words
    assert "1\u202f200, each 2.50 times an epoch, 7.50 times in all" in page.words


def test_what_is_wrong_has_a_section(full_run):
    full_run.events.write("step", 227, loss=50.0, learning_rate=1e-4)
    page = page_of(full_run)
    assert page.headings[:3] == ["Scores", "Diagnosis", "Training"]
    assert "the worst is 50 at step 227" in page.words
    assert "training.learning_rate: 0.0002" in page.words
    assert "<code>luthier inspect</code>" in full_run.report.read_text(encoding="utf-8")


def test_it_needs_nothing_from_outside_and_no_script(full_run):
    page = page_of(full_run)
    html = full_run.report.read_text(encoding="utf-8")
    assert page.links
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert not re.search(r"url\(|@import|https?://", html)
    assert "script" not in page.tags


def test_texts_of_data_and_models_stay_texts(full_run):
    page = page_of(full_run)
    assert "<script>alert('x')</script> & \"quoted\" {{ 7 * 7 }}" in page.words


def test_a_run_that_was_only_created_has_its_configuration(empty_run):
    page = page_of(empty_run)
    assert page.headings == ["Configuration"]
    assert "Not compared with its base yet" in page.words
    assert "some_model/SomeModel-135M-Instruct.gguf, tuned with lora (causal lm) · planned" in page.words


def test_a_classifier_without_a_base_to_compare_with(empty_run, evaluated):
    evaluated(empty_run, ["head"], base=False)
    page = page_of(empty_run)
    assert page.headings == ["Scores", "Classes", "Answers", "Configuration"]
    assert "the base by itself cannot answer" in page.words
    assert "F1, base" not in page.words
    assert "McNemar" not in page.words


def test_documents_are_shown_by_their_perplexity(empty_run):
    base = [Prediction(i, "", None, "", None, {}, 40.0 + i, 10) for i in range(30)]
    tuned = [Prediction(i, "", None, "", None, {}, 30.0 + i, 10) for i in range(30)]
    found = compare(base, tuned, {}, ["accuracy"], [], seed=0)
    write_json(empty_run.metrics_file, assemble({"test": {"likelihood": found}}, "test", "likelihood"))
    write_predictions(
        empty_run.predictions_file,
        [Answers("base", "test", "likelihood", base), Answers("tuned", "test", "likelihood", tuned)],
    )
    page = page_of(empty_run)
    assert page.headings == ["Scores", "Configuration"]
    assert "Tuning helped: loss 4.450" in page.words
    assert "perplexity" in page.words


def test_rows_without_expected_answers_have_answers_but_no_scores(empty_run):
    said = [Prediction(0, "prompt", None, "an answer", "an answer")]
    found = compare(said, said, {}, ["accuracy"], [], seed=0)
    write_json(empty_run.metrics_file, assemble({"test": {"generate": found}}, "test", "generate"))
    write_predictions(empty_run.predictions_file, [Answers("tuned", "test", "generate", said)])
    page = page_of(empty_run)
    assert "no expected answers" in page.words
    assert "an answer" in page.words


def test_a_run_that_failed_says_why(empty_run):
    write_json(empty_run.path / "run.json", {"state": "failed"})
    empty_run.events.write("state", 7, state="failed", message="the loss is not finite")
    page = page_of(empty_run)
    assert "the loss is not finite" in page.words


def test_a_run_still_going_shows_its_curves(empty_run):
    empty_run.events.write("step", 1, loss=2.0, learning_rate=1e-4, tokens_per_second=10.0, tokens=10, seconds=1.0)
    page = page_of(empty_run)
    assert page.headings == ["Training", "Configuration"]
    assert page.tags.count("svg") == 2


@pytest.mark.parametrize("labels", [2, 40])
def test_any_number_of_classes(empty_run, labels):
    names = [f"label {number}" for number in range(labels)]
    rows = [Prediction(i, "text", names[i % labels], names[0], names[0]) for i in range(200)]
    found = compare(rows, rows, {}, ["accuracy"], names, seed=0)
    write_json(empty_run.metrics_file, assemble({"test": {"labels": found}}, "test", "labels"))
    assert names[-1] in page_of(empty_run).words


def test_what_cleaning_did_has_a_section(empty_run):
    shown = {"why": "HTML removed", "before": "<p>Profit</p><script>", "after": "Profit"}
    hidden = {"why": "personal data masked: names", "before": None, "after": "[NAME_1] said"}
    dropped = {"why": "length: too few words", "before": "short", "after": None}
    terms = dict.fromkeys(map(str, range(1000, 1150)), 5)
    steps = [
        {"name": "strip_html", "changed": 1200, "dropped": 0, "noted": 0, "counts": {}, "examples": [shown]},
        {"name": "personal_data", "changed": 1, "dropped": 0, "noted": 0, "counts": {"names": 7}, "examples": [hidden]},
        {"name": "length", "changed": 0, "dropped": 1, "noted": 2, "counts": {}, "examples": [dropped]},
        {"name": "domain_terms", "changed": 0, "dropped": 0, "noted": 0, "counts": terms, "examples": []},
    ]
    write_json(empty_run.cleaning_file, steps)
    page = page_of(empty_run)
    assert page.headings == ["Cleaning", "Configuration"]
    for text in (
        "1\u202f200",
        "<p>Profit</p><script>",
        "(not shown)",
        "[NAME_1] said",
        "length: too few words",
        "names",
    ):
        assert text in page.words
    assert "1099" in page.words
    assert "1100" not in page.words
    assert "The first 100 of 150; all are in cleaning.json." in page.words


def test_without_cleaning_steps_there_is_no_such_section(empty_run):
    write_json(empty_run.cleaning_file, [])
    assert page_of(empty_run).headings == ["Configuration"]


def test_every_sample_has_a_table_of_its_own_with_the_steps_across(full_run):
    full_run.events.write("evaluation", 56, split="samples", metrics={"rouge_l": 0.25, "analysis/rouge_l": None})
    page = page_of(full_run)
    html = full_run.report.read_text(encoding="utf-8")
    assert html.count('<table class="samples over-time">') == 5
    assert html.count("<caption") == 5
    assert "scores of these answers" in page.words
    assert "ROUGE-L" in page.words


def test_scores_say_how_they_were_computed_and_parts_have_tables(empty_run):
    rows = [Prediction(i, "text", "Good: it rose\nBad: it fell", *2 * ["Good: it rose"]) for i in range(20)]
    found = compare(rows, rows, {}, ["bleu"], [], seed=0)
    found["sections"] = compare_sections(rows, rows, {"good": "^Good:", "bad": "^Bad:"}, ["rouge_l"], seed=0)
    write_json(empty_run.metrics_file, assemble({"test": {"generate": found}}, "test", "generate"))
    page = page_of(empty_run)
    assert "BLEU: nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:" in page.words
    assert "test, answers generated, good 20 rows" in page.words
    assert "100.0\u00a0% of tuned's and 100.0\u00a0% of base's answers lack it" in page.words


def test_general_text_and_reliability_are_shown(full_run, evaluated):
    scored = [
        Prediction(i, "t", right, right, right, {"up": -0.1 - i / 90, "down": -2.0}, 0.1, 1)
        for i, right in enumerate(["up"] * 40)
    ]
    found = assemble(
        {"test": {"labels": compare(scored, scored, {}, ["accuracy"], ["up", "down"], seed=0)}}, "test", "labels"
    )
    read = [Prediction(i, "", None, "", None, {}, 40.0 + i, 10) for i in range(30)]
    write_json(full_run.metrics_file, found | {"forgetting": compare(read, read, {}, [], [], seed=0)})
    full_run.update_record(speed={"rows": 3, "first_token_ms": 84.0, "tokens_per_second": 21.0})
    page = page_of(full_run)
    assert "General text, what is still known" in page.words
    assert "On general text it has forgotten nothing that shows" in page.words
    assert "How sure, and how often right" in page.words
    assert "how often right" in page.words
    assert "first token after 84 ms; then 21 tokens/s" in page.words
    assert page.tags.count("svg") == 5
