import asyncio
import os
import signal
from collections.abc import Callable, Coroutine

import pytest

from support.virtual_time import run_in_virtual_time, seconds
from teleport_operator.background import BackgroundEnded, running, stop_by_signals, wait_or_stop


class Endless:
    """Work that goes on until it is cancelled."""

    def __init__(self) -> None:
        self.was_cancelled = False

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise


async def fail() -> None:
    await asyncio.sleep(1)
    raise ValueError("a fault")


async def end() -> None:
    await asyncio.sleep(1)


async def watch_beside(endless: Endless, *others: Callable[[], Coroutine[None, None, None]]) -> float:
    """Watch for a minute, or until something ends; return for how long."""
    stop = asyncio.Event()
    try:
        async with running([endless.run(), *(other() for other in others)], stop):
            await wait_or_stop(stop, 60)
    finally:
        watched = seconds()
    return watched


def test_endless_work_ends_with_the_block_and_nobody_complains() -> None:
    endless = Endless()
    assert run_in_virtual_time(watch_beside(endless)) == 60
    assert endless.was_cancelled


def test_the_event_ends_endless_work_before_the_block_and_whoever_has_to_finish_something_may() -> None:
    finished: list[float] = []

    async def finish() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(3)
            finished.append(seconds())

    async def tell() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(10, stop.set)
        async with running([finish()], stop):
            await asyncio.sleep(11)
        assert finished == [13]

    run_in_virtual_time(tell())


@pytest.mark.parametrize("work", [fail, end])
def test_work_that_ends_by_itself_ends_all(work: Callable[[], Coroutine[None, None, None]]) -> None:
    async def tell() -> None:
        with pytest.raises(BackgroundEnded, match=work.__name__) as caught:
            await watch_beside(endless, work)
        assert isinstance(caught.value.__cause__, ValueError) == (work is fail)
        assert seconds() == 1

    endless = Endless()
    run_in_virtual_time(tell())
    assert endless.was_cancelled


def test_a_failure_of_the_block_is_not_covered_up() -> None:
    async def tell() -> None:
        async with running([endless.run()], asyncio.Event()):
            await asyncio.sleep(0)
            raise ZeroDivisionError

    endless = Endless()
    with pytest.raises(ZeroDivisionError):
        run_in_virtual_time(tell())
    assert endless.was_cancelled


@pytest.mark.parametrize(("stopped_after", "waited"), [(None, 60), (10, 10)])
def test_one_waits_no_longer_than_until_the_event(stopped_after: float | None, waited: float) -> None:
    async def wait() -> float:
        stop = asyncio.Event()
        if stopped_after is not None:
            asyncio.get_running_loop().call_later(stopped_after, stop.set)
        await wait_or_stop(stop, 60)
        return seconds()

    assert run_in_virtual_time(wait()) == waited


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_sets_the_event(number: signal.Signals) -> None:
    stop = asyncio.Event()
    stop_by_signals(stop)
    try:
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stop.wait(), 1)
    finally:
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(each)
