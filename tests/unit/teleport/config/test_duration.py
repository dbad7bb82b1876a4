import contextlib
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.config.duration import MAX_LENGTH, parse_duration, render_duration
from teleport.errors import BadParameter


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5m", timedelta(minutes=5)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("1m0s", timedelta(minutes=1)),
        ("1.5h", timedelta(minutes=90)),
        ("250ms", timedelta(milliseconds=250)),
        ("30d", timedelta(days=30)),
        (" 10s ", timedelta(seconds=10)),
        ("0", timedelta()),
    ],
)
def test_a_duration_in_the_notation_of_go_is_read(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 m", "1y", "\u0665m", "1e3s", "1" * MAX_LENGTH + "s"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(BadParameter, match="not a duration"):
        parse_duration(text)


def test_a_duration_beyond_what_time_can_hold_is_refused() -> None:
    with pytest.raises(BadParameter, match="too long"):
        parse_duration("999999999999d")


def test_a_duration_may_have_64_characters_and_not_65() -> None:
    assert parse_duration("1s" * (MAX_LENGTH // 2)) == timedelta(seconds=32)
    with pytest.raises(BadParameter):
        parse_duration("1s" * (MAX_LENGTH // 2) + "1")


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=10**9))
def test_what_is_rendered_reads_back(seconds: int) -> None:
    assert parse_duration(render_duration(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


@settings(deadline=None)
@given(st.text(max_size=80))
def test_the_parser_refuses_and_never_breaks(text: str) -> None:
    with contextlib.suppress(BadParameter):
        assert parse_duration(text) >= timedelta()
