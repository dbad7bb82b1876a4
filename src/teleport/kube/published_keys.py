"""Keys that somebody publishes, kept for a while: however many tokens come, they are seldom fetched."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from teleport.clock import Clock
from teleport.kube.errors import NoAnswer

LIFE = timedelta(minutes=10)
STALE_LIFE = timedelta(hours=1)
"""While their publisher does not answer, the last keys stay good for so long."""
REFRESH_PAUSE = timedelta(minutes=1)
"""Tokens that name unknown keys lead to one look at the publisher in this time, however many they are."""
FAILURE_PAUSE = timedelta(seconds=10)
"""After a failure nobody waits for the publisher for so long."""


class PublishedKeys:
    """The text of one key set, fetched when it is needed.

    Args:
        fetch: returns it, or raises `NoAnswer`.
        clock: for its age.
    """

    def __init__(self, fetch: Callable[[], Awaitable[str]], *, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._turn = asyncio.Lock()
        self._text = ""
        self._fetched_at: float | None = None
        self._attempted_at: float | None = None
        self._refreshed_at: float | None = None
        self._problem = NoAnswer("the keys have not been asked for")

    async def load(self) -> str:
        """Return the key set.

        Raises:
            Forbidden: the publisher does not let this process look, and what is known is too old.
            NoAnswer: it does not answer, and what is known is too old.
        """
        if self._is_within(self._fetched_at, LIFE):
            return self._text
        async with self._turn:
            if not self._is_within(self._fetched_at, LIFE) and not self._is_within(self._attempted_at, FAILURE_PAUSE):
                await self._try()
        return self._require()

    async def refresh(self) -> str:
        """Return the key set fetched anew, unless another token has led to that, or to the attempt, a moment ago.

        Keys may be replaced right after they were fetched, so that their age does not matter here.

        Raises:
            NoAnswer: as `load`.
        """
        async with self._turn:
            if not self._is_within(self._refreshed_at, REFRESH_PAUSE):
                await self._try()
                self._refreshed_at = self._attempted_at
        return self._require()

    def _require(self) -> str:
        if self._is_within(self._fetched_at, STALE_LIFE):
            return self._text
        raise self._problem.with_traceback(None)  # it is raised again and again, and would remember each time

    async def _try(self) -> None:
        try:
            text = await self._fetch()
        except NoAnswer as error:
            self._problem = error
            self._problem.retry_after = max(error.retry_after, FAILURE_PAUSE)
        else:
            self._text, self._fetched_at = text, self._clock.monotonic()
        self._attempted_at = self._clock.monotonic()

    def _is_within(self, moment: float | None, span: timedelta) -> bool:
        return moment is not None and self._clock.monotonic() - moment <= span.total_seconds()
