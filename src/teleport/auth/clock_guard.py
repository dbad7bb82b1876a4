"""A clock that never goes back, not even over a restart: what is over stays over.

Somebody who sets an auth server's clock back must not revive a token that had expired.
"""

import logging
from datetime import datetime, timedelta

from teleport.auth.records import decode, encode
from teleport.backend.protocol import Backend, Put
from teleport.clock import Clock

KEY = "cluster/clock"
TOLERANCE = timedelta(seconds=2)

logger = logging.getLogger(__name__)


class ClockGuard:
    """The latest time that was ever seen, or the present one if that is later.

    Args:
        clock: the machine's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._latest = clock.now()
        self._warned = False

    def now(self) -> datetime:
        """Return the present, or the latest time seen while the machine's clock is behind it."""
        present = self._clock.now()
        if present >= self._latest:
            self._latest = present
        elif not self._warned and self._latest - present > TOLERANCE:
            self._warned = True
            logger.error(
                "the clock is %s behind a time that this cluster has seen; expiry is judged by the later one until "
                "the clock is right", self._latest - present
            )  # fmt: skip
        return self._latest

    def monotonic(self) -> float:
        """Return the machine's stopwatch."""
        return self._clock.monotonic()

    async def load(self, backend: Backend) -> None:
        """Take up the time that was seen before the restart."""
        item = await backend.get(KEY)
        if item is not None:
            self._latest = max(self._latest, datetime.fromisoformat(decode(item.value)))

    async def store(self, backend: Backend) -> None:
        """Remember the present for the next start."""
        await backend.commit([], [Put(KEY, encode(self.now().isoformat()))])
