import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.config import SplitConfig
from luthier.data.similarity import Signer
from luthier.data.splits import TEST, TRAIN, VALIDATION, Keys, carve, find_leaks, limited


def labels(*counts: int) -> np.ndarray:
    return np.repeat(np.arange(len(counts)), counts).astype(np.int32)


def split(keys: Keys, **options: object) -> np.ndarray:
    return carve(keys, SplitConfig.model_validate(options), test=True, validation=True)[0]


def test_labels_keep_their_shares() -> None:
    classes = labels(700, 200, 100)
    codes = split(Keys(classes))
    for code in (TEST, VALIDATION):
        assert np.bincount(classes[codes == code]).tolist() == [70, 20, 10]


def test_the_seed_decides_and_nothing_else() -> None:
    keys = Keys(labels(60, 40))
    assert (split(keys) == split(keys)).all()
    assert (split(keys) != split(keys, seed=1)).any()


def test_tiny_classes_stay_in_training() -> None:
    classes = labels(1, 2, 100)
    codes = split(Keys(classes), test=0.4, validation=0.4)
    assert set(classes[codes == TRAIN]) == {0, 1, 2}
    assert codes[0] == TRAIN


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=6),
    st.floats(0, 0.45),
    st.floats(0, 0.45),
    st.sampled_from(["random", "label"]),
)
def test_sizes_are_right_whenever_rows_can_be_spared(
    counts: list[int], test: float, validation: float, by: str
) -> None:
    classes = labels(*counts)
    codes = split(Keys(classes), test=test, validation=validation, by=by)
    n = len(classes)
    wanted = [max(round(share * n), 1) if share and n >= 3 else 0 for share in (test, validation)]
    for code, count in zip((TEST, VALIDATION), wanted, strict=True):
        assert (codes == code).sum() <= count
    present = sum(count > 0 for count in counts) if by == "label" else min(n, 1)
    assert (codes == TRAIN).sum() == max(n - sum(wanted), present)


def test_rows_without_labels_are_split_at_random_and_it_is_said() -> None:
    codes, notes = carve(Keys(np.full(50, -1, np.int32)), SplitConfig(), test=True, validation=True)
    assert np.bincount(codes).tolist() == [40, 5, 5]
    assert notes == ["the rows have no labels: splits are random"]


def test_what_the_user_supplied_is_not_carved() -> None:
    codes, _ = carve(Keys(labels(50, 50)), SplitConfig(), test=False, validation=True)
    assert np.bincount(codes, minlength=3).tolist() == [90, 10, 0]


def test_groups_never_cross() -> None:
    groups = np.random.default_rng(0).integers(0, 40, 1000).astype(np.int32)
    codes = split(Keys(labels(1000), groups=groups), by="group:company")
    assert all(len(set(codes[groups == group])) == 1 for group in range(40))
    for code in (TEST, VALIDATION):
        assert 60 <= (codes == code).sum() <= 140


@pytest.mark.parametrize("sizes", [(10,), (10, 10), (1000, 1, 1), (5, 5, 5)])
def test_few_groups_leave_something_to_train_on(sizes: tuple[int, ...]) -> None:
    codes = split(Keys(labels(sum(sizes)), groups=labels(*sizes)), by="group:company")
    assert (codes == TRAIN).any()
    assert len(set(codes)) == min(len(sizes), 3)


def test_latest_rows_are_the_test_and_one_time_is_not_torn() -> None:
    times = np.random.default_rng(0).permutation(np.repeat(np.arange(50.0), 2))
    codes = split(Keys(labels(100), times=times), by="time:date", test=0.09, validation=0.1)
    assert times[codes == TEST].min() > times[codes == VALIDATION].max()
    assert times[codes == VALIDATION].min() > times[codes == TRAIN].max()
    assert (codes == TEST).sum() == 10


def test_rows_of_one_time_are_all_trained_on() -> None:
    codes, notes = carve(Keys(labels(10), times=np.zeros(10)), SplitConfig(by="time:date"), test=True, validation=True)
    assert (codes == TRAIN).all()
    assert notes == ["no row could be spared for test", "no row could be spared for validation"]


def test_leaks_name_the_row_they_resemble() -> None:
    long = "Operating profit rose to EUR 13.1 mn from EUR 8.7 mn in the same period of the year before"
    texts = ["sales fell", long, "nothing alike", "sales  fell", long + "!"]
    signer = Signer()
    signer.add(texts)
    signatures = signer.finish()
    assert find_leaks(signatures, np.array([0, 1, 2]), np.array([3, 4]), 0.8, texts.__getitem__) == {0: 3, 1: 4}
    assert find_leaks(signatures, np.array([3, 4]), np.array([0, 1, 2]), 0.8, texts.__getitem__) == {3: 0, 4: 1}
    assert find_leaks(signatures, np.array([0, 1]), np.array([], np.int64), 0.8, texts.__getitem__) == {}


def test_the_limit_keeps_the_shares_of_labels() -> None:
    classes = labels(600, 300, 100)
    stays = limited(classes, 100, 42)
    assert np.bincount(classes[stays]).tolist() == [60, 30, 10]
    assert limited(classes, 5000, 42).all()
    assert (limited(classes, 100, 42) == stays).all()
