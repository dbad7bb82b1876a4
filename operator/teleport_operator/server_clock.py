"""The time by the API server's clock, by which an object's life is counted; the machine's own clock may be wrong.

It dates objects, so that what is counted from their creation is judged by the same clock. Between its answers a
stopwatch goes on, so that nobody who sets the machine's clock moves the end of a token.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from teleport.clock import Clock
from teleport.web.readiness import Readiness

COMPONENT = "clock"
"""The component of readiness: certificates are judged by the machine's clock, whatever is known of the time."""
TOLERANCE = timedelta(seconds=2)
"""Answers tell whole seconds, and are a second old at most when they arrive."""
HALF = timedelta(milliseconds=500)
"""What was cut off of a whole second, on average."""
MAX_SKEW = timedelta(seconds=5)

logger = logging.getLogger(__name__)


class ServerClock:
    """A `Clock` that the API server's answers set; the machine's until the first of them.

    Args:
        machine: the machine's.
        readiness: told whether both agree.
        on_set: called when the time became another one than was thought.
    """

    def __init__(self, machine: Clock, *, readiness: Readiness, on_set: Callable[[], object]) -> None:
        self._machine = machine
        self._readiness = readiness
        self._on_set = on_set
        self._set_to = machine.now()
        self._set_at = machine.monotonic()
        self._disagrees = False

    def now(self) -> datetime:
        """Return the time by the API server's clock, in UTC."""
        return self._set_to + timedelta(seconds=self.monotonic() - self._set_at)

    def monotonic(self) -> float:
        """Return seconds from an unknown start."""
        return self._machine.monotonic()

    @property
    def skew(self) -> timedelta:
        """Return how far the machine's clock is ahead; negative where it is behind."""
        return self._machine.now() - self.now()

    def learn(self, told: datetime) -> None:
        """Hear what time it was, to the second, when the API server answered."""
        if abs(told + HALF - self.now()) > TOLERANCE:
            self._set_to, self._set_at = told + HALF, self.monotonic()
            self._on_set()
        skew, disagreed = self.skew, self._disagrees
        self._disagrees = abs(skew) > MAX_SKEW
        if not self._disagrees:
            self._readiness.succeed(COMPONENT)
            return
        finding = render_skew(skew)
        self._readiness.fail(COMPONENT, finding)
        if not disagreed:
            logger.warning("%s; tokens end by the API server's, and certificates are judged by this one", finding)


def render_skew(skew: timedelta) -> str:
    """Say how far the machine's clock is ahead."""
    seconds = timedelta(seconds=round(abs(skew).total_seconds()))
    return f"the clock of this machine is {seconds} {'behind' if skew < timedelta() else 'ahead of'} the API server's"
