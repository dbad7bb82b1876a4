"""Work beside answering runs for the time of a block; its end by an error that nobody expected does not pass unseen."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager

logger = logging.getLogger(__name__)


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
