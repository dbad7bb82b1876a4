"""Items that were read lately, kept in memory and in step with a file that one thread writes and another one reads.

An item may be served from here because no commit changes the file behind its back: before a group of changes
becomes visible in the file its keys are taken out, and nothing is taken in for them until the group has ended. A read
that overlaps with the beginning of a group is not remembered, since nobody can tell whether it came before or after.
"""

import threading
from collections.abc import Iterable

from teleport.backend.protocol import Item

MAX_ITEMS = 1024
MAX_ITEM_BYTES = 4096
"""Larger values are read from the file each time, so that memory stays within 4 MiB."""


class RecentItems:
    """A bounded store of items; the longest remembered makes room first. Safe to share by threads."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._changing: frozenset[str] = frozenset()
        self._group = 0
        self._lock = threading.Lock()

    def get(self, key: str) -> Item | None:
        """Return what is remembered."""
        return self._items.get(key)

    def begin_read(self, key: str) -> int | None:
        """Return what `remember` wants to know of the time before the read; None if the key is changing."""
        with self._lock:
            return None if key in self._changing else self._group

    def remember(self, item: Item, begun: int | None) -> None:
        """Remember an item that was read, unless it may have changed since the read began."""
        if len(item.value) > MAX_ITEM_BYTES:
            return
        with self._lock:
            if begun != self._group:
                return
            if len(self._items) >= MAX_ITEMS:
                del self._items[next(iter(self._items))]
            self._items[item.key] = item

    def begin_changes(self, keys: Iterable[str]) -> None:
        """Forget the keys of a group of changes that is about to become visible."""
        with self._lock:
            self._group += 1
            self._changing = frozenset(keys)
            for key in self._changing:
                self._items.pop(key, None)

    def end_changes(self) -> None:
        """Let the keys of the group be remembered again: the changes are visible, or will never be."""
        with self._lock:
            self._changing = frozenset()
