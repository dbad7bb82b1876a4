"""When the next dial is due, and when dials that come to the same proxies again and again mean something."""

import random
from datetime import timedelta

STEP = timedelta(seconds=1)
LONGEST = timedelta(seconds=8)
"""The waits grow by a second, up to eight: the original's."""
SPREAD = timedelta(seconds=10)
"""All agents lose a proxy at the same moment, and come back within so long."""
SPREAD_OF_NEWS = timedelta(seconds=3)
"""The same where all of them hear of a new proxy, which costs the others nothing."""
RESIGNED = timedelta(seconds=60)
"""The wait when dials seem to be in vain."""
PATIENCE = 10
"""So many dials for each proxy must have come to claimed ones before that is no chance any more.

With a balancer that takes turns or draws lots, one dial in n finds the one of n proxies that is missing, and
(1 - 1/n) ** 10n is about e ** -10.
"""


class Pacing:
    """Counts how dials ended, and says how long to wait for the next one.

    Args:
        chance: draws numbers between nought and one.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._failures = 0
        self._repeats = 0

    def succeed(self) -> None:
        """Take note of a new tunnel."""
        self._failures = self._repeats = 0

    def fail(self) -> None:
        """Take note of a dial that came to no proxy."""
        self._failures += 1

    def repeat(self) -> None:
        """Take note of a dial that came to a proxy which is claimed already."""
        self._failures = 0
        self._repeats += 1

    def forget_repeats(self) -> None:
        """Begin to count anew: other proxies are missing now."""
        self._repeats = 0

    def is_stuck(self, wanted: int) -> bool:
        """Tell whether dials come to the same proxies though others are missing.

        Args:
            wanted: how many proxies there are.
        """
        return self._repeats >= PATIENCE * max(wanted, 1)

    @property
    def repeats(self) -> int:
        """Return how many dials in a row came to claimed proxies."""
        return self._repeats

    def choose_wait(self, wanted: int) -> timedelta:
        """Return how long to wait before the next dial.

        Args:
            wanted: how many proxies there are.
        """
        if self.is_stuck(wanted):
            return RESIGNED * self._chance.uniform(0.5, 1)
        return min(STEP * (self._failures + self._repeats), LONGEST) * self._chance.uniform(0.5, 1)

    def choose_spread(self, spread: timedelta) -> timedelta:
        """Return a wait by which those that begin at one moment come one after another."""
        return spread * self._chance.random()
