"""Rows per second and peak memory of preparing many short rows.

    python benchmarks/prepare.py [--rows 1000000] [--tokenizer FOLDER]

The rows are labelled sentences of random words, written to a temporary folder first. Without a folder a small
byte-level tokenizer is trained on some of them.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LABELS = ("negative", "neutral", "positive")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LIMIT_MB = 2048


def write_rows(path: Path, count: int) -> None:
    """Sentences of 8 to 16 words out of 20 000; one in fifty repeats an earlier one with a word changed."""
    draw = random.Random(0)
    syllables = ["ba", "co", "di", "fe", "gu", "har", "in", "jo", "ka", "lem", "mi", "nor", "ol", "per", "qua", "ris"]
    words = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(20_000)]
    recent: list[list[str]] = []
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            sentence = draw.choices(words, k=draw.randint(8, 16))
            if number % 50 == 49:
                sentence = [*draw.choice(recent), draw.choice(words)]
            recent = [*recent[-99:], sentence]
            file.write(json.dumps({"text": " ".join(sentence), "label": draw.choice(LABELS)}) + "\n")


def small_tokenizer(path: Path) -> Any:
    """A byte-level tokenizer of 4 000 tokens, trained on the first rows."""
    from itertools import islice

    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokens = Tokenizer(models.BPE())
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=4000,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    with path.open(encoding="utf-8") as file:
        tokens.train_from_iterator((json.loads(line)["text"] for line in islice(file, 10_000)), trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokens, eos_token="<|im_end|>")
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def measure(path: Path, folder: str | None) -> None:
    """Prepares the rows in this process and prints what it took."""
    from luthier.config import RunConfig
    from luthier.data.prepare import prepare
    from luthier.tasks.causal_lm import CausalLm

    if folder:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder)
    else:
        tokenizer = small_tokenizer(path)
    config = RunConfig.model_validate({"model": {"base": "none"}, "data": {"train": str(path)}})
    phases: dict[str, float] = {}
    begun = time.perf_counter()

    def progress(phase: str, done: int, total: int | None) -> None:
        phases[phase] = time.perf_counter() - begun

    before = peak_mb()
    prepared = prepare(config, CausalLm(config.task), tokenizer, "benchmark", cache=path.parent, progress=progress)
    seconds = time.perf_counter() - begun
    begun = time.perf_counter()
    prepare(config, CausalLm(config.task), tokenizer, "benchmark", cache=path.parent)
    again = time.perf_counter() - begun
    summary = prepared.summary
    print(f"rows                {summary.rows_in:,} in, {summary.kept:,} kept, {sum(summary.tokens.values()):,} tokens")
    print(f"seconds             {seconds:.1f} ({summary.rows_in / seconds:,.0f} rows/s); again, cached: {again:.2f}")
    print("phases end at       " + ", ".join(f"{phase} {end:.1f}" for phase, end in phases.items()))
    print(f"peak memory         {peak_mb():,.0f} MB, of which {before:,.0f} MB before the first row")
    if peak_mb() > LIMIT_MB:
        raise SystemExit(f"more than {LIMIT_MB} MB")


def peak_mb() -> float:
    """The most memory this process ever held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--tokenizer", help="folder of a tokenizer with a chat template")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.tokenizer)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        write_rows(path, options.rows)
        more = ["--tokenizer", options.tokenizer] if options.tokenizer else []
        # a process of its own: writing the rows must not count
        raise SystemExit(subprocess.call([sys.executable, __file__, "--measure", str(path), *more]))


if __name__ == "__main__":
    main()
