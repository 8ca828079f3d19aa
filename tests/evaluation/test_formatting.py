from __future__ import annotations

import pytest

from luthier.evaluation.formatting import number, p_value, readable, share, signed, span


@pytest.mark.parametrize(
    ("value", "text"), [(0.96912, "0.969"), (-0.5, "-0.500"), (34.24, "34.2"), (1204.4, "1204"), (float("inf"), "inf")]
)
def test_numbers_keep_what_can_be_told_apart(value, text):
    assert number(value) == text


def test_signs_intervals_shares_and_p_values():
    assert (signed(0.355), signed(-0.0119)) == ("+0.355", "−0.012")
    assert span({"low": -0.01, "high": 0.2}, sign=True) == "−0.010 to +0.200"
    assert share(0.0312) == "3.1\u00a0%"
    assert (p_value(2 / 1001), p_value(0.0141)) == ("p\u00a0≤\u00a00.002", "p\u00a0=\u00a00.014")


@pytest.mark.parametrize(
    ("answer", "form", "text"),
    [
        ("B-ORG O", "tags", "Nokia/B-ORG rose"),
        ("O O", "tags", "Nokia rose"),
        ("B-ORG", "tags", "B-ORG"),
        ("up | new", "labels", "up | new"),
        ("", "labels", "none"),
        ("0.25", "number", "0.25"),
        ("O O", "plain", "O O"),
    ],
)
def test_answers_are_shown_as_people_read_them(answer, form, text):
    assert readable("Nokia rose", answer, form) == text
