"""The parity gate, on distributions made by hand."""

import math

import pytest
import torch

from luthier.errors import ArtefactRefused
from luthier.export.parity import distance, gate

ONE = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])


def test_distance_is_the_largest_total_variation():
    other = torch.tensor([[0.4, 0.4, 0.2], [0.1, 0.3, 0.6]])
    assert distance(ONE, ONE) == 0.0
    assert distance(ONE, other) == pytest.approx(0.2)
    assert distance(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])) == 1.0


def test_within_what_is_allowed_it_passes():
    other = torch.tensor([[0.3, 0.5, 0.2], [0.1, 0.1, 0.8]])
    parity = gate(ONE, other, 0.25, "merged")
    assert (parity.rows, parity.agreement, parity.allowed) == (2, 0.5, 0.25)
    assert parity.distance == pytest.approx(0.2)


def test_beyond_it_is_refused_and_the_worst_prompt_named():
    other = torch.tensor([[0.5, 0.29, 0.21], [0.3, 0.1, 0.6]])
    with pytest.raises(ArtefactRefused, match=r"total variation 0\.2") as refused:
        gate(ONE, other, 0.1, "merged")
    assert refused.value.where == "golden prompt 2"
    assert refused.value.exit_code == 6


def test_what_is_not_a_number_is_refused():
    with pytest.raises(ArtefactRefused):
        gate(ONE, torch.full_like(ONE, math.nan), 1.0, "merged")
