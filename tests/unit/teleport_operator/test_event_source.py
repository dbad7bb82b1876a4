from collections.abc import Iterable
from itertools import islice

from teleport_operator.event_source import LONGEST_BACKOFF, build_settings


def test_no_number_of_errors_ends_the_waits_and_none_is_long() -> None:
    backoffs = build_settings().networking.error_backoffs
    assert isinstance(backoffs, Iterable)
    waits = list(islice(backoffs, 1000))
    assert len(waits) == 1000
    assert max(waits) == LONGEST_BACKOFF.total_seconds()


def test_a_watch_that_broke_does_not_have_the_process_killed_later() -> None:
    assert build_settings().process.ultimate_exiting_timeout is None
