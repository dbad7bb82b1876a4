"""What a commit changes: decided here, without I/O, for every backend that keeps its own state."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from teleport.backend.expiry import live
from teleport.backend.protocol import Condition, Delete, Event, Item, Put, Write
from teleport.errors import CompareFailed


@dataclass(frozen=True, slots=True)
class Expire:
    """Remove the key if its time is over, and leave it alone if it was written anew meanwhile."""

    key: str


@dataclass(frozen=True, slots=True)
class Transaction:
    """Conditions and writes that take effect together or not at all."""

    conditions: tuple[Condition, ...]
    writes: tuple[Write | Expire, ...]

    @property
    def keys(self) -> Iterator[str]:
        """Return the keys whose items decide what it changes, some of them twice."""
        return (part.key for part in (*self.conditions, *self.writes))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a transaction did: the revision of its writes, and every change in order."""

    revision: int
    events: tuple[Event, ...]


def judge(transaction: Transaction, *, read: Callable[[str], Item | None], now: datetime, revision: int) -> Outcome:
    """Decide what a transaction changes; applying the events in order is all that is left to do.

    An expired item that is in the way of a write ends first, as a change of its own with its own revision, so that
    watchers see the expiry whether or not a sweep came by.

    Args:
        transaction: what is asked for.
        read: returns what is stored under a key, expired or not.
        now: the time by which items are alive.
        revision: the latest one of the store.

    Raises:
        CompareFailed: a condition does not hold.
    """
    for condition in transaction.conditions:
        found = live(read(condition.key), now)
        if (found.revision if found else None) != condition.revision:
            raise CompareFailed(f"{condition.key!r} has changed since it was read; read it again")
    stored = {write.key: read(write.key) for write in transaction.writes}
    over = [item for item in stored.values() if item is not None and live(item, now) is None]
    events = [Event(item.key, revision + 1, None, item) for item in over]
    revision += 2 if over else 1
    present = {key: live(item, now) for key, item in stored.items()}
    events.extend(_write_events(transaction.writes, present, revision))
    return Outcome(revision, tuple(events))


def _write_events(writes: Iterable[Write | Expire], present: dict[str, Item | None], revision: int) -> Iterable[Event]:
    for write in writes:
        previous = present[write.key]
        match write:
            case Put(key, value, expires):
                ends = None if expires is None else expires.astimezone(UTC)
                yield Event(key, revision, Item(key, value, revision, ends), previous)
            case Delete(key) if previous is not None:
                yield Event(key, revision, None, previous)
