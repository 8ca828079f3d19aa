from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from luthier.data.examples import UnreadableRow
from luthier.data.times import in_seconds, read_time, written

NOON = datetime(2014, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2014-01-01T12:00Z", "2014-01-01 13:00:00+01:00", "Wed, 01 Jan 2014 12:00:00 +0000",
        "Wed Jan 01 12:00:00 +0000 2014", NOON, NOON.timestamp(), str(NOON.timestamp()), "2014-01-01T12:00",
        "2014/01/01 12:00", 20140101120000, "20140101120000", *(NOON.timestamp() * 10**n for n in (3, 6, 9)),
        "1388577600000", "1388577600000000000",
    ],
)  # fmt: skip
def test_forms_of_one_moment(value: object) -> None:
    assert in_seconds(read_time(value, "time")) == NOON.timestamp()


@pytest.mark.parametrize("value", ["2014-01-01", "20140101", 20140101, 20140101.0, "2014/01/01", date(2014, 1, 1)])
def test_a_whole_day_means_what_it_is_said_to_mean(value: object) -> None:
    day = read_time(value, "time")
    zone = ZoneInfo("America/New_York")
    assert written(in_seconds(day)) == "2014-01-01T00:00:00Z"
    assert written(in_seconds(day, zone, time(16))) == "2014-01-01T21:00:00Z"
    assert written(in_seconds(day, zone, None)) == "2014-01-02T05:00:00Z"


def test_a_zone_of_its_own_counts_more() -> None:
    told = read_time("2014-01-01T12:00Z", "time")
    assert in_seconds(told, ZoneInfo("Asia/Shanghai")) == NOON.timestamp()
    assert (
        written(in_seconds(read_time("2014-07-01 20:00", "time"), ZoneInfo("Asia/Shanghai"))) == "2014-07-01T12:00:00Z"
    )


@pytest.mark.parametrize("value", [2014, "2014", 201401, 12.5, -3])
def test_a_number_that_names_no_date_stays_what_it_is(value: object) -> None:
    assert in_seconds(read_time(value, "time")) == float(str(value))


@pytest.mark.parametrize("value", ["9999-12-31", date(9999, 12, 31), 99991231, "0001-01-01", 5e10, 1e25, -1e10])
def test_years_that_nobody_means(value: object) -> None:
    with pytest.raises(UnreadableRow, match=r"column 'time' is .*(a time in the year|expected ISO 8601)"):
        read_time(value, "time")


@pytest.mark.parametrize(
    "value",
    [
        "yesterday", "2014-13-01", "nan", float("nan"), ["2014"], None, "12:00", 20141301, "20140231120000",
        10**400, "1e400",
    ],
)  # fmt: skip
def test_what_is_no_time(value: object) -> None:
    with pytest.raises(UnreadableRow, match="column 'time' is"):
        read_time(value, "time")
