import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

import pytest

from support.backend import SteeredBackend
from support.clock import FakeClock
from support.virtual_time import run_in_virtual_time, seconds
from teleport.auth.background import RETRY, follow, repeat
from teleport.backend.protocol import Event, Put
from teleport.background import running
from teleport.errors import Unavailable

MINUTE = timedelta(minutes=1)


class Action:
    """Something to do: it notes when, and fails as often as it is told to."""

    def __init__(self, *failures: Exception) -> None:
        self.times: list[float] = []
        self.called = asyncio.Event()
        self._failures = list(failures)

    async def __call__(self) -> None:
        self.times.append(seconds())
        self.called.set()
        if self._failures:
            raise self._failures.pop(0)


def test_an_action_is_repeated_at_once_and_every_period() -> None:
    async def work() -> list[float]:
        action = Action()
        async with running([repeat("working", MINUTE, action)], pytest.fail):
            await asyncio.sleep(150)
        return action.times

    assert run_in_virtual_time(work()) == [0, 60, 120]


def test_an_action_that_fails_is_tried_again_soon() -> None:
    async def work() -> list[float]:
        action = Action(Unavailable("not now"))
        async with running([repeat("working", MINUTE, action)], pytest.fail):
            await asyncio.sleep(70)
        return action.times

    retry = RETRY.total_seconds()
    assert run_in_virtual_time(work()) == [0, retry, retry + 60]


@asynccontextmanager
async def following(backend: SteeredBackend, action: Action) -> AsyncIterator[None]:
    async with running([follow(backend, "things/", action)], pytest.fail):
        yield


async def wait_for_calls(action: Action, count: int) -> None:
    async with asyncio.timeout(10):
        while len(action.times) < count:
            action.called.clear()
            await action.called.wait()


async def test_changes_are_followed_from_the_start() -> None:
    backend, action = SteeredBackend(clock=FakeClock()), Action()
    async with following(backend, action):
        await wait_for_calls(action, 1)
        await backend.commit([], [Put("things/1", b"")])
        await wait_for_calls(action, 2)
        await backend.commit([], [Put("others/1", b"")])
        await backend.commit([], [Put("things/1", b"again")])
        await wait_for_calls(action, 3)
    assert len(action.times) == 3


class BrokenWatch(SteeredBackend):
    """A store whose first watch breaks."""

    broken = False

    def watch(self, prefix: str) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        if self.broken:
            return super().watch(prefix)
        self.broken = True
        raise Unavailable("fell too far behind")


def test_a_watch_that_breaks_is_begun_anew() -> None:
    async def work() -> list[float]:
        action = Action()
        async with following(BrokenWatch(clock=FakeClock()), action):
            await asyncio.sleep(RETRY.total_seconds() + 1)
        return action.times

    assert run_in_virtual_time(work()) == [RETRY.total_seconds()]


def test_a_failing_reaction_is_tried_again() -> None:
    async def work() -> list[float]:
        action = Action(Unavailable("not now"))
        async with following(SteeredBackend(clock=FakeClock()), action):
            await asyncio.sleep(RETRY.total_seconds() + 1)
        return action.times

    assert run_in_virtual_time(work()) == [0, RETRY.total_seconds()]
