"""What run.json and adapter/luthier.json say about a run: versions, processor, hashes, choices and their reasons."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import version
from typing import Any

from luthier.methods import count_parameters
from luthier.models.digests import tokenizer_digest
from luthier.models.hardware import describe_processor
from luthier.training.engines import Choice
from luthier.training.session import Materials, Session

PACKAGES = ("luthier", "torch", "transformers", "peft", "accelerate", "safetensors", "scikit-learn", "numpy")


def describe(session: Session) -> dict[str, Any]:
    """The fields of run.json that are known when training begins."""
    materials, base = session.materials, session.base
    trainable, parameters = count_parameters(session.network)
    return {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "processor": describe_processor(),
        **passport(materials),
        "trainable": trainable,
        "parameters": parameters,
        "device": str(base.device),
        "dtype": str(base.dtype).removeprefix("torch."),
        "dtype_reason": base.dtype_reason,
        **describe_engine(session.choice),
        "steps": session.total_steps,
        "notes": list(materials.prepared.notes),
    }


def describe_engine(choice: Choice) -> dict[str, Any]:
    """Which engine runs and how much it keeps, with the reasons."""
    return {
        "engine": choice.engine.name,
        "engine_reason": "; ".join([choice.reason, *choice.engine.notes]),
        "memory": choice.memory,
        "memory_reason": choice.memory_reason,
    }


def passport(materials: Materials) -> dict[str, Any]:
    """What an adapter must be used with to answer as it was trained: also written beside it, as luthier.json."""
    prepared, files = materials.prepared, materials.files
    return {
        "base": {"source": files.source, "folder": str(files.folder), "digest": files.digest},
        "tokenizer_digest": tokenizer_digest(files.folder),
        "template_digest": hashlib.sha256(materials.renderer.template_text.encode()).hexdigest()[:32],
        "data": {
            "digest": prepared.digest,
            "rows": {name: len(getattr(prepared, name)) for name in ("train", "validation", "test")},
            "tokens": {name: int(sum(getattr(prepared, name).lengths)) for name in ("train", "validation", "test")},
            "labels": list(prepared.labels),
        },
    }
