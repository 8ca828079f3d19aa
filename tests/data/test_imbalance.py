import pytest

from luthier.data.imbalance import uneven_labels


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"a": 40, "b": 10, "c": 20}, "'a' has 40 training rows, 'b' only 10"),
        ({"a": 39, "b": 10}, None),
        ({"a": 39}, None),
        ({}, None),
    ],
)
def test_four_to_one_is_uneven(counts, told):
    assert uneven_labels(counts) == told
