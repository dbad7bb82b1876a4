import logging
from datetime import timedelta

import pytest

from support.backend import SteeredBackend
from support.clock import START, FakeClock
from teleport.auth.clock_guard import TOLERANCE, ClockGuard

HOUR = timedelta(hours=1)


def test_it_tells_the_time_of_the_machine() -> None:
    clock = FakeClock()
    guard = ClockGuard(clock)
    clock.advance(HOUR)
    assert (guard.now(), guard.monotonic()) == (START + HOUR, clock.monotonic())


def test_hostile_28_a_clock_that_is_set_back_revives_nothing() -> None:
    clock = FakeClock()
    guard = ClockGuard(clock)
    clock.advance(HOUR)
    guard.now()
    clock.advance(-HOUR)
    assert guard.now() == START + HOUR
    clock.advance(2 * HOUR)
    assert guard.now() == START + 2 * HOUR


async def test_hostile_28_not_even_over_a_restart() -> None:
    backend = SteeredBackend(clock=FakeClock())
    before = FakeClock(START + HOUR)
    await ClockGuard(before).store(backend)
    guard = ClockGuard(FakeClock(START))
    await guard.load(backend)
    assert guard.now() == START + HOUR


async def test_a_later_clock_wins_over_what_was_remembered() -> None:
    backend = SteeredBackend(clock=FakeClock())
    await ClockGuard(FakeClock(START)).store(backend)
    guard = ClockGuard(FakeClock(START + HOUR))
    await guard.load(backend)
    assert guard.now() == START + HOUR


async def test_a_new_store_remembers_nothing() -> None:
    guard = ClockGuard(FakeClock())
    await guard.load(SteeredBackend(clock=FakeClock()))
    assert guard.now() == START


@pytest.mark.parametrize(("step", "lines"), [(TOLERANCE, 0), (HOUR, 1)])
def test_a_step_back_is_said_once_unless_it_is_tiny(
    caplog: pytest.LogCaptureFixture, step: timedelta, lines: int
) -> None:
    caplog.set_level(logging.ERROR)
    clock = FakeClock()
    guard = ClockGuard(clock)
    clock.advance(-step)
    guard.now()
    guard.now()
    assert caplog.text.count("is behind") + caplog.text.count("behind a time") == lines
