"""The encoder-decoder task: rows, the loss, the ways of asking, every family from loading to opening, whole runs."""

import json

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoConfig, AutoModelForSeq2SeqLM, AutoTokenizer, MarianTokenizer, MBartTokenizer

from luthier import pipeline, registry
from luthier.cli.frame import run
from luthier.config import ModelConfig
from luthier.data.examples import Conversation, Document, Labelled, Message, Pair
from luthier.data.ledger import read_ledger
from luthier.data.records import Rejected
from luthier.data.rendering import Renderer
from luthier.models.files import resolve
from luthier.models.loading import load_base
from luthier.tasks.seq2seq import Seq2seq, Seq2seqOptions

pytestmark = [pytest.mark.usefixtures("own_cache"), pytest.mark.filterwarnings("ignore:Recommended")]

LABELS = ("down", "flat", "up")
TEXTS = ("shares rose after the bank raised its profit outlook", "revenue fell", "the board met")
PAIRS = [(n, Pair(text, label)) for n, (text, label) in enumerate(zip(TEXTS, LABELS, strict=True))]


def load(folder):
    config = ModelConfig(base=str(folder), device="cpu", dtype="float32")
    return load_base(config, resolve(str(folder)), head="seq2seq_lm")


@pytest.fixture(scope="module")
def base(own_cache, tiny_t5):
    return load(tiny_t5)


def task(**options):
    return Seq2seq(Seq2seqOptions(**options))


def renderer(base, **options):
    return Renderer(base.tokenizer, "", **options)


def encoded(base, examples=PAIRS, **options):
    return [row for [row] in task().encode(examples, renderer(base, **options))]


# -- rows --------------------------------------------------------------------------------------------------------------


def test_a_row_is_source_and_target_with_the_tokenizers_own_end_tokens(base):
    for row, (_, pair) in zip(encoded(base), PAIRS, strict=True):
        source, target = base.tokenizer(pair.source)["input_ids"], base.tokenizer(text_target=pair.target)["input_ids"]
        assert (list(row.ids), row.prompt_length) == (source + target, len(source))
        assert source[-1] == target[-1] == base.tokenizer.eos_token_id
        assert list(row.supervised) == [False] * len(source) + [True] * len(target)
        assert (row.text, row.label) == (pair.source, pair.target)


def test_an_instruction_stands_in_front_of_the_source_and_not_in_the_text(base):
    options = {"labels": LABELS, "instruction": "Which of {labels}?", "system": "Be brief."}
    [labelled, pair] = encoded(base, [(0, Labelled(TEXTS[0], "up")), (1, Pair(TEXTS[0], "up"))], **options)
    written = base.tokenizer.decode(labelled.ids[: labelled.prompt_length], skip_special_tokens=True)
    assert written == f"Be brief.\nWhich of down, flat, up?\n{TEXTS[0]}"
    assert labelled.text == TEXTS[0]
    assert labelled.ids == pair.ids


def test_conversations_of_one_turn(base):
    asked, said = Message("user", "Up?"), Message("assistant", "Yes.")
    examples = [
        (0, Conversation((asked, said))),
        (1, Conversation((Message("system", "Be brief."), asked, said))),
        (2, Conversation((asked, said, asked, said))),
        (3, Conversation((asked, said), ({"name": "price"},))),
        (4, Pair("Up?", "Yes.")),
    ]
    [plain], [brief], several, tools, [pair] = task().encode(examples, renderer(base))
    assert list(plain.ids) == list(pair.ids)
    assert base.tokenizer.decode(brief.ids[: brief.prompt_length], skip_special_tokens=True) == "Be brief.\nUp?"
    assert (plain.text, plain.label) == (brief.text, brief.label) == ("Up?", "Yes.")
    assert isinstance(several, Rejected)
    assert "several turns" in several.reason
    assert isinstance(tools, Rejected)
    assert "tools" in tools.reason
    assert not isinstance(Document("text"), task().kinds)


