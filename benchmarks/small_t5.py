"""A small T5 from nothing, for machines without a hub: what encoder-decoder recipes are tried on.

    python benchmarks/small_t5.py [--out FOLDER] [--max-steps N]

A tokenizer (unigram, 8 000 pieces) is trained on finance texts: headlines (SEntFiN and those that ship with Luthier),
tweets (StockNet) and reports (TAT-QA). Then a T5 of 7 million weights learns through Luthier, task seq2seq and method
full, in two runs:

    random T5 --spans of these texts back in their gaps--> reads a little --headline to sentiment--> FOLDER/model

The Financial PhraseBank is not among the data. About half an hour on two cores; the same seed gives the same
model. Afterwards it prints the command that tunes it with LoRA by the recipe finance_sentiment_mt0.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import random
import re
import shutil
import sys
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from luthier import pipeline
from luthier.config import RunConfig
from luthier.runs import Event

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("LUTHIER_DATA", ROOT.parent / "shared" / "data"))
CACHE = Path(os.environ.get("LUTHIER_CACHE", Path.home() / ".cache" / "luthier"))
RECIPES = ROOT / "src" / "luthier" / "recipes"
RECIPE = RECIPES / "finance_sentiment_mt0.yaml"

SEED = 42
LABELS = ("negative", "neutral", "positive")
PIECES = 8_000
TWEETS = 12_000
GAP_PASSES = 5
SENTINELS = [f"<extra_id_{number}>" for number in range(32)]
WORDS_PER_SPAN = 8
SIZES = {"d_model": 256, "d_kv": 64, "num_heads": 4, "d_ff": 1024, "num_layers": 4, "num_decoder_layers": 2}


# -- texts -------------------------------------------------------------------------------------------------------------


def headlines() -> list[tuple[str, list[str]]]:
    """Every headline of SEntFiN with the sentiments of its entities."""
    with (DATA / "sentfin" / "SEntFiN.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    sentiment = re.compile(rf": ['\"]({'|'.join(LABELS)})['\"]")  # a dictionary in Python's spelling, quotes unescaped
    return [(row["Title"], sentiment.findall(row["Decisions"])) for row in rows]


def shipped_headlines() -> list[dict[str, str]]:
    """The English headlines of Luthier's own recipe, with their sentiments."""
    files = sorted((RECIPES / "data" / "finance_headlines").glob("en-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def reports() -> Iterator[str]:
    """Sentences of TAT-QA's paragraphs."""
    for part in ("dev", "test_gold"):
        for document in json.loads((DATA / "tat_qa" / f"tatqa_dataset_{part}.json").read_text(encoding="utf-8")):
            for paragraph in document["paragraphs"]:
                yield from re.split(r"(?<=[.!?]) +(?=[A-Z])", paragraph["text"])


def tweets() -> list[str]:
    """Some of StockNet's tweets, each once, which come as lists of words."""
    found: dict[str, None] = {}
    with tarfile.open(DATA / "stocknet" / "stocknet_price_tweets.tar.gz") as archive:
        for member in sorted((m for m in archive if m.isfile() and "tweet" in m.name), key=lambda m: m.name):
            file = archive.extractfile(member)
            for line in file.read().decode("utf-8").splitlines() if file else ():
                words = json.loads(line)["text"]
                found[" ".join(word for word in words if word not in ("URL", "AT_USER", "rt"))] = None
    return random.Random(SEED).sample(list(found), TWEETS)


def long_enough(texts: Sequence[str]) -> list[str]:
    """Texts with room for a span, at most 64 words of each."""
    cut = [" ".join(text.split()[:64]) for text in texts]
    return [text for text in dict.fromkeys(cut) if len(text.split()) >= WORDS_PER_SPAN]


def corrupted(text: str, draw: random.Random) -> dict[str, str]:
    """A text with gaps as the source, what stood in them as the target (Raffel et al., arXiv 1910.10683)."""
    words = text.split()
    spans = len(words) // WORDS_PER_SPAN
    source, target = list[str](), list[str]()
    for number in range(spans):
        part = words[number * len(words) // spans : (number + 1) * len(words) // spans]
        length = draw.randint(1, 3)
        start = draw.randrange(len(part) - length)
        source += [*part[:start], SENTINELS[number], *part[start + length :]]
        target += [SENTINELS[number], *part[start : start + length]]
    return {"source": " ".join(source), "target": " ".join(target)}


def write(path: Path, rows: Sequence[dict[str, str]]) -> str:
    """Rows as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


# -- the model that knows nothing --------------------------------------------------------------------------------------


def train_tokenizer(texts: Sequence[str]) -> Any:
    """Lower case, single digits, no space before a mark: the sources write all of these in their own ways."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    tight = normalizers.Replace(Regex(r"\s+(?=[.,;:!?%)'])"), "")
    normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), tight])
    pieces = unigram_pieces([normalizer.normalize_str(text) for text in (*texts, *LABELS * 500)])
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.normalizer = normalizer
    marks, digits = pre_tokenizers.Punctuation(), pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), marks, digits])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=SENTINELS,
    )


