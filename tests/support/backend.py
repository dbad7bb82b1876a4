"""Backends for tests: one that can be steered, and the ways to look at what a watch delivers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence

from teleport.backend.memory import MemoryBackend
from teleport.backend.protocol import Backend, Condition, Delete, Event, Item, Put, Write
from teleport.clock import Clock
from teleport.errors import TeleportError


class SteeredBackend(MemoryBackend):
    """A store in memory that counts what it is asked for and fails when it is told to."""

    def __init__(self, *, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.calls: Counter[str] = Counter()
        self._failures: list[TeleportError] = []

    def fail_next(self, *errors: TeleportError) -> None:
        """Let the next calls, whatever they ask, end with these errors."""
        self._failures.extend(errors)

    async def get(self, key: str) -> Item | None:
        self._note("get")
        return await super().get(key)

    async def range(self, prefix: str, *, after: str = "", limit: int = 1000, newest_first: bool = False) -> list[Item]:
        self._note("range")
        return await super().range(prefix, after=after, limit=limit, newest_first=newest_first)

    async def commit(self, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
        self._note("commit")
        return await super().commit(conditions, writes)

    def _note(self, method: str) -> None:
        self.calls[method] += 1
        if self._failures:
            raise self._failures.pop(0)


async def put(backend: Backend, **values: bytes) -> int:
    """Store values below /k/ in one commit."""
    return await backend.commit([], [Put(f"/k/{name}", value) for name, value in values.items()])


async def delete(backend: Backend, *keys: str) -> int:
    """Delete keys in one commit."""
    return await backend.commit([], [Delete(key) for key in keys])


async def take(events: AsyncIterator[Event], count: int) -> list[Event]:
    """Return the next events of a watch; fail if they do not come."""
    async with asyncio.timeout(10):
        return [await anext(events) for _ in range(count)]


def changes(events: Sequence[Event]) -> list[tuple[str, bytes | None, bytes | None]]:
    """Return key, new value and previous value of events."""
    return [
        (event.key, event.item.value if event.item else None, event.previous.value if event.previous else None)
        for event in events
    ]
