import asyncio
from datetime import timedelta

import pytest

from support.clock import START, FakeClock
from teleport.backend.expiry import SWEEP_BATCH, ExpiryClock, Sweeper, live
from teleport.backend.protocol import Item
from teleport.errors import Unavailable

INSTANT = timedelta(microseconds=1)


def test_an_item_lives_up_to_and_including_its_end() -> None:
    item = Item("/k/a", b"", 1, START)
    assert live(item, START - INSTANT) is item
    assert live(item, START) is item
    assert live(item, START + INSTANT) is None
    assert live(None, START) is None
    assert live(Item("/k/a", b"", 1), START) is not None


def test_the_clock_of_expiry_never_goes_back() -> None:
    clock = FakeClock()
    expiry = ExpiryClock(clock)
    assert expiry.now() == START
    clock.advance(timedelta(hours=-1))
    assert expiry.now() == START
    clock.advance(timedelta(hours=2))
    assert expiry.now() == START + timedelta(hours=1)


async def test_a_sweep_that_fails_is_told_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    outcomes: list[int | Unavailable] = [Unavailable("the disk is full"), SWEEP_BATCH, SWEEP_BATCH, 3]
    done = asyncio.Event()

    async def sweep() -> int:
        if not outcomes:
            done.set()
            return 0
        outcome = outcomes.pop(0)
        if isinstance(outcome, Unavailable):
            raise outcome
        return outcome

    sweeper = Sweeper(sweep, period=timedelta())
    sweeper.start()
    sweeper.start()
    await done.wait()
    await sweeper.stop()
    assert caplog.messages == ["expired items are not removed at present: the disk is full"]