def unigram_pieces(texts: Sequence[str]) -> list[tuple[str, float]]:
    """Pieces with their log-probabilities, by sentencepiece: unlike others it finds the same ones every time."""
    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        vocab_size=PIECES,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        split_digits=True,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        control_symbols=SENTINELS,
        num_threads=1,
        minloglevel=2,
    )
    trained = SentencePieceProcessor(model_proto=model.getvalue())
    return [(trained.id_to_piece(number), trained.get_score(number)) for number in range(len(trained))]


def random_t5(texts: Sequence[str], folder: Path) -> str:
    """Tokenizer and random weights in a folder."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    tokenizer = train_tokenizer(texts)
    assert all(len(tokenizer(label)["input_ids"]) == 2 for label in LABELS), "a label is one piece and the end token"
    torch.manual_seed(SEED)
    special = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    network = T5ForConditionalGeneration(T5Config(vocab_size=len(tokenizer), **SIZES, **special))
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    print(f"{network.num_parameters():,} weights, {len(tokenizer):,} pieces", flush=True)
    return str(folder)


# -- what it learns ----------------------------------------------------------------------------------------------------


def learn(name: str, base: str, folder: Path, max_steps: int | None, **parts: Any) -> str:
    """One run of Luthier; returns the folder of the tuned model."""
    training = {"optimizer": {"name": "adamw", "weight_decay": 0.01}, "seed": SEED, **parts.pop("training")}
    parts |= {"training": training | ({"max_steps": max_steps} if max_steps else {})}
    model = {"base": base, "device": "cpu", "dtype": "float32"}
    settings = {"name": name, "model": model, "method": "full", "output": str(folder / "runs"), **parts}

    def tell(event: Event) -> None:
        if event["kind"] == "step" and event["step"] % 100 == 0:
            print(f"{name} step {event['step']}: loss {event['loss']:.3f}, {event['seconds']:.0f} s", flush=True)

    run = pipeline.train(RunConfig.model_validate(settings), listeners=[tell])
    comparison = json.loads(run.metrics_file.read_text())
    [tuned, *_] = (mode["tuned"] for split in comparison["results"].values() for mode in split.values())
    print(name, {metric: round(score["value"], 3) for metric, score in tuned.items()}, flush=True)
    return str(run.adapter)


def gaps(base: str, texts: Sequence[str], folder: Path, max_steps: int | None) -> str:
    """Passes over texts with gaps, which stand in other places every time."""
    draw = random.Random(SEED)
    rows = [corrupted(text, draw) for _ in range(GAP_PASSES) for text in texts]
    return learn(
        "small-t5-gaps",
        base,
        folder,
        max_steps,
        task={"name": "seq2seq", "max_target_length": 64},
        data={
            "train": write(folder / "data" / "gaps.jsonl", rows),
            "split": {"test": 0.01, "validation": 0.01, "by": "random", "seed": SEED},
            "clean": [],
            "max_length": 128,
            "too_long": "truncate",
        },
        training={
            "epochs": 1,
            "batch_size": 64,
            "learning_rate": 1e-3,
            "schedule": {"name": "linear", "warmup": 0.05},
            "checkpoint": {"every": 0.25, "keep": 1},
        },
        evaluation={"every": 0.25, "samples": 0, "modes": ["likelihood"], "metrics": ["perplexity"]},
    )


def sentiments(base: str, folder: Path, max_steps: int | None) -> str:
    """Headlines about one entity, which have one sentiment, and the shipped ones."""
    rows = [{"text": title, "label": found[0]} for title, found in headlines() if len(found) == 1]
    rows += [{"text": row["text"], "label": row["label"]} for row in shipped_headlines()]
    return learn(
        "small-t5-sentiments",
        base,
        folder,
        max_steps,
        task={"name": "seq2seq", "max_target_length": 3},
        data={
            "train": write(folder / "data" / "sentiments.jsonl", rows),
            "split": {"test": 0.05, "validation": 0.1, "by": "label", "seed": SEED},
            "labels": list(LABELS),
            "max_length": 128,
            "too_long": "truncate",
        },
        training={
            "epochs": 8,
            "batch_size": 32,
            "learning_rate": 5e-4,
            "schedule": {"name": "linear", "warmup": 0.05},
            "checkpoint": {"every": 0.125, "keep": 1},
        },
        evaluation={
            "every": 0.125,
            "limit": None,
            "samples": 0,
            "modes": ["labels"],
            "metrics": ["f1_macro", "accuracy", "perplexity"],
            "best": "f1_macro",
        },
    )


def main() -> int:
    """Makes the model and says how to go on."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=CACHE / "bench" / "small-t5", help="folder of everything it writes")
    parser.add_argument("--max-steps", type=int, default=None, help="stop both runs after so many steps")
    options = parser.parse_args()
    folder: Path = options.out.resolve()
    shipped = [row["text"] for row in shipped_headlines()]
    texts = long_enough([*(title for title, _ in headlines()), *shipped, *reports(), *tweets()])
    print(f"{len(texts):,} texts", flush=True)
    base = random_t5(texts, folder / "random")
    base = gaps(base, texts, folder, options.max_steps)
    base = sentiments(base, folder, options.max_steps)
    shutil.rmtree(folder / "model", ignore_errors=True)
    shutil.copytree(base, folder / "model", ignore=shutil.ignore_patterns("luthier.json"))
    phrasebank = DATA / "financial_phrasebank" / "Sentences_AllAgree.txt"
    print(f"luthier train {RECIPE} --set model.base={folder / 'model'} --set data.train={phrasebank}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
