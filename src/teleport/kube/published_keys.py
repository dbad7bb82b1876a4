"""Keys that somebody publishes, kept for a while: however many tokens come, they are seldom fetched."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from teleport.clock import Clock
from teleport.kube.errors import Forbidden, NoAnswer

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
        self._problem = ""
        self._is_forbidden = False

    async def load(self) -> str:
        """Return the key set.

        Raises:
            Forbidden: the publisher does not let this process look, and what is known is too old.
            NoAnswer: it does not answer, and what is known is too old.
        """
        if self._is_within(self._fetched_at, LIFE):
            return self._text
        return await self._look(LIFE, FAILURE_PAUSE)

    async def refresh(self) -> str:
        """Return the key set fetched anew, unless that was done or tried a moment ago.

        Raises:
            NoAnswer: as `load`.
        """
        return await self._look(REFRESH_PAUSE, REFRESH_PAUSE)

    async def _look(self, life: timedelta, pause: timedelta) -> str:
        async with self._turn:
            if not self._is_within(self._fetched_at, life) and not self._is_within(self._attempted_at, pause):
                await self._try()
        if self._is_within(self._fetched_at, STALE_LIFE):
            return self._text
        raise Forbidden(self._problem) if self._is_forbidden else NoAnswer(self._problem, FAILURE_PAUSE)

    async def _try(self) -> None:
        try:
            text = await self._fetch()
        except NoAnswer as error:
            self._problem, self._is_forbidden = error.detail, isinstance(error, Forbidden)
        else:
            self._text, self._fetched_at = text, self._clock.monotonic()
        self._attempted_at = self._clock.monotonic()

    def _is_within(self, moment: float | None, span: timedelta) -> bool:
        return moment is not None and self._clock.monotonic() - moment <= span.total_seconds()
