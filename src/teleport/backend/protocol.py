"""What every backend can do, in one small transaction and three reads.

Keys are text without control characters, parts joined by `/`, ordered by code point. A revision is a number that grows
with every change of the whole store and is never used again, so that a later change always has the larger one. All
writes of one commit share its revision. An item is alive up to and including the instant of `expires`; after that it
is absent for everyone at once, whether or not it was already removed. What is outside the bounds is refused with
`BadParameter` before anything else happens.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

MAX_KEY_LENGTH = 512
MAX_VALUE_BYTES = 1024 * 1024
MAX_COMMIT_WRITES = 128
MAX_COMMIT_CONDITIONS = 128
MAX_RANGE_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Item:
    """A stored value."""

    key: str
    value: bytes
    revision: int
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold at the moment of the commit: the key is at this revision, or absent if that is None."""

    key: str
    revision: int | None


@dataclass(frozen=True, slots=True)
class Put:
    """Store the value, whatever was there; after `expires` the backend removes it."""

    key: str
    value: bytes
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove the key if it is there."""

    key: str


Write = Put | Delete


@dataclass(frozen=True, slots=True)
class Event:
    """A change that was committed. `item` is None for a removal; `previous` is what was there before."""

    key: str
    revision: int
    item: Item | None
    previous: Item | None


class Backend(Protocol):
    """Storage that a cluster's auth servers share.

    Every method may raise `BadParameter` (outside the bounds), `Unavailable` (try again later; a commit that ended so
    may or may not have been done) or `StorageError` (a person must look). After `close` all of them are unavailable.
    """

    async def get(self, key: str) -> Item | None:
        """Return the item, or None if there is none or its time is over."""
        ...

    async def range(self, prefix: str, *, after: str = "", limit: int = 1000, newest_first: bool = False) -> list[Item]:
        """Return live items whose keys start with the prefix, ordered by key.

        Args:
            prefix: what the keys start with.
            after: only keys beyond this one in the order asked for; the last key of a page gives the next page.
            limit: at most so many items, up to `MAX_RANGE_LIMIT`.
            newest_first: the order of keys is reversed.
        """
        ...

    async def commit(self, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
        """Do all the writes at once and durably, if all the conditions hold; return the revision.

        A key may be written once in a commit. Who reads after this has returned sees the writes.

        Raises:
            CompareFailed: a condition does not hold; nothing was written.
        """
        ...

    def watch(self, prefix: str) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Watch changes below the prefix.

        From the moment the context is entered every change is delivered once and in order, expiry included.
        A consumer that falls too far behind, or whose backend is closed, gets `Unavailable` from the iterator and
        must read anew.
        """
        ...

    async def close(self) -> None:
        """Finish what was accepted and release the files or connections."""
        ...


async def create(backend: Backend, key: str, value: bytes, expires: datetime | None = None) -> int:
    """Store a value under a key that is free.

    Raises:
        CompareFailed: the key is taken.
    """
    return await backend.commit([Condition(key, None)], [Put(key, value, expires)])


async def compare_and_swap(
    backend: Backend, key: str, revision: int, value: bytes, expires: datetime | None = None
) -> int:
    """Replace a value that is still at the revision.

    Raises:
        CompareFailed: the key is gone or has moved on.
    """
    return await backend.commit([Condition(key, revision)], [Put(key, value, expires)])


async def compare_and_delete(backend: Backend, key: str, revision: int) -> int:
    """Remove a value that is still at the revision.

    Raises:
        CompareFailed: the key is gone or has moved on.
    """
    return await backend.commit([Condition(key, revision)], [Delete(key)])
