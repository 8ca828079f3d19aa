"""The first rows of every real data set whose shape is known, with nothing said about them but the path."""

from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from luthier.config import SourceConfig
from luthier.data.examples import Row, UnreadableRow
from luthier.data.formats import examples_in
from luthier.data.intake import OpenSource

FIRST = 200

SETS: list[tuple[str, dict[str, Any], str, float]] = [
    *((f"financial_phrasebank/Sentences_{name}Agree.txt", {}, "phrasebank", 1.0) for name in ("50", "66", "75", "All")),
    ("sentfin/SEntFiN.csv", {}, "entity_labels", 1.0),
    ("stocknet/stocknet_price_tweets.tar.gz", {"files": "tweet/*/AAPL/*"}, "text", 1.0),
    ("tat_qa/tatqa_dataset_dev.json", {}, "table_text", 0.99),
    ("tat_qa/tatqa_dataset_test_gold.json", {}, "table_text", 0.99),
    *((f"disc_finllm_sft_sample/{name}_part.json", {}, "alpaca", 1.0) for name in ("computing", "consulting")),
    *((f"disc_finllm_sft_sample/{name}_part.json", {}, "alpaca", 1.0) for name in ("retrieval", "task")),
    ("pubmedqa/ori_pqal.json", {}, "question_context", 1.0),
    ("medquad/medquad.tar.gz", {"files": "*_QA/*.xml"}, "medquad", 0.0),
    ("medquad/medquad.tar.gz", {"files": "1_CancerGov_QA/*"}, "medquad", 0.99),
    ("cn_medical_dialogue_sample/样例_内科5000-6000.csv", {}, "prompt_response", 1.0),
    *((f"tal_scq5k/{language}_single_choice_train_3K.jsonl", {}, "choice", 0.98) for language in ("ch", "en")),
    ("gsm8k/test.jsonl", {}, "prompt_response", 1.0),
    *((f"llamafactory_demos/{name}.json", {}, "alpaca", 1.0) for name in ("alpaca_en_demo", "alpaca_zh_demo")),
    ("llamafactory_demos/identity.json", {}, "alpaca", 1.0),
    ("llamafactory_demos/glaive_toolcall_en_demo.json", {}, "sharegpt", 1.0),
    ("llamafactory_demos/dpo_en_demo.json", {}, "preference", 1.0),
    ("llamafactory_demos/c4_demo.jsonl", {}, "text", 1.0),
    ("llamafactory_demos/wiki_demo.txt", {}, "text", 1.0),
    *((f"flores_en_zh/flores-{part}.{{en,zh}}", {}, "pair", 1.0) for part in ("dev", "test")),
]


@pytest.mark.real
@pytest.mark.parametrize(("path", "options", "name", "share"), SETS)
def test_it_is_recognised_and_read(
    shared_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    kept_cache: Path,
    path: str,
    options: Any,
    name: str,
    share: float,
) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(kept_cache))
    opened = OpenSource.open(SourceConfig(path=str(shared_data / path), **options), lambda note: None)
    assert opened.name == name
    assert opened.format is not None
    rows = [row for row in islice(opened.rows(), FIRST) if isinstance(row, Row)]
    assert rows
    parts = [part for row in rows for part in examples_in(opened.format, row)]
    good = [part for part in parts if not isinstance(part, UnreadableRow)]
    assert len(good) >= share * len(parts)
