"""What may go wrong in a run, seen before it begins."""

from __future__ import annotations

from collections import Counter

from luthier.training.session import Session

IMBALANCE = 4.0
"""The commonest label may be this many times as frequent as the rarest without a word."""


def warnings_for(session: Session, parameters: int) -> list[str]:
    """Warnings in plain words, each with what to do about it."""
    checks = (_learning_rate(session, parameters), _imbalance(session), _truncated(session), *_label_words(session))
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
    counts = Counter(label for label in materials.prepared.train.labels if label is not None)
    if not materials.renderer.labels or len(counts) < 2 or materials.config.data.balance != "none":
        return ""
    (most, many), (least, few) = counts.most_common()[0], counts.most_common()[-1]
    if many < IMBALANCE * few:
        return ""
    advice = "consider data.balance: oversample, and watch f1_macro"
    return f"'{most}' has {many} training rows, '{least}' only {few}: {advice}"


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


def _label_words(session: Session) -> list[str]:
    """Labels are told apart by their first token where it differs, and end where the template says so."""
    renderer = session.materials.renderer
    if not session.materials.task.base_answers or not renderer.labels:
        return []
    firsts: dict[int, list[str]] = {}
    for label in renderer.labels:
        firsts.setdefault(renderer.answer_ids(label)[0], []).append(label)
    warnings = [
        f"the labels {', '.join(labels)} begin with the same token: they are harder to tell apart"
        for labels in firsts.values()
        if len(labels) > 1
    ]
    label = renderer.labels[0]
    ids = renderer.answer_ids(label)
    if renderer.tokenizer.decode(ids).strip() == label:
        warnings.append("answers have no end token: a generated answer will not know where to stop")
    return warnings
