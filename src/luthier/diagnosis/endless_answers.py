"""Written answers that do not stop."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from luthier.diagnosis import Finding, NotExamined, Symptom
from luthier.diagnosis._case import Case

SHARE = 0.1
"""Share of answers that may be cut off."""

LONGER = 1.5
"""So many times as long as what was expected is an answer that should have ended."""


class EndlessAnswers(Symptom):
    """Answers end at `evaluation.generate.max_new_tokens`, not by themselves."""

    def find(self, case: Case) -> Iterator[Finding]:
        """See `luthier.diagnosis.Symptom`."""
        lines = list(case.answers("generate"))
        if not lines or "cut" not in lines[0]:
            raise NotExamined("no answers were generated" if not lines else "it is not on record where answers ended")
        cut = [line for line in lines if line["cut"]]
        if len(cut) <= SHARE * len(lines):
            return
        limit = case.config.evaluation.generate.max_new_tokens
        written = median(len(line["raw"]) for line in cut)
        wanted = median(len(line["expected"] or "") for line in cut)
        seen = (
            f"{len(cut)} of {len(lines)} answers were cut off at {limit} tokens; the middle one has {written:g} "
            f"characters, where {wanted:g} were expected"
        )
        if written >= LONGER * wanted:
            yield Finding(
                "Answers do not stop",
                "warning",
                seen,
                "the model has not learned where answers end: too few steps, or a template without an end token",
                {"training.epochs": 2 * case.config.training.epochs},
                "`luthier inspect` must show the end token as learned; data.template: chat closes every answer",
            )
        else:
            yield Finding(
                "Answers are cut short",
                "warning",
                seen,
                "the answers that were taught are longer than what may be written",
                {"evaluation.generate.max_new_tokens": 2 * limit},
            )
