"""Forecasts in words: written, and read out of answers as models give them."""

import pytest

from luthier.data.market.forecasts import Forecast, answer_of, move_sentence, read_forecast, stated_moves

PUBLISHED = """[Positive Developments]:
1. Orders rose by 12%.

[Potential Concerns]:
1. Costs went up by 3-4% and demand is down by more than 5%.

[Prediction & Analysis]:
Prediction: {}
Analysis: Orders outweigh costs; the price may go up by 1-2%, though it could fall by 4-5%.
"""


@pytest.mark.parametrize(
    ("change", "words", "middle"),
    [
        (0.0, "up by 0-1%", 0.5),
        (0.004, "up by 0-1%", 0.5),
        (0.01, "up by 0-1%", 0.5),
        (0.0101, "up by 1-2%", 1.5),
        (-0.0001, "down by 0-1%", -0.5),
        (-0.05, "down by 4-5%", -4.5),
        (0.0501, "up by more than 5%", 5.5),
        (-0.4, "down by more than 5%", -5.5),
    ],
)
def test_moves_lie_in_ranges_of_whole_per_cents(change, words, middle):
    forecast = Forecast.of(change)
    assert (forecast.words, forecast.middle) == (words, middle)
    assert read_forecast(answer_of(forecast)) == forecast, "what is written is read"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Up by 1-2%", "up by 1-2%"),
        ("Down by more than 5%", "down by more than 5%"),
        ("Up by 5+%", "up by more than 5%"),
        ("down by 0-1%", "down by 0-1%"),
        ("Up by 1% to 2%.", "up by 1-2%"),
        ("The stock is likely to decline by approximately 2–3 percent", "down by 2-3%"),
        ("an increase of between 1 and 2%", "up by 1-2%"),
        ("A 3-4% increase", "up by 3-4%"),
        ("Up by 2%", "up by 2-2%"),
        ("Down by 2.5-1.5%", "down by 1.5-2.5%"),
        ("After rising last week, the price will fall by 1-2%", "down by 1-2%"),
        ("After falling last week, a 2-3% rise", "up by 2-3%"),
        ("The price will not rise but fall by 2-3%", "down by 2-3%"),
        ("It will rise or gain at least 2%", "up by more than 2%"),
        ("A 3-4% increase; costs are falling", "up by 3-4%"),
    ],
)
def test_answers_of_the_published_form_are_read(said, words):
    found = read_forecast(PUBLISHED.format(said))
    assert found is not None
    assert found.words == words


@pytest.mark.parametrize(
    "answer",
    [
        "[Prediction & Analysis]:\nPrediction: Up by 1-2%",
        "[Prediction and Analysis]\nUp by 1-2%\nIt may also go down by 3-4%.",
        "**[Prediction & Analysis]**:\n**Prediction**: Up by 1-2%\n**Analysis**: down by 3-4% was feared.",
        "[Prediction & Analysis]:\nLast week it went down by 3-4%.\nPrediction: Up by 1-2%",
        "prediction:\n\nup by 1-2% Analysis: down by 3-4%",
        "Up by 1-2%\n\nDown by 3-4% was last week.",
        "  Up by 1-2%",
    ],
)
def test_the_line_behind_the_heading_decides(answer):
    found = read_forecast(answer)
    assert found is not None
    assert found.words == "up by 1-2%"


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Up",
        "Prediction: Up",
        "Prediction: 1-2%",
        "Prediction: stable, between 1 and 2 dollars",
        "Prediction: Up by 1-2% or down by 1-2%",
        "Prediction: Up or down by 1-2%",
        "Prediction: Up/Down by 1-2%",
        "Prediction: up (or down) by 1-2%",
        "Prediction: fall and/or rise by 1-2%",
        "Prediction: 1-2% up or down",
        "Prediction: The price will not rise by 1-2%",
        "Up or down by 1-2%",
        "Prediction: (Up or Down) by (0-1, 1-2, 2-3, 3-4, 4-5 or more than 5)%\nAnalysis: up by 1-2%",
        "[Prediction & Analysis]:\n\n",
        "I cannot predict stock prices.\nPerhaps up by 1-2%.",
        "The price was up by 1-2% last week.",
        "Shares traded 1.7% higher.",
        "[Positive Developments]:\n1. Sales are up by 3-4%.",
    ],
)
def test_answers_without_one_direction_and_a_range_are_invalid(answer):
    if answer.startswith("[Positive"):
        assert "Prediction" not in answer
    assert read_forecast(answer) is None


def test_moves_that_prompts_state_are_read_back():
    prompt = "\n\n".join(
        [
            "[Company Introduction]:\n\nprice moved from 3 to 4",
            move_sentence("2015-01-05", "2015-01-12", "A.B", 0.0123) + " News of this week:\n- target up from 40 to 45",
            move_sentence("2015-01-12", "2015-01-19", "A.B", -0.1) + " No news.",
            "Forecast the move of A.B's stock price in the next week, from 2015-01-19 to 2015-01-26.",
        ]
    )
    assert stated_moves(prompt) == [1.2, -10.0]


def test_moves_of_published_prompts_are_read_off_their_prices():
    prompt = (
        "From 2023-05-07 to 2023-05-14, AAPL's stock price decreased from 200.00 to 190.00. News\n"
        "From 2023-05-14 to 2023-05-21, AAPL's stock price increased from 190.00 to 199.50. News"
    )
    assert stated_moves(prompt) == pytest.approx([-5.0, 5.0])
    assert stated_moves("From 2023-05-07 to 2023-05-14, X's stock price increased from 0.00 to 1.00.") == [0.0]
