"""The backend in memory: for tests and trials. What it holds ends with the process."""

import bisect
import heapq
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

from teleport.backend.bounds import check_commit, check_key, check_range
from teleport.backend.expiry import SWEEP_BATCH, SWEEP_PERIOD, ExpiryClock, Sweeper, live
from teleport.backend.keyspace import find_stretch
from teleport.backend.protocol import Condition, Event, Item, Write
from teleport.backend.transaction import Expire, Transaction, judge
from teleport.backend.watchers import Watchers
from teleport.clock import Clock
from teleport.errors import Unavailable

_CLOSED = "the store is closed"


class MemoryBackend:
    """A dictionary with the manners of a store.

    Args:
        clock: by which items expire.
        sweep_period: how often expired items are removed.
    """

    def __init__(self, *, clock: Clock, sweep_period: timedelta = SWEEP_PERIOD) -> None:
        self._time = ExpiryClock(clock)
        self._items: dict[str, Item] = {}
        self._keys: list[str] = []
        self._ends: list[tuple[datetime, str]] = []
        self._revision = 0
        self._watchers = Watchers()
        self._sweeper = Sweeper(self._sweep, period=sweep_period)
        self._is_open = True

    async def get(self, key: str) -> Item | None:
        """Return the item, or None if there is none or its time is over."""
        check_key(key)
        self._check_open()
        return live(self._items.get(key), self._time.now())

    async def range(self, prefix: str, *, after: str = "", limit: int = 1000, newest_first: bool = False) -> list[Item]:
        """Return live items whose keys start with the prefix, ordered by key."""
        check_range(prefix, after, limit)
        self._check_open()
        now = self._time.now()
        lower, upper = find_stretch(prefix, after, newest_first=newest_first)
        start = bisect.bisect_left(self._keys, lower)
        stop = len(self._keys) if upper is None else bisect.bisect_left(self._keys, upper)
        keys = self._keys[start:stop]
        ordered = (self._items[key] for key in (reversed(keys) if newest_first else keys))
        alive = [item for item in ordered if live(item, now)]
        return alive[:limit]

    async def commit(self, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
        """Do all the writes at once, if all the conditions hold; return the revision."""
        check_commit(conditions, writes)
        self._check_open()
        self._sweeper.start()
        return self._do(Transaction(tuple(conditions), tuple(writes)))

    def watch(self, prefix: str) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Watch changes below the prefix."""
        return self._watchers.watch(prefix)

    async def close(self) -> None:
        """Forget everything."""
        self._is_open = False
        self._watchers.close(_CLOSED)
        await self._sweeper.stop()
        self._items.clear()
        self._keys.clear()
        self._ends.clear()

    def _check_open(self) -> None:
        if not self._is_open:
            raise Unavailable(_CLOSED)

    def _do(self, transaction: Transaction) -> int:
        outcome = judge(transaction, read=self._items.get, now=self._time.now(), revision=self._revision)
        self._revision = outcome.revision
        for event in outcome.events:
            self._apply(event)
        self._watchers.publish(outcome.events)
        return outcome.revision

    def _apply(self, event: Event) -> None:
        item, known = event.item, event.key in self._items
        if item is None:
            del self._items[event.key]
            del self._keys[bisect.bisect_left(self._keys, event.key)]
            return
        self._items[event.key] = item
        if not known:
            bisect.insort(self._keys, event.key)
        if item.expires is not None:
            heapq.heappush(self._ends, (item.expires, event.key))

    async def _sweep(self) -> int:
        now = self._time.now()
        over: list[str] = []
        while self._ends and self._ends[0][0] < now and len(over) < SWEEP_BATCH:
            over.append(heapq.heappop(self._ends)[1])
        if over:
            self._do(Transaction((), tuple(Expire(key) for key in over)))
        return len(over)
