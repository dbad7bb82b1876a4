"""Work that goes on for ever beside the watch, and what happens when some of it does not: the process ends."""

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress

from teleport.errors import TeleportError


class BackgroundEnded(TeleportError):
    """Something that should go on for ever did not; a new process begins with everything anew."""


@asynccontextmanager
async def running(work: Iterable[Coroutine[None, None, None]], stop: asyncio.Event) -> AsyncIterator[None]:
    """Run endless work for the time of a block, or until the event is set, whatever the block still waits for.

    Args:
        work: what runs.
        stop: set when some of it ends.

    Raises:
        BackgroundEnded: some of it ended by itself.
    """
    tasks = [asyncio.create_task(coroutine) for coroutine in work]
    for task in tasks:
        task.add_done_callback(lambda _: stop.set())
    ending = asyncio.create_task(_cancel_after(stop, tasks))
    try:
        yield
    finally:
        ended = [task for task in tasks if task.done() and not task.cancelled()]
        stop.set()
        await asyncio.gather(ending, *tasks, return_exceptions=True)
    for task in ended:
        raise BackgroundEnded(f"background work ended: {task.get_coro()}") from task.exception()


async def _cancel_after(stop: asyncio.Event, tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel each task once: whoever has something to bring to an end is not interrupted in it."""
    await stop.wait()
    for task in tasks:
        task.cancel()


def stop_by_signals(stop: asyncio.Event) -> None:
    """Let SIGTERM and SIGINT set an event from now on, whoever listened to them before."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def wait_or_stop(stop: asyncio.Event, seconds: float) -> None:
    """Wait a while, and no longer than until the event is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
