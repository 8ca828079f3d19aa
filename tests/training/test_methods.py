"""Methods with a schedule or a beginning of their own, in the loop: what they are shown, and that resuming is exact."""

import pytest

from luthier import pipeline
from luthier.errors import DataError

pytestmark = pytest.mark.integration

ADALORA = {"name": "adalora", "rank": 3, "warmup": 2, "settle": 2}
METHODS = {
    "adalora": ADALORA,
    "pissa": {"name": "lora", "rank": 4, "init": "pissa"},
    "eva": {"name": "lora", "rank": 4, "init": "eva"},
    "lora+": {"name": "lora", "rank": 4, "plus_ratio": 16},
}


@pytest.mark.parametrize("name", METHODS)
def test_interrupted_and_resumed_it_is_the_same_bit_for_bit(name, bench, weights, same, events):
    training = {"max_steps": 8, "checkpoint": {"every": 3}}
    materials = bench.materials(method=METHODS[name], training=training, evaluation={"every": None, "samples": 0})
    whole = bench.trainer(materials, "whole")
    whole.fit()

    first = bench.trainer(materials, "parts")
    step = first.step
    first.step = lambda: step() if first.session.progress.step < 5 else (_ for _ in ()).throw(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        first.fit()
    second = bench.trainer(materials, "parts")
    assert second.resume()
    assert second.session.progress.step == 3
    second.fit()

    assert same(weights(whole), weights(second))
    assert [event["loss"] for event in events(second)] == [event["loss"] for event in events(whole)]
    assert second.session.choice.engine.name == "fast"


def test_the_loop_prunes(bench):
    materials = bench.materials(method=ADALORA, training={"max_steps": 8}, evaluation={"every": None, "samples": 0})
    trainer = bench.trainer(materials)
    trainer.fit()
    ranks = materials.method.report(trainer.network)["rank_of"].values()
    assert sum(ranks) == 3 * len(ranks)
    assert len(set(ranks)) > 1


def test_both_engines_train_adalora_alike(bench, weights):
    parts = {"method": ADALORA, "evaluation": {"every": None, "samples": 0}}
    trained = {}
    for engine in ("reference", "fast"):
        trainer = bench.trainer(bench.materials(**parts, training={"max_steps": 1, "engine": engine}), engine)
        assert trainer.session.choice.engine.name == engine
        loss, norm, _ = trainer.gradient(1)
        trained[engine] = (loss, norm)
    assert trained["fast"] == pytest.approx(trained["reference"], rel=1e-4)


def test_rates_of_lora_plus_follow_the_schedule(bench):
    materials = bench.materials(method=METHODS["lora+"], training={"learning_rate": 1e-3, "max_steps": 4})
    trainer = bench.trainer(materials)
    for _ in range(3):
        trainer.step()
        slow, fast = (group["lr"] for group in trainer.optimizer.param_groups)
        assert 0 < slow <= 1e-3
        assert fast == pytest.approx(16 * slow)


def test_eva_is_shown_the_first_rows_that_are_trained_on(bench, monkeypatch):
    shown = []
    materials = bench.materials(method=METHODS["eva"])
    initialise = type(materials.method).initialise

    def watched(self, network, batches, forward):
        shown.extend(batches)
        initialise(self, network, batches, forward)

    monkeypatch.setattr(type(materials.method), "initialise", watched)
    session = bench.trainer(materials).session
    order = [materials.prepared.train[row].row_id for step in (1, 2) for row in session.order.rows(step)]
    told = [row for batch in shown for row in batch.row_ids]
    assert told[: len(order)] == order[: len(told)]
    assert all(batch.count >= 8 for batch in shown)


def test_too_few_rows_to_look_at(bench):
    materials = bench.materials(method={"name": "lora", "init": "eva", "rank": 16}, data={"limit": 3})
    with pytest.raises(DataError, match="looks at 32 learned tokens at once"):
        bench.trainer(materials)


def test_the_ranks_that_were_found_stand_in_the_record_and_the_report(
    own_cache, tmp_path, write_config, tiny_llama, labelled_file
):
    quick = {"every": None, "samples": 0, "few_shot": 0, "baselines": False}
    file = write_config(
        tmp_path / "run.yaml", tiny_llama, labelled_file, method=ADALORA, evaluation=quick, training={"max_steps": 6}
    )
    run = pipeline.train(file)
    found = run.record["method_report"]
    assert sum(found["rank_of"].values()) == 3 * len(found["rank_of"])
    assert "3.0 on average; 5 at first" in found["ranks"]
    assert found["ranks"] in run.report.read_text()
    assert pipeline.export(run, "merged", tmp_path / "merged").parity.agreement == 1.0
