"""Luthier's preparation of one file: read, cleaned of duplicates, split, rendered, tokenised, each row accounted for.

Job and result: see `preprocess_llama_factory`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pyarrow as pa
from transformers import AutoTokenizer

from luthier.config import RunConfig
from luthier.data.prepare import prepare
from luthier.tasks.causal_lm import CausalLm


def main() -> None:
    path = Path(sys.argv[1])
    job = json.loads(path.read_text(encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(job["base"])
    pa.array([0])  # loads pandas where there is one; the peer's `datasets` has loaded both before its clock starts
    data = {"train": job["file"], "max_length": job["cutoff"]}
    config = RunConfig.model_validate({"model": {"base": job["base"]}, "data": data})
    begun, worked = time.perf_counter(), time.process_time()
    prepared = prepare(config, CausalLm(config.task), tokenizer, "race", cache=path.parent / "prepared")
    seconds, worked = time.perf_counter() - begun, time.process_time() - worked
    summary = prepared.summary
    result = {
        "seconds": seconds,
        "rows": summary.rows_in,
        "processor_seconds": worked,
        "tokens": sum(summary.tokens.values()),
    }
    (path.parent / "result.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
