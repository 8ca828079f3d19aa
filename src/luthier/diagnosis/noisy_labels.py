"""Labels that contradict what like rows say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from luthier.data.ledger import read_ledger
from luthier.data.records import TokenSequence
from luthier.diagnosis import Finding, NotExamined, SuspectRow, Symptom
from luthier.diagnosis._case import Case

FEWEST, MOST = 100, 20_000
"""Training rows that can be cross-validated: fewer say nothing, more are sampled."""

SHARE = 0.03
"""Share of suspect rows that rows with true labels have too, because some are hard."""

MANY = 0.08
"""Share from which the labels themselves are in doubt."""


class NoisyLabels(Symptom):
    """A linear model that has not seen a row is sure of another label."""

    quick = False

    def find(self, case: Case) -> Iterator[Finding]:
        """See `luthier.diagnosis.Symptom`."""
        rows, labels = _rows(case)
        found = _suspects(case, rows, labels)
        if len(found) <= SHARE * len(rows):
            return
        yield Finding(
            "Labels look noisy",
            "warning" if len(found) > MANY * len(rows) else "note",
            f"{len(found)} of {len(rows)} training rows ({len(found) / len(rows):.1%}) have a label that a "
            f"cross-validated linear model is sure is wrong; some of them are only hard",
            "rows labelled by mistake, labels that overlap, or people who disagree",
            advice="look at the listed rows, mend or drop those that are wrong, and train again",
            rows=tuple(found),
        )


def _rows(case: Case) -> tuple[list[TokenSequence], list[str]]:
    """Training rows, each once, and the labels that can be cross-validated."""
    from luthier.diagnosis._confident import FOLDS

    train = case.prepared.train
    if not case.prepared.labels or len(train) < FEWEST:
        raise NotExamined(f"cross-validation needs labels and at least {FEWEST} training rows")
    chosen = np.sort(np.random.default_rng(case.config.data.split.seed).permutation(len(train))[:MOST])
    rows = [train[int(place)] for place in chosen]
    counts = {label: sum(row.label == label for row in rows) for label in case.prepared.labels}
    labels = [label for label, count in counts.items() if count >= FOLDS]
    if len(labels) < 2:
        raise NotExamined(f"cross-validation needs two labels with at least {FOLDS} rows")
    return [row for row in rows if row.label in labels], labels


def _suspects(case: Case, rows: Sequence[TokenSequence], labels: Sequence[str]) -> list[SuspectRow]:
    from luthier.diagnosis._confident import out_of_fold, suspects

    codes_n = np.array([labels.index(row.label or "") for row in rows])
    probabilities_nk = out_of_fold([row.text for row in rows], codes_n, case.config.data.split.seed)
    found = suspects(probabilities_nk, codes_n)
    places = _places(case, {rows[place].row_id for place in found})
    return [
        SuspectRow(
            rows[place].row_id,
            places.get(rows[place].row_id, ""),
            rows[place].text,
            rows[place].label or "",
            labels[int(probabilities_nk[place].argmax())],
            round(float(probabilities_nk[place, codes_n[place]]), 4),
        )
        for place in found
    ]


def _places(case: Case, row_ids: set[int]) -> dict[int, str]:
    """Where rows stand in the user's files, as the ledger says."""
    entries = read_ledger(case.run.ledger_file) if case.run.ledger_file.exists() else iter(())
    return {entry.row_id: f"{entry.file}:{entry.line}" for entry in entries if entry.row_id in row_ids}