def test_only_rejected_rows(base):
    turns = (Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    assert [type(one) for one in task().encode([(0, Conversation(turns))], renderer(base))] == [Rejected]


def test_too_long_sources_and_targets(base):
    rows = [(0, Pair(TEXTS[0] * 3, "up")), (1, Pair("rose", TEXTS[0]))]
    short = task(max_target_length=5)
    source, target = short.encode(rows, renderer(base, max_length=20))
    assert source.reason.startswith("too long: a source of ")
    assert target.reason.startswith("too long: a target of ")
    assert "task.max_target_length is 5" in target.reason
    [source], [target] = short.encode(rows, renderer(base, max_length=20, too_long="truncate"))
    whole = base.tokenizer([pair.source for _, pair in rows])["input_ids"]
    end = base.tokenizer.eos_token_id
    assert source.prompt_length == 20
    assert list(source.ids[:20]) == [*whole[0][:19], end]
    assert source.truncated == len(whole[0]) - 20
    learned = base.tokenizer(text_target=TEXTS[0])["input_ids"]
    assert list(target.ids[target.prompt_length :]) == [*learned[:4], end], "the end token stays"
    assert target.truncated == len(learned) - 5


def test_the_loss_is_the_librarys_padded_and_one_row_at_a_time(base):
    rows = encoded(base)
    batch = task().collate(rows, base.tokenizer.pad_token_id, ())
    assert batch.input_ids_bt.shape == batch.attention_mask_bt.shape == (3, max(row.prompt_length for row in rows))
    assert batch.count == sum(row.supervised_count for row in rows) == int((batch.targets >= 0).sum())
    expected = 0.0
    for row in rows:
        source, target = torch.tensor([row.ids[: row.prompt_length]]), torch.tensor([row.ids[row.prompt_length :]])
        expected += float(base.network(input_ids=source, labels=target).loss) * row.supervised_count
    assert float(task().loss(base.network, batch)) == pytest.approx(expected, rel=1e-6)


# -- asking ------------------------------------------------------------------------------------------------------------


def ask(base, mode, examples=PAIRS, **options):
    made = renderer(base, **options)
    return task().predict(
        base.network, made, encoded(base, examples, **options), mode=mode, max_new_tokens=4, progress=None
    )


def test_modes():
    assert task().modes(LABELS, answers=True) == ("labels", "generate")
    assert task().modes((), answers=True) == ("likelihood", "generate")
    assert (task().baselines(LABELS), task().baselines(())) == (("majority", "tfidf"), ())


def test_labels_are_scored_as_targets(base):
    measured = {
        label: [p.loss for p in ask(base, "likelihood", [(0, Pair(text, label)) for text in TEXTS])] for label in LABELS
    }
    examples = [(n, Labelled(text, label)) for n, (text, label) in enumerate(zip(TEXTS, LABELS, strict=True))]
    for place, found in enumerate(ask(base, "labels", examples, labels=LABELS)):
        assert found.scores == pytest.approx({label: -losses[place] for label, losses in measured.items()}, rel=1e-4)
        assert found.parsed == max(found.scores, key=found.scores.get)
        assert found.loss == pytest.approx(-found.scores[LABELS[place]])
        assert found.tokens == len(base.tokenizer(LABELS[place])["input_ids"])


def test_likelihood_is_the_loss(base):
    batch = task().collate(encoded(base), base.tokenizer.pad_token_id, ())
    found = ask(base, "likelihood")
    assert sum(p.loss for p in found) == pytest.approx(float(task().loss(base.network, batch)), rel=1e-5)
    assert sum(p.tokens for p in found) == batch.count


def test_answers_are_read_as_labels_or_taken_as_they_are(base, monkeypatch):
    ids = base.tokenizer(" Up.")["input_ids"][:-1]
    monkeypatch.setattr("luthier.models.seq2seq.greedy_answers", lambda network, sources, *more: [ids] * len(sources))
    assert [p.parsed for p in ask(base, "generate", labels=LABELS)] == ["up"] * 3
    assert [(p.raw, p.parsed) for p in ask(base, "generate")] == [(" Up.", "Up.")] * 3


def test_no_rows(base):
    assert task().predict(base.network, renderer(base), [], mode="labels", max_new_tokens=4) == []


def test_distributions_are_those_of_the_target(base):
    [row, *_] = encoded(base)
    source, target = row.ids[: row.prompt_length], row.ids[row.prompt_length :]
    with torch.inference_mode():
        found = task().distributions(base.network, row)
    assert found.shape == (len(target), 300)
    torch.testing.assert_close(found.sum(-1), torch.ones(len(target)))
    [prediction] = ask(base, "likelihood", PAIRS[:1])
    picked = found[torch.arange(len(target)), torch.tensor(target)]
    assert float(-picked.log().sum()) == pytest.approx(prediction.loss, rel=1e-5)
    assert len(source) == row.prompt_length


# -- families ----------------------------------------------------------------------------------------------------------

T5 = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
BART = {
    **{f"{part}_layers": 2 for part in ("encoder", "decoder")},
    **{f"{part}_attention_heads": 4 for part in ("encoder", "decoder")},
    **{f"{part}_ffn_dim": 48 for part in ("encoder", "decoder")},
    "d_model": 32,
    "max_position_embeddings": 128,
    "init_std": 0.2,
}
FAMILIES = {"t5": T5, "mt5": T5, "longt5": T5, "bart": BART, "mbart": BART, "marian": BART}
LETTERS = sorted(set("".join(TEXTS)) - {" "})


def like_bart(tiny_t5, folder):
    """A start and an end token around every text."""
    tokenizer = AutoTokenizer.from_pretrained(str(tiny_t5))
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<unk> $A </s>", special_tokens=[("<unk>", 2), ("</s>", 1)]
    )
    tokenizer.bos_token = "<unk>"
    return tokenizer, {"decoder_start_token_id": 1, "forced_bos_token_id": 2}


