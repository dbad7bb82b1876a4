"""Watchers: who wants to hear of changes below which prefix, each with a bounded queue."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from types import TracebackType

from teleport.backend.bounds import check_prefix
from teleport.backend.protocol import Event
from teleport.errors import Unavailable

MAX_BACKLOG = 8192
"""How many events may wait for one watcher; more than the largest group of commits that stores usually see at once."""


class Watch(AbstractAsyncContextManager[AsyncIterator[Event]], AsyncIterator[Event]):
    """One watcher: enter it, then iterate."""

    def __init__(self, watchers: "Watchers", prefix: str) -> None:
        self._watchers = watchers
        self._prefix = prefix
        self._waiting: deque[Event] = deque()
        self._stirred = asyncio.Event()
        self._failure = ""

    async def __aenter__(self) -> AsyncIterator[Event]:
        self._watchers.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watchers.discard(self)
        self._waiting.clear()
        self._stirred.set()

    async def __anext__(self) -> Event:
        while not self._waiting:
            if self._failure:
                raise Unavailable(self._failure)
            if self not in self._watchers:
                raise StopAsyncIteration
            self._stirred.clear()
            await self._stirred.wait()
        return self._waiting.popleft()

    def offer(self, event: Event) -> None:
        """Queue an event that lies below the prefix; a watcher that is too far behind loses its queue."""
        if not event.key.startswith(self._prefix):
            return
        if len(self._waiting) >= MAX_BACKLOG:
            self._waiting.clear()
            self.fail(f"the watcher of {self._prefix!r} is more than {MAX_BACKLOG} events behind; read anew")
            self._watchers.discard(self)
            return
        self._waiting.append(event)
        self._stirred.set()

    def fail(self, text: str) -> None:
        """End the iteration with an error, after what is queued."""
        self._failure = text
        self._stirred.set()


class Watchers:
    """All the watchers of one backend."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()
        self._closed = ""

    def __contains__(self, watch: Watch) -> bool:
        return watch in self._watches

    def watch(self, prefix: str) -> Watch:
        """Return a watcher that listens from the moment it is entered.

        Raises:
            BadParameter: no key can start with the prefix.
        """
        check_prefix(prefix)
        return Watch(self, prefix)

    def add(self, watch: Watch) -> None:
        """Let a watcher listen.

        Raises:
            Unavailable: the backend is closed.
        """
        if self._closed:
            raise Unavailable(self._closed)
        self._watches.add(watch)

    def discard(self, watch: Watch) -> None:
        """Let a watcher go."""
        self._watches.discard(watch)

    def publish(self, events: Iterable[Event]) -> None:
        """Offer events to every watcher, in order."""
        if not self._watches:
            return
        for event in events:
            for watch in tuple(self._watches):
                watch.offer(event)

    def close(self, text: str) -> None:
        """End all watches and allow no further ones, with the reason."""
        self._closed = text
        for watch in self._watches:
            watch.fail(text)
        self._watches.clear()
