"""Answers that cannot be understood."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from luthier.diagnosis import Finding, Symptom
from luthier.diagnosis._case import Case

SHARE = 0.05
"""Share of answers that may be invalid."""

SHOWN = 3


class InvalidAnswers(Symptom):
    """The tuned model says what is none of the allowed answers."""

    def find(self, case: Case) -> Iterator[Finding]:
        """See `luthier.diagnosis.Symptom`."""
        for mode, comparison in case.comparisons.items():
            invalid = comparison["tuned"].get("invalid")
            if invalid is None or invalid["value"] <= SHARE:
                continue
            said = Counter(line["raw"].strip()[:40] for line in case.answers(mode) if not line["valid"])
            shown = ", ".join(f"'{text}' ({count})" for text, count in said.most_common(SHOWN))
            yield Finding(
                "Many invalid answers",
                "problem" if invalid["value"] > 4 * SHARE else "warning",
                f"{invalid['value']:.1%} of {comparison['rows']} answers, asked by '{mode}', such as {shown}",
                "the model has not yet learned the form of the answers, or the prompt does not say which there are",
                self._clearer(case),
            )

    def _clearer(self, case: Case) -> dict[str, Any]:
        config = case.config
        change: dict[str, Any] = {"training.epochs": 2 * config.training.epochs}
        if case.label_rows and "{" not in (config.data.instruction or ""):
            change["data.instruction"] = ((config.data.instruction or "") + " Choose from {labels}.").strip()
        if case.label_rows and max(map(len, case.label_rows)) > 3 * config.evaluation.generate.max_new_tokens:
            change["evaluation.generate.max_new_tokens"] = 2 * config.evaluation.generate.max_new_tokens
        return change