def like_mbart(tiny_t5, folder):
    """The language behind every text: English sources, Chinese targets."""
    special = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    codes = [(code, 0.0) for code in ("en_XX", "zh_CN")]
    tokenizer = MBartTokenizer([*special, ("▁", -2.0), *((letter, -3.0) for letter in LETTERS), *codes])
    tokenizer.src_lang, tokenizer.tgt_lang = "en_XX", "zh_CN"
    tokenizer.init_kwargs |= {"src_lang": "en_XX", "tgt_lang": "zh_CN"}
    return tokenizer, {"forced_bos_token_id": tokenizer.convert_tokens_to_ids("zh_CN")}


def like_marian(tiny_t5, folder):
    """Two tokenizers, one of words for sources and one of letters for targets, over one vocabulary."""
    from sentencepiece import SentencePieceTrainer

    folder.mkdir()
    for name, kind in (("source", "word"), ("target", "char")):
        SentencePieceTrainer.train(
            sentence_iterator=iter([*TEXTS, *LABELS]),
            model_prefix=str(folder / name),
            model_type=kind,
            vocab_size=60,
            hard_vocab_limit=False,
            minloglevel=2,
        )
    words = [f"▁{word}" for text in TEXTS for word in text.split()]
    pieces = dict.fromkeys(["</s>", "<unk>", *words, "▁", *LETTERS, *"downflatup", "<pad>"])
    (folder / "vocab.json").write_text(json.dumps({piece: number for number, piece in enumerate(pieces)}))
    tokenizer = MarianTokenizer(*(str(folder / name) for name in ("source.model", "target.model", "vocab.json")))
    return tokenizer, {"decoder_start_token_id": tokenizer.pad_token_id, "forced_eos_token_id": 0}


def like_t5(tiny_t5, folder):
    return AutoTokenizer.from_pretrained(str(tiny_t5)), {"decoder_start_token_id": 0}


