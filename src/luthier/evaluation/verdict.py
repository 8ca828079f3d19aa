"""What an evaluation means, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.evaluation.formatting import number, p_value, share, signed, span
from luthier.evaluation.results import primary
from luthier.evaluation.statistics import outcome

LINEAR = ("tfidf", "tfidf_labels", "tfidf_ridge", "tfidf_moves")
"""Baselines that are linear models on word counts, the last one also on past moves."""


def verdict(results: Mapping[str, Any]) -> str:
    """A few sentences: is the tuned model better than its base, by how much and how surely; does a linear model reach
    it; how many answers are invalid; what it has forgotten.

    Args:
        results: the content of metrics.json.
    """
    comparison = primary(results)
    metric = results["primary"].get("metric")
    if metric is None:
        return f"Nothing could be scored: the {comparison['rows']} rows have no expected answers."
    sentences = [_against_base(comparison, metric), _against_linear(comparison, metric), _validity(comparison)]
    sentences.append(_forgetting(results.get("forgetting")))
    return " ".join(sentence for sentence in sentences if sentence)


def _against_base(comparison: Mapping[str, Any], metric: str) -> str:
    facts, tuned = comparison["metrics"][metric], comparison["tuned"][metric]
    score = f"{facts['title']} {number(tuned['value'])} (95\u00a0% interval {span(tuned)}) on {comparison['rows']} rows"
    if not comparison["base"] or metric not in comparison["difference"]:
        return f"The tuned model reaches {score}; the base by itself cannot answer."
    difference, base = comparison["difference"][metric], comparison["base"][metric]
    detail = (
        f"{signed(difference['value'])} (95\u00a0% interval {span(difference, sign=True)}, {p_value(difference['p'])})"
    )
    found = outcome(difference, facts["higher_is_better"])
    opening = {"better": "Tuning helped", "worse": "Tuning made it worse", "unclear": "Tuning made no clear difference"}
    doubt = ", which may be chance" if found == "unclear" else ""
    return f"{opening[found]}: {score}, against {number(base['value'])} for the base, a difference of {detail}{doubt}."


def _against_linear(comparison: Mapping[str, Any], metric: str) -> str:
    name = next((name for name in LINEAR if metric in comparison["margins"].get(name, {})), None)
    if name is None:
        return ""
    margin, linear = comparison["margins"][name][metric], number(comparison["baselines"][name][metric]["value"])
    higher_is_better = comparison["metrics"][metric]["higher_is_better"]
    if outcome(margin, higher_is_better) == "better":
        return f"It is clearly ahead of a linear model on word counts ({linear})."
    if margin["value"] != 0 and (margin["value"] > 0) == higher_is_better:
        return (
            f"A linear model on word counts reaches {linear}, and the tuned model's lead of {signed(margin['value'])} "
            "may be chance: more test rows would tell whether the language model is worth it."
        )
    return (
        f"A linear model on word counts reaches {linear}: "
        "a score that a linear model reaches is not worth a language model."
    )


def _validity(comparison: Mapping[str, Any]) -> str:
    tuned = comparison["tuned"]
    if "invalid" in tuned:
        invalid = tuned["invalid"]["value"]
    elif "valid_forecasts" in tuned:
        invalid = 1 - tuned["valid_forecasts"]["value"]
    else:
        return ""
    count = round(invalid * comparison["rows"])
    if not count:
        return "None of its answers is invalid."
    verbs = "is invalid and counts" if count == 1 else "are invalid and count"
    return f"{count} of its answers ({share(invalid)}) {verbs} as wrong."


def _forgetting(general: Mapping[str, Any] | None) -> str:
    """Whether general text was lost."""
    if not general or not general["base"]:
        return ""
    metric = "perplexity" if "perplexity" in general["tuned"] else next(iter(general["tuned"]))
    facts, difference = general["metrics"][metric], general["difference"][metric]
    before, after = general["base"][metric]["value"], general["tuned"][metric]["value"]
    detail = f"its {facts['title']} is {number(after)}, {number(before)} before ({p_value(difference['p'])})"
    if outcome(difference, facts["higher_is_better"]) == "worse":
        return f"On general text it has forgotten something: {detail}."
    return f"On general text it has forgotten nothing that shows: {detail}."
