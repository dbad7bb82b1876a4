"""A backend whose answers are timed, for `/metrics`."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

from teleport.backend.protocol import Backend, Condition, Event, Item, Write
from teleport.web.metrics import Metrics


class MeasuredBackend:
    """Passes everything on, and tells how long it took; what fails counts as well.

    Args:
        backend: does the work.
        metrics: of the process.
    """

    def __init__(self, backend: Backend, metrics: Metrics) -> None:
        self._backend = backend
        self._metrics = metrics

    async def get(self, key: str) -> Item | None:
        """Return the item, or None if there is none or its time is over."""
        with self._metrics.backend_read.time():
            return await self._backend.get(key)

    async def range(self, prefix: str, *, after: str = "", limit: int = 1000, newest_first: bool = False) -> list[Item]:
        """Return live items whose keys start with the prefix, ordered by key."""
        with self._metrics.backend_range.time():
            return await self._backend.range(prefix, after=after, limit=limit, newest_first=newest_first)

    async def commit(self, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
        """Do all the writes at once and durably, if all the conditions hold; return the revision."""
        with self._metrics.backend_commit.time():
            return await self._backend.commit(conditions, writes)

    def watch(self, prefix: str) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Watch changes below the prefix."""
        return self._backend.watch(prefix)

    async def close(self) -> None:
        """Finish what was accepted and release the files or connections."""
        await self._backend.close()
