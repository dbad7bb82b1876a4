"""When stored things are over: the time that decides it, and the task that removes them."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from teleport.backend.protocol import Item
from teleport.clock import Clock
from teleport.errors import StorageError, Unavailable

SWEEP_PERIOD = timedelta(seconds=1)
SWEEP_BATCH = 256
"""How many items one transaction of a sweep removes at most, so that commits never wait long behind it."""

_log = logging.getLogger(__name__)


def live(item: Item | None, now: datetime) -> Item | None:
    """Return the item unless its time is over; the instant of `expires` itself still counts as alive."""
    if item is None or item.expires is None or item.expires >= now:
        return item
    return None


class ExpiryClock:
    """The clock, except that it never goes back: what was seen to be gone stays gone. Safe to share by threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._latest = datetime.min.replace(tzinfo=UTC)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the latest time that the clock has shown, in UTC."""
        with self._lock:
            self._latest = max(self._latest, self._clock.now())
            return self._latest


class Sweeper:
    """A background task that removes expired items.

    Args:
        sweep: removes up to `SWEEP_BATCH` items and returns how many it found.
        period: how long it rests when nothing is left.
    """

    def __init__(self, sweep: Callable[[], Awaitable[int]], *, period: timedelta) -> None:
        self._sweep = sweep
        self._period = period
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start sweeping on the running loop, unless that was done before."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="backend-sweeper")

    async def stop(self) -> None:
        """Stop sweeping; a batch on its way is completed by the backend."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._period.total_seconds())
            try:
                while await self._sweep() >= SWEEP_BATCH:
                    pass
            except (Unavailable, StorageError) as error:
                _log.warning("expired items are not removed at present: %s", error.message)
