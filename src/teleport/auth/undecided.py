"""Joins that could not be decided: the first of its kind in a minute is told of at once, and the rest with the next.

While Kubernetes cannot be asked, every agent that has not joined asks again and again. An event for each attempt would
fill the audit log with one and the same.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta

from teleport.clock import Clock

PERIOD = timedelta(minutes=1)
MAX_KINDS = 10_000
"""Beyond so many, the one that was told of longest ago is as if it were new."""


@dataclass(slots=True)
class _Kind:
    told_at: float
    untold: int = 0


class UndecidedJoins:
    """Counts attempts that are alike.

    Args:
        clock: for the age of what was told.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kinds: OrderedDict[tuple[str, ...], _Kind] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kinds)

    def count(self, *kind: str) -> int:
        """Count one attempt; return how many an event shall tell of now, which is none while one was told just before.

        Args:
            kind: what attempts that are alike have in common.
        """
        now = self._clock.monotonic()
        known = self._kinds.get(kind)
        if known is not None and now - known.told_at < PERIOD.total_seconds():
            known.untold += 1
            return 0
        self._kinds[kind] = _Kind(told_at=now)
        self._kinds.move_to_end(kind)
        if len(self._kinds) > MAX_KINDS:
            self._kinds.popitem(last=False)
        return 1 if known is None else known.untold + 1
