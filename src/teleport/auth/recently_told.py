"""What the audit log was told a while ago, so that asking for the same thing again and again is one event."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from teleport.clock import Clock

MAX_REMEMBERED = 10_000
"""Beyond it the oldest is forgotten, and told once more."""


class RecentlyTold:
    """Facts that hold until a time.

    Args:
        clock: the present.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[bytes, datetime] = {}

    def add(self, fact: Sequence[str], until: datetime) -> bool:
        """Remember a fact, of which only a hash is kept; return whether it is new, or its time was over."""
        key = hashlib.sha256("\0".join(fact).encode()).digest()
        known = self._until.pop(key, None)
        is_new = known is None or known < self._clock.now()
        self._until[key] = until if known is None or is_new else known
        if len(self._until) > MAX_REMEMBERED:
            del self._until[next(iter(self._until))]
        return is_new
