from datetime import timedelta

import pytest

from support.clock import FakeClock
from teleport.auth import recently_told
from teleport.auth.recently_told import RecentlyTold

HOUR = timedelta(hours=1)


def test_a_fact_is_new_once_until_its_time_is_over() -> None:
    clock = FakeClock()
    told = RecentlyTold(clock)
    until = clock.now() + HOUR
    assert told.add(("alice", "grafana"), until)
    assert not told.add(("alice", "grafana"), until + HOUR)
    assert told.add(("alice", "wiki"), until)
    clock.advance(HOUR)
    assert not told.add(("alice", "grafana"), until)
    clock.advance(timedelta(microseconds=1))
    assert told.add(("alice", "grafana"), until)


def test_the_parts_of_a_fact_are_told_apart() -> None:
    clock = FakeClock()
    told = RecentlyTold(clock)
    assert told.add(("ab", "c"), clock.now() + HOUR)
    assert told.add(("a", "bc"), clock.now() + HOUR)


def test_so_many_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recently_told, "MAX_REMEMBERED", 2)
    clock = FakeClock()
    told = RecentlyTold(clock)
    for name in "abc":
        told.add((name,), clock.now() + HOUR)
    assert [told.add((name,), clock.now() + HOUR) for name in "ca"] == [False, True]
