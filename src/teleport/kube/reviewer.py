"""TokenReviews under load: bounded in flight, asked once for identical tokens, tried again while there is time."""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Protocol

from teleport.clock import Clock
from teleport.errors import Unavailable
from teleport.kube.errors import SOON, BadAnswer, NoAnswer, TooBusy
from teleport.kube.review_cache import ReviewCache, build_key
from teleport.kube.token_review import ReviewStatus

MAX_IN_FLIGHT = 50
MAX_PENDING = 10_000
"""Tokens in flight and in waiting: what a quick API server can answer within the deadline."""
DEADLINE = timedelta(seconds=10)
FIRST_PAUSE = timedelta(milliseconds=100)


class ReviewApi(Protocol):
    """Who is asked."""

    async def review_token(self, token: str, audiences: Sequence[str]) -> ReviewStatus:
        """Ask who a token is of."""
        ...


class TokenReviewer:
    """Asks the API server about tokens; to be closed.

    Args:
        api: asked.
        clock: for the age of answers.
        max_in_flight: so many questions are under way at once, and further ones wait in the order they came.
        observe: returns what measures one question.
    """

    def __init__(
        self,
        *,
        api: ReviewApi,
        clock: Clock,
        max_in_flight: int = MAX_IN_FLIGHT,
        observe: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._api = api
        self._slots = asyncio.Semaphore(max_in_flight)
        self._observe = observe
        self._pending: dict[bytes, asyncio.Task[ReviewStatus]] = {}
        self._cache = ReviewCache(clock)
        self._resume_at = 0.0
        """By the loop's time; before, the API server wants nobody to ask."""

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._pending.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def find(self, token: str, audiences: Sequence[str]) -> ReviewStatus | None:
        """Return what the API server said of a token within the last ten seconds, or None."""
        return self._cache.find(build_key(token, audiences))

    async def review(self, token: str, audiences: Sequence[str]) -> ReviewStatus:
        """Return what the API server says of a token, now or within the last ten seconds.

        Raises:
            BadAnswer: asking again is of no use, as where this process may not ask.
            NoAnswer: no answer within the deadline, or too many are waiting already.
        """
        key = build_key(token, audiences)
        known = self._cache.find(key)
        if known is not None:
            return known
        task = self._pending.get(key) or self._start(key, token, audiences)
        return await asyncio.shield(task)  # others may wait for the same answer

    def _start(self, key: bytes, token: str, audiences: Sequence[str]) -> asyncio.Task[ReviewStatus]:
        if len(self._pending) >= MAX_PENDING:
            raise NoAnswer("too many tokens wait for a review", DEADLINE)
        task = self._pending[key] = asyncio.create_task(self._ask(token, audiences))
        task.add_done_callback(lambda done: self._finish(key, done))
        return task

    def _finish(self, key: bytes, task: asyncio.Task[ReviewStatus]) -> None:
        del self._pending[key]
        if not task.cancelled() and task.exception() is None:
            self._cache.store(key, task.result())

    async def _ask(self, token: str, audiences: Sequence[str]) -> ReviewStatus:
        end = asyncio.get_running_loop().time() + DEADLINE.total_seconds()
        try:
            async with asyncio.timeout_at(end):
                return await self._ask_until(end, token, audiences)
        except TimeoutError as error:
            raise NoAnswer("the Kubernetes API did not review the token in time", choose_return()) from error

    async def _ask_until(self, end: float, token: str, audiences: Sequence[str]) -> ReviewStatus:
        """Ask again after a failure, later each time and never in step with others."""
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE
        while True:
            try:
                async with self._slots:
                    await self._wait_until_wanted(end)
                    with self._observe():
                        return await self._api.review_token(token, audiences)
            except BadAnswer:
                raise
            except Unavailable as error:
                if isinstance(error, TooBusy):
                    self._resume_at = loop.time() + error.retry_after.total_seconds()
                wait = compute_wait(pause, error.retry_after)
                if loop.time() + wait >= end:
                    raise
            await asyncio.sleep(wait)
            pause *= 2

    async def _wait_until_wanted(self, end: float) -> None:
        """Leave the API server alone for as long as it said; who cannot wait for so long is sent away at once."""
        now = asyncio.get_running_loop().time()
        if self._resume_at >= end:
            raise TooBusy("the Kubernetes API wants nobody to ask yet", timedelta(seconds=self._resume_at - now))
        if self._resume_at > now:
            await asyncio.sleep(self._resume_at - now)


def compute_wait(pause: timedelta, retry_after: timedelta) -> float:
    """Return how many seconds to wait: what was asked for and up to half of it more, so that not all come at once."""
    return (retry_after + (retry_after / 2 + pause) * random.random()).total_seconds()  # noqa: S311 - jitter


def choose_return() -> timedelta:
    """Return when to come back after waiting in vain: not all at once, lest they wait in vain again."""
    return SOON + (DEADLINE - SOON) * random.random()  # noqa: S311 - jitter
