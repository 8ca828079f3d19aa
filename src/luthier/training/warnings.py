"""What may go wrong in a run, seen before it begins."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from luthier.data.examples import Labelled
from luthier.data.imbalance import uneven_labels
from luthier.models.rope import longest_positions
from luthier.tasks import form_of
from luthier.training.session import Session


def warnings_for(session: Session, parameters: int) -> list[str]:
    """Warnings in plain words, each with what to do about it."""
    checks = (
        _learning_rate(session, parameters),
        _imbalance(session),
        _truncated(session),
        *_positions(session),
        *_label_words(session),
    )
    return [warning for warning in checks if warning]


def _learning_rate(session: Session, parameters: int) -> str:
    rate = session.materials.config.training.learning_rate
    low, high, source = session.materials.method.usual_learning_rates(parameters)
    if low <= rate <= high:
        return ""
    return (
        f"training.learning_rate is {rate:g}; usual for {session.materials.config.method.name} on a model of this size "
        f"is {low:g} to {high:g} ({source})"
    )


def _imbalance(session: Session) -> str:
    materials = session.materials
    if form_of(materials.task) != "plain":  # balancing goes by a row's one label
        return ""
    counts = Counter(label for label in materials.prepared.train.labels if label is not None)
    uneven = uneven_labels(counts)
    if not uneven or not materials.renderer.labels or materials.config.data.balance is not None:
        return ""
    return f"{uneven}: consider data.balance: oversample, and watch f1_macro"


def _truncated(session: Session) -> str:
    summary = session.materials.prepared.summary
    if not summary.over_length:
        return ""
    data = session.materials.config.data
    share = summary.over_length / max(summary.rows_in, 1)
    return (
        f"{summary.over_length} rows ({share:.1%}) are longer than data.max_length {data.max_length}; "
        f"data.too_long is {data.too_long}"
    )


def _positions(session: Session) -> list[str]:
    """Rows beyond the base's positions are answered badly, or not at all; dynamic positions depend on other rows."""
    materials, length = session.materials, longest_positions(session.base.network)
    allowed, longest = materials.config.data.max_length, materials.prepared.summary.longest
    warnings = []
    if length is not None and allowed > length:
        warnings.append(
            f"data.max_length is {allowed}, and the base has {length} positions (the longest row has {longest} tokens)"
            ": lower it, or stretch rotary positions by model.rope_scaling"
        )
    scaling = materials.config.model.rope_scaling
    if scaling is not None and scaling.type == "dynamic":
        warnings.append(
            "model.rope_scaling: dynamic makes what is computed of a row depend on the longest row beside it, so "
            "results change with the micro-batch; yarn and linear do not"
        )
    return warnings


def _label_words(session: Session) -> list[str]:
    """Labels are told apart by their first token where it differs, and end where template or tokenizer say so."""
    task, renderer = session.materials.task, session.materials.renderer
    if not task.base_answers or not renderer.labels:
        return []
    asked = [(0, Labelled("-", label)) for label in renderer.labels]
    encoded = task.encode(asked, replace(renderer, max_length=1 << 30))
    answers = {
        str(row.label): row.ids[row.prompt_length :] for rows in encoded if isinstance(rows, list) for row in rows
    }
    special = set(renderer.tokenizer.all_special_ids)
    firsts: dict[int, list[str]] = {}
    for label, ids in answers.items():
        firsts.setdefault(next((number for number in ids if number not in special), -1), []).append(label)
    warnings = [
        f"the labels {', '.join(labels)} begin with the same token: they are harder to tell apart"
        for labels in firsts.values()
        if len(labels) > 1
    ]
    if any(renderer.tokenizer.decode(ids).strip() == label for label, ids in answers.items()):
        warnings.append("answers have no end token: a generated answer will not know where to stop")
    return warnings
