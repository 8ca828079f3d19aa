"""Milliseconds an answer, on the tiny models."""

import pytest

from luthier.errors import ModelError
from luthier.evaluation.latency import asked_texts, measure_latency
from luthier.methods.lora import Lora

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("own_cache")]


def test_base_unmerged_and_merged(trained_llama):
    texts = asked_texts(trained_llama, 4)
    assert len(set(texts)) == 4
    found = measure_latency(trained_llama, texts)
    assert (found["rows"], found["mode"], found["dtype"]) == (4, "labels", "float32")
    assert all(found[key] > 0 for key in ("base_ms", "unmerged_ms", "merged_ms"))


def test_a_method_that_cannot_be_merged(trained_bert, monkeypatch):
    def refuse(self, network):
        raise ModelError("there is nothing to merge")

    monkeypatch.setattr(Lora, "merge", refuse)
    found = measure_latency(trained_bert, asked_texts(trained_bert, 3))
    assert found["merged_ms"] is None
    assert found["unmerged_only"] == "there is nothing to merge"
