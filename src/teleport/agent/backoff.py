"""Waits between attempts that grow, and differ from agent to agent."""

import asyncio
import random
from datetime import timedelta

FIRST = timedelta(seconds=1)
LONGEST = timedelta(seconds=60)


class Backoff:
    """From one second to a minute, each cut by up to a half so that a thousand agents do not come in step.

    Args:
        first: the first wait.
        longest: no wait is longer.
    """

    def __init__(self, first: timedelta = FIRST, longest: timedelta = LONGEST) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def reset(self) -> None:
        """Begin with the first wait again: an attempt succeeded."""
        self._next = self._first

    async def wait(self, asked: timedelta = timedelta()) -> None:
        """Wait, and twice as long the next time.

        Args:
            asked: for how long the other side wants to be left alone; up to the longest wait that is heeded, and never
                by all to the moment.
        """
        asked = min(asked, self._longest)
        if asked > self._next / 2:
            await sleep_about(asked * 1.5, at_least=2 / 3)
        else:
            await sleep_about(self._next, at_least=0.5)
        self._next = min(self._next * 2, self._longest)


async def sleep_about(period: timedelta, *, at_least: float) -> None:
    """Sleep for a random share of a period, between `at_least` of it and all of it."""
    await asyncio.sleep(period.total_seconds() * random.uniform(at_least, 1))  # noqa: S311 - jitter, no secret
