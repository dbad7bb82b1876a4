from datetime import timedelta

import pytest

from support.clock import FakeClock
from teleport.auth import undecided
from teleport.auth.undecided import PERIOD, UndecidedJoins

MOMENT = timedelta(milliseconds=1)


def test_the_first_is_told_of_at_once_and_the_rest_a_minute_later() -> None:
    clock = FakeClock()
    joins = UndecidedJoins(clock)
    assert [joins.count("a") for _ in range(3)] == [1, 0, 0]
    clock.advance(PERIOD - MOMENT)
    assert joins.count("a") == 0
    clock.advance(MOMENT)
    assert joins.count("a") == 4
    assert joins.count("a") == 0


def test_what_differs_is_told_of_by_itself() -> None:
    joins = UndecidedJoins(FakeClock())
    assert [joins.count(*kind) for kind in (("a", "b"), ("a", "c"), ("ab",))] == [1, 1, 1]


def test_their_number_is_bounded_and_nothing_goes_untold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undecided, "MAX_KINDS", 2)
    joins = UndecidedJoins(FakeClock())
    assert [joins.count(kind) for kind in "abc"] == [1, 1, 1]
    assert len(joins) == 2
    assert joins.count("c") == 0
    assert joins.count("a") == 1
