"""TokenReviews under load: bounded in flight, asked once for identical tokens, tried again while there is time.

An answer of the API server may be ten seconds old already when it comes, since it caches; ours adds no more than that.
"""

import asyncio
import hashlib
import random
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Protocol

from teleport.clock import Clock
from teleport.errors import Unavailable
from teleport.kube.api import Forbidden
from teleport.kube.token_review import ReviewStatus

MAX_IN_FLIGHT = 50
MAX_WAITING = 20_000
DEADLINE = timedelta(seconds=10)
CACHE_LIFE = timedelta(seconds=10)
MAX_CACHED = 20_000
FIRST_PAUSE = timedelta(milliseconds=100)


class ReviewApi(Protocol):
    """Who is asked."""

    async def review_token(self, token: str, audiences: Sequence[str]) -> ReviewStatus:
        """Ask who a token is of."""
        ...


class TokenReviewer:
    """Asks the API server about tokens.

    Args:
        api: asked.
        clock: for deadlines and for the age of answers.
        max_in_flight: so many questions are under way at once, and further ones wait.
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
        self._clock = clock
        self._slots = asyncio.Semaphore(max_in_flight)
        self._observe = observe
        self._waiting = 0
        self._pending: dict[bytes, asyncio.Task[ReviewStatus]] = {}
        self._answers: OrderedDict[bytes, tuple[float, ReviewStatus]] = OrderedDict()

    async def review(self, token: str, audiences: Sequence[str]) -> ReviewStatus:
        """Return what the API server says of a token, now or within the last ten seconds.

        Raises:
            Forbidden: this process may not ask.
            Unavailable: no answer within the deadline, or too many are waiting already.
        """
        key = hashlib.sha256("\n".join([token, *audiences]).encode()).digest()
        cached = self._answers.get(key)
        if cached is not None and self._clock.monotonic() - cached[0] <= CACHE_LIFE.total_seconds():
            return cached[1]
        task = self._pending.get(key)
        if task is None:
            if self._waiting >= MAX_WAITING:
                raise Unavailable("too many tokens wait for a review", DEADLINE)
            task = self._pending[key] = asyncio.create_task(self._ask(key, token, audiences))
            task.add_done_callback(lambda _: self._pending.pop(key, None))
        return await asyncio.shield(task)

    async def _ask(self, key: bytes, token: str, audiences: Sequence[str]) -> ReviewStatus:
        self._waiting += 1
        try:
            async with asyncio.timeout(DEADLINE.total_seconds()):
                status = await self._ask_until_answered(token, audiences)
        except TimeoutError as error:
            raise Unavailable("the Kubernetes API did not answer in time", DEADLINE) from error
        finally:
            self._waiting -= 1
        self._answers[key] = (self._clock.monotonic(), status)
        if len(self._answers) > MAX_CACHED:
            self._answers.popitem(last=False)
        return status

    async def _ask_until_answered(self, token: str, audiences: Sequence[str]) -> ReviewStatus:
        """Ask again after a failure, later each time and never in step with others; the caller's deadline ends it."""
        pause = FIRST_PAUSE
        while True:
            try:
                async with self._slots:
                    with self._observe():
                        return await self._api.review_token(token, audiences)
            except Forbidden:
                raise
            except Unavailable as error:
                wait = max(pause, min(error.retry_after, DEADLINE)).total_seconds()
                await asyncio.sleep(wait * random.uniform(0.5, 1))  # noqa: S311 - jitter
                pause *= 2
