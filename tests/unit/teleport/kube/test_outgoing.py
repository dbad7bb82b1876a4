import socket
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.kube.outgoing import PROBES, open_socket, parse_date, parse_retry_after


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("0", 1),
        ("30", 30),
        ("31", 30),
        ("999999", 30),
        ("1000000", 1),
        ("", 1),
        ("-1", 1),
        ("soon", 1),
        ("\u0663", 1),
    ],
)
def test_hostile_20_retry_after_is_kept_within_bounds(text: str, seconds: int) -> None:
    assert parse_retry_after(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("Tue, 24 Nov 2026 12:00:23 GMT", datetime(2026, 11, 24, 12, 0, 23, tzinfo=UTC)),
        ("Tue, 24 Nov 2026 12:00:23 -0000", None),
        ("Tue, 99 Nov 2026 12:00:23 GMT", None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_date_that_is_none_is_as_if_it_were_not_there(text: str, date: datetime | None) -> None:
    assert parse_date(text) == date


@given(st.text(max_size=200))
def test_whatever_stands_for_a_date_is_read_or_is_none(text: str) -> None:
    date = parse_date(text)
    assert date is None or date.tzinfo is not None


def test_a_connection_that_died_without_a_word_is_noticed_while_a_watch_is_silent() -> None:
    with open_socket((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 0))) as opened:
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        for name, value in PROBES.items():
            assert opened.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value
