"""Work beside answering: repeat what is due, follow what changes, and notice when any of it ends."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta

from teleport.backend.protocol import Backend
from teleport.errors import TeleportError

RETRY = timedelta(seconds=5)

logger = logging.getLogger(__name__)

Action = Callable[[], Awaitable[None]]


async def repeat(what: str, period: timedelta, action: Action) -> None:
    """Do something at once and every period, for ever; a failure is logged and tried again soon."""
    while True:
        try:
            await action()
        except TeleportError as error:
            logger.warning("%s: %s; trying again", what, error.message)
            await asyncio.sleep(RETRY.total_seconds())
        else:
            await asyncio.sleep(period.total_seconds())


async def follow(backend: Backend, prefix: str, on_change: Action) -> None:
    """Call an action at once and after every change below a prefix; a watch that breaks is begun anew."""
    while True:
        try:
            async with backend.watch(prefix) as events:
                await on_change()
                async for _ in events:
                    await on_change()
        except TeleportError as error:
            logger.warning("watching %s: %s; beginning anew", prefix, error.message)
        await asyncio.sleep(RETRY.total_seconds())


@asynccontextmanager
async def running(work: Iterable[Coroutine[None, None, None]], on_crash: Callable[[str], None]) -> AsyncIterator[None]:
    """Run endless work for the time of a block.

    Args:
        work: what runs.
        on_crash: told when some of it ended by an error that nobody expected.
    """
    tasks = [asyncio.create_task(coroutine) for coroutine in work]
    for task in tasks:
        task.add_done_callback(lambda ended: _look_after(ended, on_crash))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _look_after(task: asyncio.Task[None], on_crash: Callable[[str], None]) -> None:
    if task.cancelled() or task.exception() is None:
        return
    logger.error("background work ended: %s", task.get_coro(), exc_info=task.exception())
    on_crash("background work ended, see the log; restart the process")
