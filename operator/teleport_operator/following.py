"""Follows both sides: objects by a list, since their watch may lose something; tokens by their changes and a list."""

import asyncio
import logging
import random
from contextlib import suppress
from datetime import timedelta

from teleport.errors import ConnectionFailed, TeleportError
from teleport.kube.errors import Missing, NoAnswer
from teleport.web.readiness import Readiness
from teleport_operator.background import wait_or_stop
from teleport_operator.feed import ObjectFeed
from teleport_operator.metrics import OperatorMetrics
from teleport_operator.patience import NOBODY_ASKED, find_asked_wait
from teleport_operator.resync import Resync
from teleport_operator.tokens import Tokens

OBJECTS = "watch"
"""The component of readiness."""
OBJECTS_PERIOD = timedelta(minutes=1)
RETRY = timedelta(seconds=5)
BREATH = timedelta(seconds=1)
"""Between two questions for changes: where thousands are made, our own come many at a time."""
TOLERATED_FAILURES = 3
_NO_CRD = "the cluster does not know TeleportProvisionTokens; apply the CRD of this version"

logger = logging.getLogger(__name__)


class Following:
    """Lists, and listens in between.

    Args:
        resync: lists objects.
        tokens: the cluster's.
        feed: told whose tokens are not what they were.
        readiness: told whether lists come.
        metrics: counts what the watch lost.
        drift_interval: how often tokens are listed, whatever is told of them in between.
    """

    def __init__(
        self,
        *,
        resync: Resync,
        tokens: Tokens,
        feed: ObjectFeed,
        readiness: Readiness,
        metrics: OperatorMetrics,
        drift_interval: timedelta,
    ) -> None:
        self._resync = resync
        self._tokens = tokens
        self._feed = feed
        self._readiness = readiness
        self._metrics = metrics
        self._drift_interval = drift_interval
        self._objects_known = asyncio.Event()
        self._tokens_known = asyncio.Event()
        readiness.expect(OBJECTS)

    async def load(self, stop: asyncio.Event) -> None:
        """Read all objects, as soon as the cluster knows their kind."""
        while not stop.is_set():
            try:
                await self._resync.load()
            except TeleportError as error:
                problem = _NO_CRD if isinstance(error, Missing) else _describe(error)
                logger.warning("objects cannot be listed: %s", problem)
                self._readiness.fail(OBJECTS, problem)
                await wait_or_stop(stop, max(RETRY, find_asked_wait(error)).total_seconds())
            else:
                self._readiness.succeed(OBJECTS)
                self._objects_known.set()
                return

    async def wait_until_known(self, patience: timedelta) -> None:
        """Wait for the objects, and for a while for the tokens, too."""
        await self._objects_known.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience.total_seconds()):
                await self._tokens_known.wait()

    async def follow_objects(self) -> None:
        """Compare all objects with what is known of them, every minute and for ever."""
        await self._objects_known.wait()
        failures, asked = 0, NOBODY_ASKED
        while True:
            await _sleep(OBJECTS_PERIOD if failures == 0 else RETRY, asked)
            try:
                lost = await self._resync.compare()
            except TeleportError as error:
                failures += 1
                asked = find_asked_wait(error)
                logger.warning("objects cannot be listed: %s", _describe(error))
                if failures >= TOLERATED_FAILURES:
                    self._readiness.fail(OBJECTS, _describe(error))
                continue
            failures, asked = 0, NOBODY_ASKED
            self._readiness.succeed(OBJECTS)
            self._metrics.lost_events.inc(lost)

    async def follow_tokens(self) -> None:
        """Read the list of tokens again and again, for ever; whatever others changed is looked at."""
        failures = 0
        while True:
            try:
                changed = await self._tokens.refresh()
            except TeleportError as error:
                failures += 1
                logger.log(
                    logging.WARNING if failures == TOLERATED_FAILURES else logging.DEBUG,
                    "the tokens cannot be listed: %s",
                    error.message,
                )
                await _sleep(RETRY if failures > 1 else RETRY / 5, find_asked_wait(error))
                continue
            if failures:
                self._feed.add_everything()  # each has a reason to wait that is over now
            failures = 0
            self._tokens_known.set()
            for uid in changed:
                self._feed.add_uid(uid)
            await self._follow_changes()

    async def _follow_changes(self) -> None:
        """Look at what others change as soon as auth tells, until the next list is due."""
        loop = asyncio.get_running_loop()
        due = loop.time() + _shorten(self._drift_interval).total_seconds()
        while (left := due - loop.time()) > 0:
            try:
                changed = await self._tokens.wait_for_changes(timedelta(seconds=left))
            except ConnectionFailed:
                changed = None  # auth may be another one when it is back
            except TeleportError as error:
                logger.debug("changes of tokens are not told: %s", error.message)
                await asyncio.sleep(max(left, find_asked_wait(error).total_seconds()))
                return
            if changed is None:
                await asyncio.sleep(min(left, RETRY.total_seconds()))
                return
            for uid in changed:
                self._feed.add_uid(uid)
            await asyncio.sleep(min(left, BREATH.total_seconds()))


async def _sleep(period: timedelta, asked: timedelta = NOBODY_ASKED) -> None:
    await asyncio.sleep(max(_shorten(period), asked).total_seconds())


def _shorten(period: timedelta) -> timedelta:
    return period * random.uniform(0.8, 1)  # noqa: S311 - jitter


def _describe(error: TeleportError) -> str:
    return error.detail if isinstance(error, NoAnswer) else error.message
