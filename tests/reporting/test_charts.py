from __future__ import annotations

from xml.etree import ElementTree

import pytest

from luthier.reporting.charts import HEIGHT, LEFT, TOP, WIDTH, Series, line_chart, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.62, 0.97, [0.6, 0.7, 0.8, 0.9, 1.0]),
        (0, 226, [0, 50, 100, 150, 200, 250]),
        (0, 5e-4, [0, 1e-4, 2e-4, 3e-4, 4e-4, 5e-4]),
        (-0.2, 0.9, [-0.5, 0, 0.5, 1.0]),
        (3.0, 3.0, [3.0, 4.0]),
        (0, 0, [0, 0.2]),
    ],
)
def test_ticks_are_round_and_hold_the_values(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def test_a_chart_is_well_formed_whatever_it_is_called():
    series = [Series("<a> & b", [(1, 0.5), (2, 0.25)], "s0"), Series("c", [(1, 0.4)], "s1")]
    chart = line_chart('<script>"', series, marker=1)
    page = ElementTree.fromstring(f"<div>{chart}</div>")
    assert [key.text for key in page.iter("span")] == ["<a> & b", "c"]
    assert page.find("svg").attrib["aria-label"] == '<script>"'
    assert "best" in [text.text for text in page.iter("text")]


def test_points_lie_inside_the_frame_in_their_order():
    chart = line_chart("loss", [Series("loss", [(0, 2.0), (50, 1.0), (100, 0.0)], "s0")])
    line = ElementTree.fromstring(str(chart)).find("polyline")
    places = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
    assert places[0] == (LEFT, TOP)
    assert places == sorted(places)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)


def test_a_single_point_is_a_dot_that_tells_its_value():
    svg = ElementTree.fromstring(str(line_chart("loss", [Series("loss", [(0, 1.25)], "s0")])))
    assert svg.find("circle/title").text == "loss, step 0: 1.25"
