"""What an evaluation means, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.evaluation.formatting import number, p_value, share, signed, span
from luthier.evaluation.results import primary
from luthier.evaluation.statistics import outcome
from luthier.languages import tell

LINEAR = ("tfidf", "tfidf_labels", "tfidf_ridge", "tfidf_moves")
"""Baselines that are linear models on word counts, the last one also on past moves."""

OPENINGS = {
    "better": "Tuning helped: {score}, against {base} for the base, a difference of {detail}.",
    "worse": "Tuning made it worse: {score}, against {base} for the base, a difference of {detail}.",
    "unclear": "Tuning made no clear difference: {score}, against {base} for the base, a difference of {detail}, which "
    "may be chance.",
}
"""What a difference from the base means."""


def verdict(results: Mapping[str, Any]) -> str:
    """A few sentences: is the tuned model better than its base, by how much and how surely; does a linear model reach
    it; how many answers are invalid; what it has forgotten.

    Args:
        results: the content of metrics.json.
    """
    comparison = primary(results)
    metric = results["primary"].get("metric")
    if metric is None:
        return tell("Nothing could be scored: the {rows} rows have no expected answers.", rows=comparison["rows"])
    sentences = [_against_base(comparison, metric), _against_linear(comparison, metric), _validity(comparison)]
    sentences.append(_forgetting(results.get("forgetting")))
    return tell(" ").join(sentence for sentence in sentences if sentence)


def _against_base(comparison: Mapping[str, Any], metric: str) -> str:
    facts, tuned = comparison["metrics"][metric], comparison["tuned"][metric]
    score = tell(
        "{metric} {value} (95\u00a0% interval {span}) on {rows} rows",
        metric=tell(facts["title"]),
        value=number(tuned["value"]),
        span=span(tuned),
        rows=comparison["rows"],
    )
    if not comparison["base"] or metric not in comparison["difference"]:
        return tell("The tuned model reaches {score}; the base by itself cannot answer.", score=score)
    difference, base = comparison["difference"][metric], comparison["base"][metric]
    detail = tell(
        "{difference} (95\u00a0% interval {span}, {p})",
        difference=signed(difference["value"]),
        span=span(difference, sign=True),
        p=p_value(difference["p"]),
    )
    found = outcome(difference, facts["higher_is_better"])
    return tell(OPENINGS[found], score=score, base=number(base["value"]), detail=detail)


def _against_linear(comparison: Mapping[str, Any], metric: str) -> str:
    name = next((name for name in LINEAR if metric in comparison["margins"].get(name, {})), None)
    if name is None:
        return ""
    margin, linear = comparison["margins"][name][metric], number(comparison["baselines"][name][metric]["value"])
    higher_is_better = comparison["metrics"][metric]["higher_is_better"]
    if outcome(margin, higher_is_better) == "better":
        return tell("It is clearly ahead of a linear model on word counts ({linear}).", linear=linear)
    if margin["value"] != 0 and (margin["value"] > 0) == higher_is_better:
        return tell(
            "A linear model on word counts reaches {linear}, and the tuned model's lead of {lead} "
            "may be chance: more test rows would tell whether the language model is worth it.",
            linear=linear,
            lead=signed(margin["value"]),
        )
    return tell(
        "A linear model on word counts reaches {linear}: "
        "a score that a linear model reaches is not worth a language model.",
        linear=linear,
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
        return tell("None of its answers is invalid.")
    part = share(invalid)
    if count == 1:
        return tell("1 of its answers ({share}) is invalid and counts as wrong.", share=part)
    return tell("{count} of its answers ({share}) are invalid and count as wrong.", count=count, share=part)


def _forgetting(general: Mapping[str, Any] | None) -> str:
    """Whether general text was lost."""
    if not general or not general["base"]:
        return ""
    metric = "perplexity" if "perplexity" in general["tuned"] else next(iter(general["tuned"]))
    facts, difference = general["metrics"][metric], general["difference"][metric]
    detail = tell(
        "its {metric} is {after}, {before} before ({p})",
        metric=tell(facts["title"]),
        after=number(general["tuned"][metric]["value"]),
        before=number(general["base"][metric]["value"]),
        p=p_value(difference["p"]),
    )
    if outcome(difference, facts["higher_is_better"]) == "worse":
        return tell("On general text it has forgotten something: {detail}.", detail=detail)
    return tell("On general text it has forgotten nothing that shows: {detail}.", detail=detail)
