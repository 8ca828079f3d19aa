"""LLaMA-Factory's preprocessing of one file: read, brought into its own layout, split, rendered and tokenised.

Job (JSON): file, base, template, cutoff, processes, output. Result: seconds, this
process's processor seconds, rows and tokens.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

sys.modules["torchaudio"] = module_from_spec(ModuleSpec("torchaudio", None))

from llamafactory.data import get_dataset, get_template_and_fix_tokenizer  # noqa: E402
from llamafactory.hparams import get_train_args  # noqa: E402
from llamafactory.model import load_tokenizer  # noqa: E402


def arguments(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Its configuration as a user would write it into YAML."""
    file = Path(job["file"])
    (folder / "dataset_info.json").write_text(json.dumps({"rows": {"file_name": str(file)}}), encoding="utf-8")
    return {
        "stage": "sft",
        "do_train": True,
        "model_name_or_path": job["base"],
        "template": job["template"],
        "finetuning_type": "lora",
        "dataset": "rows",
        "dataset_dir": str(folder),
        "val_size": 0.2,
        "cutoff_len": job["cutoff"],
        "preprocessing_num_workers": job["processes"],
        "overwrite_cache": True,
        "use_cpu": True,
        "report_to": "none",
        "output_dir": str(folder / "output"),
    }


def main() -> None:
    path = Path(sys.argv[1])
    job = json.loads(path.read_text(encoding="utf-8"))
    model, data, training, _, _ = get_train_args(arguments(job, path.parent))
    tokenizer = load_tokenizer(model)
    template = get_template_and_fix_tokenizer(tokenizer["tokenizer"], data)
    begun, worked = time.perf_counter(), time.process_time()
    made = get_dataset(template, model, data, training, stage="sft", **tokenizer)
    seconds, worked = time.perf_counter() - begun, time.process_time() - worked
    splits = [made[name] for name in ("train_dataset", "eval_dataset")]
    tokens = sum(len(ids) for split in splits for ids in split["input_ids"])
    result = {"seconds": seconds, "rows": sum(map(len, splits)), "processor_seconds": worked, "tokens": tokens}
    (path.parent / "result.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
