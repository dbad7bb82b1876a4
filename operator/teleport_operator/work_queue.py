"""The queue of objects to look at: level-triggered, without duplicates, and slower with every failure of one of them.

Nothing is in it but keys: whoever takes one looks at the object as it is then. A key that is added while it is worked
on waits until that is over, so that one object is never looked at twice at once.
"""

import asyncio
import heapq
import random
from collections.abc import Callable, Hashable
from datetime import timedelta
from typing import Generic, TypeVar

FIRST_RETRY = timedelta(seconds=1)
LONGEST_RETRY = timedelta(minutes=5)
MAX_DOUBLINGS = 16

KeyT = TypeVar("KeyT", bound=Hashable)


class WorkQueue(Generic[KeyT]):
    """Keys, each at most once.

    Args:
        on_added: told of every key that was not waiting before; for metrics.
        on_retry: told of every failure.
    """

    def __init__(
        self, *, on_added: Callable[[], object] = lambda: None, on_retry: Callable[[], object] = lambda: None
    ) -> None:
        self._on_added = on_added
        self._on_retry = on_retry
        self._ready: dict[KeyT, float] = {}
        """Waiting, in their order, and since when."""
        self._busy: set[KeyT] = set()
        self._again: set[KeyT] = set()
        self._due: list[tuple[float, int, KeyT]] = []
        self._due_at: dict[KeyT, float] = {}
        self._failures: dict[KeyT, int] = {}
        self._count = 0
        self._resumes_at = 0.0
        self._changed = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Return how many keys wait to be taken now."""
        return len(self._ready)

    def add(self, key: KeyT) -> None:
        """Let the key be looked at as soon as possible."""
        if key in self._busy:
            self._again.add(key)
        elif key not in self._ready:
            self._ready[key] = asyncio.get_running_loop().time()
            self._on_added()
            self._changed.set()

    def add_after(self, key: KeyT, delay: timedelta) -> None:
        """Let the key be looked at after a while, unless an earlier look is due already."""
        due = asyncio.get_running_loop().time() + delay.total_seconds()
        if due >= self._due_at.get(key, float("inf")):
            return
        self._due_at[key] = due
        self._count += 1
        heapq.heappush(self._due, (due, self._count, key))
        self._set_timer()

    def add_failed(self, key: KeyT) -> timedelta:
        """Let the key be looked at again, each time later than before; return after which delay."""
        failures = self._failures.get(key, 0)
        self._failures[key] = min(failures + 1, MAX_DOUBLINGS)
        longest = min(FIRST_RETRY * (1 << failures), LONGEST_RETRY)
        delay = longest * random.uniform(0.5, 1)  # noqa: S311 - jitter, no secret
        self._on_retry()
        self.add_after(key, delay)
        return delay

    def pause(self, wait: timedelta) -> None:
        """Let nobody take a key for a while: whoever is asked has sent us away, and would do so for every key."""
        self._resumes_at = max(self._resumes_at, asyncio.get_running_loop().time() + wait.total_seconds())

    def succeed(self, key: KeyT) -> None:
        """Forget the failures of a key."""
        self._failures.pop(key, None)

    def forget(self, key: KeyT) -> None:
        """Forget a key of which there is nothing left to look at."""
        self._failures.pop(key, None)
        self._due_at.pop(key, None)

    async def take(self) -> tuple[KeyT, timedelta]:
        """Wait for a key and return it, with the time that it has waited; `done` must follow."""
        while not self._ready or (pause := self._resumes_at - asyncio.get_running_loop().time()) > 0:
            if self._ready:
                await asyncio.sleep(pause)
            else:
                self._changed.clear()
                await self._changed.wait()
        key = next(iter(self._ready))
        since = self._ready.pop(key)
        self._busy.add(key)
        return key, timedelta(seconds=asyncio.get_running_loop().time() - since)

    def done(self, key: KeyT) -> None:
        """Say that the look at a key is over."""
        self._busy.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _set_timer(self) -> None:
        """Wake up when the first key is due; one timer serves all."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._due:
            self._timer = asyncio.get_running_loop().call_at(self._due[0][0], self._add_due)

    def _add_due(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._due and self._due[0][0] <= now:
            due, _, key = heapq.heappop(self._due)
            if self._due_at.get(key) == due:
                del self._due_at[key]
                self.add(key)
        self._set_timer()