TOKENIZERS = {"bart": like_bart, "mbart": like_mbart, "marian": like_marian}


@pytest.fixture(scope="module", params=FAMILIES)
def model(request, tiny_t5, tmp_path_factory):
    """(family, folder of a tiny random model of it)."""
    family, folder = request.param, tmp_path_factory.mktemp("family")
    tokenizer, special = TOKENIZERS.get(family, like_t5)(tiny_t5, folder / "tokenizer")
    names = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    sizes = FAMILIES[family] | {"vocab_size": len(tokenizer)} | names | special
    torch.manual_seed(0)
    AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model(family, **sizes)).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return family, folder / "model"


def test_a_family_loads_learns_saves_and_opens(model, tmp_path):
    family, folder = model
    base = load(folder)
    assert base.architecture.family == family
    assert len(base.architecture.layers) == 2, "encoder and decoder"
    rows = encoded(base)
    batch = task().collate(rows, base.tokenizer.pad_token_id, ())
    kind = registry.load("method", "lora")
    method = kind(kind.Options(targets="all-linear", rank=4))
    network = method.apply(base, peft_task=task().peft_task, total_steps=4)
    adapted = {name.split(".layers.")[0].split(".block.")[0] for name in method.state(network)}
    assert {name.rpartition(".")[2] for name in adapted} == {"encoder", "decoder"}
    optimiser = torch.optim.AdamW(method.parameter_groups(network, 2e-2, 0.0))
    losses = []
    for _ in range(4):
        loss = task().loss(network, batch) / batch.count
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.05
    tuned = float(task().loss(network.eval(), batch).detach())
    method.save(network, tmp_path / "adapter", base)
    again = load(folder)
    opened = method.open(again, tmp_path / "adapter")
    assert float(task().loss(opened, batch)) == pytest.approx(tuned, rel=1e-5)
    answers = task().predict(opened, renderer(again), rows, mode="generate", max_new_tokens=3)
    assert [answer.row_id for answer in answers] == [0, 1, 2]


def test_targets_are_written_as_the_family_has_them(model):
    family, folder = model
    base = load(folder)
    [row, *_] = encoded(base, [(0, Pair(TEXTS[0], TEXTS[0]))])
    source, target = list(row.ids[: row.prompt_length]), list(row.ids[row.prompt_length :])
    tokenizer = base.tokenizer
    if family == "mbart":
        assert (source[-1], target[-1]) == tuple(tokenizer.convert_tokens_to_ids(["en_XX", "zh_CN"]))
        assert source[-2] == target[-2] == tokenizer.eos_token_id
        assert source[:-1] == target[:-1]
    elif family == "marian":
        assert source[-1] == target[-1] == tokenizer.eos_token_id
        assert len(target) > len(source), "letters are more than words"
        assert tokenizer.unk_token_id not in source + target
    else:
        assert source == target
        assert source[-1] == tokenizer.eos_token_id
        assert (source[0] == tokenizer.bos_token_id) is (family == "bart")


# -- whole runs --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(own_cache, tmp_path_factory, write_config, tiny_t5, labelled_file):
    """A finished run over labels, and its configuration."""
    file = write_config(
        tmp_path_factory.mktemp("labels") / "run.yaml",
        tiny_t5,
        labelled_file,
        task="seq2seq",
        training={"epochs": 12},
        evaluation={"metrics": ["accuracy", "f1_macro", "loss", "perplexity"], "every": 0.5},
    )
    return pipeline.train(file), file


