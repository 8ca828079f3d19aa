"""What run.json and adapter/luthier.json say about a run: versions, processor, hashes, choices and their reasons."""

from __future__ import annotations

import platform
from collections import Counter
from importlib.metadata import version
from typing import Any

from luthier.methods import count_parameters, frozen_bytes
from luthier.models.hardware import describe_processor
from luthier.runs.files import weights_mb
from luthier.tasks import form_of, names_in
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
        "base_mb": round(weights_mb(materials.files.folder), 2),
        "frozen_mb": round(frozen_bytes(session.network) / 1e6, 1),
        "device": str(base.device),
        "dtype": str(base.dtype).removeprefix("torch."),
        "dtype_reason": base.dtype_reason,
        **describe_engine(session.choice),
        "steps": session.total_steps,
        "mix": [share.to_dict() for share in session.order.shares(session.total_steps)],
        "notes": [*materials.prepared.notes, *session.order.notes],
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
    prepared, files, scaling = materials.prepared, materials.files, materials.config.model.rope_scaling
    origins = materials.origins
    return {
        "base": {
            "source": files.source,
            "folder": str(files.folder),
            "digest": origins.base,
            "quantise": materials.config.model.quantise,
        },
        "rope_scaling": scaling.model_dump(mode="json") if scaling else None,
        "tokenizer_digest": origins.tokenizer,
        "template_digest": origins.template,
        "data": {
            "digest": origins.data,
            "rows": {name: len(getattr(prepared, name)) for name in ("train", "validation", "test")},
            "tokens": {name: int(sum(getattr(prepared, name).lengths)) for name in ("train", "validation", "test")},
            "labels": list(prepared.labels),
            "label_rows": label_rows(materials),
        },
    }


def label_rows(materials: Materials) -> dict[str, int]:
    """Training rows by the labels they name, in the labels' order; none for free answers."""
    form, answers = form_of(materials.task), materials.prepared.train.labels
    named = Counter(name for answer in answers if answer is not None for name in names_in(answer, form))
    return {label: named[label] for label in materials.prepared.labels}
