from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from support.clock import START
from teleport.auth.records import build_bucket, build_time_key, decode, encode

MOMENTS = st.datetimes(min_value=datetime(1971, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone is beside it


@given(MOMENTS, MOMENTS)
def test_keys_sort_by_time_to_the_microsecond(one: datetime, other: datetime) -> None:
    if one == other:
        return
    assert (build_time_key(one) < build_time_key(other)) == (one < other)


def test_keys_of_one_instant_differ() -> None:
    assert len({build_time_key(START) for _ in range(100)}) == 100


def test_a_bucket_is_a_minute() -> None:
    assert build_bucket(START + timedelta(seconds=59)) == build_bucket(START)
    assert build_bucket(START + timedelta(seconds=60)) == build_bucket(START) + 1


def test_a_record_reads_back() -> None:
    record = {"a": [1, 1.5, "ü", None, True]}
    assert decode(encode(record)) == record