@pytest.fixture
def document(capsys):
    """Runs a command with --json and returns the document."""

    def execute(*arguments):
        capsys.readouterr()
        assert run([*map(str, arguments), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return execute


@pytest.mark.integration
def test_a_run_over_labels(trained, document):
    made, _ = trained
    metrics = json.loads(made.metrics_file.read_text())
    assert metrics["primary"] == {"split": "test", "mode": "labels", "metric": "accuracy"}
    modes = metrics["results"]["test"]
    assert list(modes) == ["labels", "generate"]
    assert list(modes["labels"]["tuned"])[:4] == ["accuracy", "f1_macro", "loss", "perplexity"]
    assert modes["labels"]["tuned"]["loss"]["value"] < modes["labels"]["base"]["loss"]["value"] - 0.5
    assert set(modes["labels"]["baselines"]) == {"majority", "tfidf"}
    assert made.record["engine"] == "reference"
    assert "encoder-decoder" in made.record["engine_reason"]
    found = document("predict", made.path, "amber rose", "--mode", "generate")
    assert found[0]["raw"]
    assert set(document("predict", made.path, "amber rose")[0]["scores"]) == {"up", "down", "flat"}


@pytest.mark.integration
def test_a_run_exports_what_it_trained(trained, tmp_path):
    made, _ = trained
    artefact = pipeline.export(made, "merged", tmp_path / "merged")
    assert artefact.parity.distance <= 1e-4
    plain = AutoModelForSeq2SeqLM.from_pretrained(str(artefact.folder)).eval()
    tokenizer = AutoTokenizer.from_pretrained(str(artefact.folder))
    inputs = tokenizer("up, down, flat?\namber rose", return_tensors="pt")
    written = tokenizer.decode(plain.generate(**inputs, max_new_tokens=4, do_sample=False)[0], skip_special_tokens=True)
    [answer] = pipeline.predict(made, ["amber rose"], mode="generate")
    assert answer.raw == written


@pytest.mark.integration
def test_plan_and_inspect(trained, document):
    made, file = trained
    plan = document("plan", file)
    assert plan["engine"] == "reference"
    assert plan["supervised"] > 0
    assert plan["trainable"] == made.record["trainable"]
    assert not [warning for warning in plan["warnings"] if "end token" in warning]
    forecast = document("plan", file, "--on", "rtx4090")
    assert forecast["parameters"] == plan["parameters"]
    assert forecast["engine"] == "reference"
    shown = document("inspect", file)
    [tokens] = shown["sequences"]
    learned = [token["text"] for token in tokens if token["supervised"]]
    assert "".join(learned[:-1]).strip() in LABELS
    assert learned[-1] == "</s>"


@pytest.mark.integration
def test_a_run_over_pairs_keeps_every_row_in_the_ledger(tmp_path, write_config, tiny_t5, labelled_file, document):
    texts = [json.loads(line)["text"] for line in labelled_file.read_text().splitlines()]
    rows = [{"en": text, "zh": "利润" * (1 + n % 3)} for n, text in enumerate(texts)]
    long = {"en": "rose", "zh": "增长" * 40}
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, long]))
    file = write_config(
        tmp_path / "run.yaml",
        tiny_t5,
        tmp_path / "pairs.jsonl",
        task={"name": "seq2seq", "max_target_length": 40},
        data={"labels": None, "instruction": "translate:", "split": {"by": "random"}, "clean": []},
        training={"epochs": 1},
        evaluation={"metrics": ["chrf"]},
    )
    made = pipeline.train(file)
    entries = list(read_ledger(made.ledger_file))
    assert len(entries) == len(rows) + 1
    assert [entry.reason for entry in entries if entry.fate == "dropped" and entry.reason.startswith("too long")]
    modes = made.evaluate()["results"]["test"]
    assert {mode: next(iter(scores["tuned"])) for mode, scores in modes.items()} == {
        "likelihood": "loss",
        "generate": "chrf",
    }
    assert "perplexity" in modes["likelihood"]["tuned"]
    assert document("predict", made.path, TEXTS[0])[0]["valid"]


def test_a_decoder_task_says_which_task_an_encoder_decoder_takes(tiny_t5):
    config = ModelConfig(base=str(tiny_t5), device="cpu", dtype="float32")
    with pytest.raises(Exception, match="task: seq2seq") as caught:
        load_base(config, resolve(str(tiny_t5)), head="causal_lm")
    assert caught.value.exit_code == 4
