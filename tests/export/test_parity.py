"""The parity gate, on distributions made by hand."""

import math

import pytest
import torch

from luthier.errors import ArtefactRefused
from luthier.export.parity import distances, gate


def answers(*rows: list[float]) -> list[torch.Tensor]:
    """One distribution a row."""
    return [torch.tensor([row]) for row in rows]


ONE = answers([0.5, 0.3, 0.2], [0.1, 0.1, 0.8])


def test_distance_is_the_total_variation():
    other = answers([0.4, 0.4, 0.2], [0.1, 0.3, 0.6])
    assert distances(ONE, ONE) == [0.0, 0.0]
    assert distances(ONE, other) == pytest.approx([0.1, 0.2])
    assert distances(answers([1.0, 0.0]), answers([0.0, 1.0])) == [1.0]


def test_within_what_is_allowed_it_passes():
    other = answers([0.3, 0.5, 0.2], [0.1, 0.1, 0.8])
    parity = gate(ONE, other, 0.25, "merged")
    assert (parity.rows, parity.agreement, parity.allowed) == (2, 0.5, 0.25)
    assert parity.distance == pytest.approx(0.2)


def test_beyond_it_is_refused_and_the_worst_prompt_named():
    other = answers([0.5, 0.29, 0.21], [0.3, 0.1, 0.6])
    with pytest.raises(ArtefactRefused, match=r"total variation 0\.2") as refused:
        gate(ONE, other, 0.1, "merged")
    assert refused.value.where == "golden prompt 2"
    assert refused.value.exit_code == 6


def test_what_is_not_a_number_is_refused():
    with pytest.raises(ArtefactRefused):
        gate(ONE, answers([math.nan] * 3, [0.1, 0.1, 0.8]), 1.0, "merged")


def test_the_worst_of_a_rows_distributions_counts():
    tags = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    assert distances([tags], [torch.tensor([[0.9, 0.1], [0.8, 0.2]])]) == pytest.approx([0.3])
