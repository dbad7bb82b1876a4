from datetime import timedelta

import pytest

from teleport.kube.outgoing import parse_retry_after


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
