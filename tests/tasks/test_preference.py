"""Preference tuning: the loss by hand and by trl, the base as the reference, and a run from pairs to a verdict."""

import json
import math
from importlib.util import find_spec

import pytest
import torch

from luthier.data.records import TokenSequence
from luthier.errors import ModelError
from luthier.tasks import CHOSEN, REJECTED
from luthier.tasks.preference import Preference, PreferenceOptions, as_base


def plain(folder):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32).eval()


def tuned(folder, **options):
    """A network whose adapter changes what it says."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    network = get_peft_model(plain(folder), LoraConfig(r=4, task_type="CAUSAL_LM", **options))
    learned(network)
    return network.eval()


def learned(network):
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.05)


def pairs(shapes=((5, 4, 7), (9, 6, 2), (3, 1, 1))):
    """Rows of (prompt, better answer, worse answer) tokens."""
    made = []
    for number, (prompt, better, worse) in enumerate(shapes):
        ids = [3 + (7 * number + 5 * place) % 200 for place in range(prompt + better)]
        supervised = [place >= prompt for place in range(prompt + better)]
        rejected = [9 + (11 * number + 3 * place) % 200 for place in range(worse)]
        made.append(TokenSequence(ids, supervised, prompt, number, "asked", "answer", rejected=rejected))
    return made


def log_likelihood(network, prompt, answer):
    ids = torch.tensor([[*prompt, *answer]])
    with torch.no_grad():
        logprobs = network(ids).logits[0].double().log_softmax(-1)
    return sum(float(logprobs[len(prompt) + place - 1, token]) for place, token in enumerate(answer))


def loss_of(task, network, batch):
    with torch.no_grad():
        return float(task.loss(network, batch))


def by_hand(network, base, row, *, beta=0.1, loss="sigmoid", label_smoothing=0.0, sft_weight=0.0):
    """The loss of one pair in the words of the papers, one answer at a time, with a second copy of the base."""
    prompt, better, worse = row.ids[: row.prompt_length], row.ids[row.prompt_length :], row.rejected
    pi_w, pi_l = (log_likelihood(network, prompt, answer) for answer in (better, worse))
    ref_w, ref_l = (log_likelihood(base, prompt, answer) for answer in (better, worse))
    margin = beta * ((pi_w - pi_l) - (ref_w - ref_l))
    value = {
        "sigmoid": (1 - label_smoothing) * math.log(1 + math.exp(-margin))
        + label_smoothing * math.log(1 + math.exp(margin)),
        "hinge": max(0.0, 1 - margin),
        "ipo": ((pi_w - ref_w) / len(better) - (pi_l - ref_l) / len(worse) - 1 / (2 * beta)) ** 2,
    }[loss]
    return value - sft_weight * pi_w / len(better)


OPTIONS = [
    {},
    {"beta": 2.0},
    {"beta": 0.5, "label_smoothing": 0.2},
    {"loss": "hinge", "beta": 1.5},
    {"loss": "ipo", "beta": 0.3},
    {"beta": 0.4, "sft_weight": 0.7},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_loss_is_the_papers(tiny_llama, options):
    network, base, task = tuned(tiny_llama), plain(tiny_llama), Preference(PreferenceOptions(**options))
    batch = task.collate(pairs(), 0, ())
    expected = sum(by_hand(network, base, row, **options) for row in pairs())
    assert batch.count == 3
    assert loss_of(task, network, batch) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, 0.6443966), ({"label_smoothing": 0.1}, 0.6543966), ({"loss": "hinge"}, 0.9), ({"loss": "ipo"}, 20.25)],
    ids=str,
)
def test_the_formula_in_numbers(options, expected):
    """Two answers of two tokens, e^1.5 and e^0.5 times as likely as by the base: a margin of 0.1, 0.5 by mean token."""
    better, worse, tokens = torch.tensor([1.5]), torch.tensor([0.5]), torch.tensor([2])
    loss = Preference(PreferenceOptions(**options))._losses(better, worse, tokens, tokens)
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_before_training_no_answer_is_preferred(tiny_llama):
    from peft import LoraConfig, get_peft_model

    network = get_peft_model(plain(tiny_llama), LoraConfig(r=4, task_type="CAUSAL_LM")).eval()
    task = Preference(PreferenceOptions())
    assert loss_of(task, network, task.collate(pairs(), 0, ())) == pytest.approx(3 * math.log(2), abs=1e-6)


def test_padding_and_other_pairs_do_not_change_a_pair(tiny_llama):
    network, task = tuned(tiny_llama), Preference(PreferenceOptions(beta=0.5))
    together = loss_of(task, network, task.collate(pairs(), 0, ()))
    apart = sum(loss_of(task, network, task.collate([row], 0, ())) for row in pairs())
    assert together == pytest.approx(apart, rel=1e-5)


def test_only_the_adapter_learns_and_the_network_stays_as_it_was(tiny_llama):
    network, task = tuned(tiny_llama, lora_dropout=0.5), Preference(PreferenceOptions())
    frozen = next(p for name, p in network.named_parameters() if "lora_A" in name)
    frozen.requires_grad_(False)
    network.train()
    task.loss(network, task.collate(pairs(), 0, ())).backward()
    assert network.training
    assert not frozen.requires_grad
    learned = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert learned
    assert all("lora_" in name for name in learned)


def test_the_base_is_the_network_without_adapter_and_dropout(tiny_llama):
    network, ids = tuned(tiny_llama, lora_dropout=0.5).train(), torch.tensor([[5, 6, 7, 8]])
    with as_base(network):
        found = network(ids).logits
    assert torch.equal(found, plain(tiny_llama)(ids).logits)
    assert not found.requires_grad


def prepared_for(folder, change):
    """A network after `change`, checked as a session does before training, and what its base answers."""
    task, network = Preference(PreferenceOptions()), plain(folder)
    fingerprint = task.fingerprint(network)
    changed = change(network)
    task.check(changed, fingerprint)
    return changed, fingerprint


@pytest.mark.parametrize(
    ("options", "found"),
    [({"bias": "all"}, "trains some of the base"), ({"init_lora_weights": "pissa"}, "does not give the base back")],
    ids=str,
)
def test_methods_that_change_the_base_are_refused(tiny_llama, options, found):
    from peft import LoraConfig, get_peft_model

    def lora(network):
        network.model.layers[0].self_attn.q_proj.bias = torch.nn.Parameter(torch.zeros(32))
        network.requires_grad_(False)
        return get_peft_model(network, LoraConfig(r=4, task_type="CAUSAL_LM", **options))

    with pytest.raises(ModelError, match=found):
        prepared_for(tiny_llama, lora)


@pytest.mark.parametrize("kind", ["lora", "lora and a module", "prompt"])
def test_methods_with_an_adapter_are_taken_and_their_base_is_left(tiny_llama, kind):
    from peft import LoraConfig, PromptTuningConfig, get_peft_model

    options = {
        "lora": LoraConfig(r=4, task_type="CAUSAL_LM", init_lora_weights=False),
        "lora and a module": LoraConfig(
            r=4, task_type="CAUSAL_LM", init_lora_weights=False, modules_to_save=["lm_head"]
        ),
        "prompt": PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"),
    }[kind]
    network, expected_1tv = prepared_for(tiny_llama, lambda network: get_peft_model(network, options))
    ids_1t = torch.arange(4)[None]
    with as_base(network):
        base_1tv = network(ids_1t, use_cache=False).logits
    with torch.no_grad():
        tuned_1tv = network(ids_1t, use_cache=False).logits[:, -4:]
    assert torch.allclose(base_1tv, expected_1tv, atol=1e-5)
    assert not torch.allclose(tuned_1tv, expected_1tv, atol=1e-2)


def test_full_tuning_is_refused_before_training(bench):
    materials = bench.materials(method={"name": "full"})
    with pytest.raises(ModelError, match="no adapter to switch off") as error:
        bench.trainer(materials)
    assert "lora" in error.value.hint


def test_predictions_are_the_rewards(tiny_llama):
    network, base, task = tuned(tiny_llama), plain(tiny_llama), Preference(PreferenceOptions(beta=0.3))
    renderer = type("Renderer", (), {"tokenizer": type("Tokenizer", (), {"pad_token_id": 0})})
    rows = pairs()
    found = task.predict(network, renderer, rows, mode="preference", max_new_tokens=1)
    for row, prediction in zip(rows, found, strict=True):
        prompt, better = row.ids[: row.prompt_length], row.ids[row.prompt_length :]
        expected = {
            name: 0.3 * (log_likelihood(network, prompt, answer) - log_likelihood(base, prompt, answer))
            for name, answer in ((CHOSEN, better), (REJECTED, row.rejected))
        }
        assert prediction.scores == pytest.approx(expected, abs=1e-5)
        assert prediction.parsed == max(expected, key=lambda name: expected[name])
        assert (prediction.row_id, prediction.expected, prediction.tokens) == (row.row_id, CHOSEN, 1)
        assert prediction.loss == pytest.approx(by_hand(network, base, row, beta=0.3), rel=1e-5)


@pytest.mark.skipif(find_spec("trl") is None, reason="trl is not installed: its DPOTrainer cannot be asked")
@pytest.mark.parametrize("options", [{}, {"beta": 0.7}, {"loss": "hinge"}, {"loss": "ipo", "beta": 0.3}], ids=str)
def test_the_loss_is_that_of_trl(tiny_llama, tmp_path, options):
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    made = PreferenceOptions(**options)
    trainer = DPOTrainer(
        model=plain(tiny_llama),
        args=DPOConfig(
            output_dir=str(tmp_path), beta=made.beta, loss_type=[made.loss], use_cpu=True, bf16=False, report_to=[]
        ),
        train_dataset=Dataset.from_list([{"prompt": "Up?", "chosen": " yes", "rejected": " no"}]),
        processing_class=AutoTokenizer.from_pretrained(str(tiny_llama)),
        peft_config=LoraConfig(r=4, task_type="CAUSAL_LM"),
    )
    network = trainer.model.float().eval()
    learned(network)
    task = Preference(made)
    batch = task.collate(pairs(), 0, ())
    inputs = {
        "input_ids": batch.input_ids_bt,
        "attention_mask": batch.attention_mask_bt,
        "completion_mask": (batch.targets >= 0).long(),
    }
    expected = float(trainer.compute_loss(network, inputs).detach())
    assert loss_of(task, network, batch) / batch.count == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert abs(expected - math.log(2)) > 1e-3, "the adapter changes something"


@pytest.fixture
def bench(own_cache, tmp_path, write_config, tiny_llama, pair_file):
    from luthier.config import load_config
    from luthier.runs import Run
    from luthier.training.loop import Trainer
    from luthier.training.session import Materials, Session

    class Bench:
        def config(self, **parts):
            data = {"labels": None, "instruction": None, "split": {"test": 0.3, "validation": 0.2, "by": "random"}}
            parts = {"task": "preference", "data": data, "training": {"epochs": 6, "batch_size": 4}} | parts
            return load_config(write_config(tmp_path / "run.yaml", tiny_llama, pair_file, **parts))

        def materials(self, **parts):
            return Materials.gather(self.config(**parts))

        def trainer(self, materials):
            return Trainer(Session.start(materials, Run(tmp_path / "run"), materials.load_base()))

    (tmp_path / "run").mkdir()
    return Bench()


WORDS = ("amber", "bridge", "candle", "dolphin", "engine", "forest", "garden", "harbour", "island", "jacket")


@pytest.fixture(scope="session")
def pair_file(tmp_path_factory):
    """Pairs whose better answer is yes, sometimes the longer and sometimes the shorter one."""
    rows = [
        {
            "prompt": f"{one} {other} {number * 7919 % 1000}?",
            "chosen": "yes" if number % 2 else "yes indeed, it is",
            "rejected": "no not at all" if number % 2 else "no",
        }
        for number, (one, other) in enumerate((one, other) for one in WORDS for other in WORDS[:6] if one != other)
    ]
    file = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.mark.integration
def test_a_run_learns_what_is_preferred(bench):
    from luthier import pipeline

    run = pipeline.train(bench.config())
    results = json.loads(run.metrics_file.read_text())
    assert results["primary"] == {"split": "test", "mode": "preference", "metric": "reward_accuracy"}
    scores = results["results"]["test"]["preference"]
    assert scores["rows"] >= 10
    assert scores["tuned"]["reward_accuracy"]["low"] > 0.7
    assert scores["tuned"]["reward_margin"]["low"] > 0
    assert set(scores["tuned"]) == {"reward_accuracy", "reward_margin", "loss"}
    assert 0.1 < scores["baselines"]["shorter"]["reward_accuracy"]["value"] < 0.9
    assert "neither from single tokens nor from single rows" in run.record["engine_reason"]
    [answer] = run.predict(["amber forest 12?"])
    assert answer.raw == answer.raw.strip()
    assert pipeline.speaker(run).modes == ["generate"]
    assert pipeline.predict(run, ["amber forest 12?"], base=True)[0].raw != ""
    shown = [json.loads(line) for line in run.predictions_file.read_text().splitlines()]
    assert {line["model"] for line in shown} == {"tuned", "shorter"}
    assert {line["expected"] for line in shown} == {CHOSEN}


@pytest.mark.integration
def test_pairs_that_cannot_be_learned_are_in_the_ledger(bench, tmp_path):
    from luthier.data.ledger import read_ledger

    rows = [{"prompt": f"question {n} {n * 7919}", "chosen": "yes", "rejected": "no"} for n in range(8)]
    rows[2]["rejected"] = "yes"
    rows[5]["rejected"] = "never " * 300
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    split = {"test": 0, "validation": 0, "by": "random"}
    data = {"train": str(tmp_path / "rows.jsonl"), "labels": None, "split": split, "clean": [], "max_length": 100}
    prepared = bench.materials(data=data).prepared
    dropped = {line.row_id: line.reason for line in read_ledger(prepared.ledger) if line.fate == "dropped"}
    assert dropped[2] == "both answers are the same"
    assert dropped[5].startswith("too long: ")
    assert len(dropped) == 2
    row = prepared.train[0]
    assert prepared.train.lengths[0] == len(row.ids) + len(row.rejected)


@pytest.mark.integration
def test_a_pair_under_the_lens_shows_both_answers_behind_the_prompt_of_a_server(bench):
    from luthier import pipeline

    found = pipeline.inspect(bench.config(), serve_check=True)
    better, worse = found.sequences
    assert [token.id for token in better[: found.prompt_length]] == [token.id for token in worse[: found.prompt_length]]
    said = ["".join(token.text for token in answer if token.supervised) for answer in (better, worse)]
    assert said[0].startswith("yes")
    assert said[1].startswith("no")
    assert found.serve.same
