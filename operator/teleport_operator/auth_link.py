"""The way to auth: with an identity in memory, which is renewed at half its life."""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta

from teleport.api.client import Client, connect
from teleport.api.operations import Operation, RequestT, ResponseT
from teleport.clock import Clock
from teleport.errors import TeleportError, Unavailable
from teleport.pki.leaf import parse_leaf
from teleport.pki.pem import parse_pem
from teleport.resources.address import Address
from teleport.web.readiness import Readiness
from teleport_operator.identity import IdentitySource
from teleport_operator.patience import NOBODY_ASKED, find_asked_wait

COMPONENT = "identity"
FIRST_RETRY = timedelta(seconds=1)
LONGEST_RETRY = timedelta(seconds=30)
GRACE = timedelta(seconds=30)
"""As long as a request may take: so long a former identity's connections live on."""
SHARE_OF_RENEWAL = 0.5
SHARE_OF_ALARM = 0.75
JITTER = 0.1

logger = logging.getLogger(__name__)


class AuthLink:
    """A client that changes its identity by itself.

    Args:
        address: of the auth server.
        source: of identities.
        readiness: told how it fares.
        on_expiry: told when the identity ends.
        clock: the present.
    """

    def __init__(
        self,
        *,
        address: Address,
        source: IdentitySource,
        readiness: Readiness,
        on_expiry: Callable[[datetime], object],
        clock: Clock,
    ) -> None:
        self._address = address
        self._source = source
        self._readiness = readiness
        self._on_expiry = on_expiry
        self._clock = clock
        self._client: Client | None = None
        self._alarm_at: datetime | None = None
        readiness.expect(COMPONENT)

    async def call(self, operation: Operation[RequestT, ResponseT], request: RequestT) -> ResponseT:
        """Ask for one operation.

        Raises:
            Unavailable: the operator has not joined yet.
            TeleportError: see `Client.call`.
        """
        if self._client is None:
            raise Unavailable("the operator has not joined the cluster yet; its log says why", NOBODY_ASKED)
        return await self._client.call(operation, request)

    async def run(self) -> None:
        """Join, and join again at half the life of each identity, for ever."""
        present = AsyncExitStack()
        try:
            while True:
                former, present = present, AsyncExitStack()
                async with former:
                    lives_for = await self._renew_until_it_works(present)
                    await asyncio.sleep(GRACE.total_seconds())
                wait = lives_for * SHARE_OF_RENEWAL * random.uniform(1 - JITTER, 1) - GRACE  # noqa: S311 - jitter
                await asyncio.sleep(max(wait.total_seconds(), 0))
        finally:
            await present.aclose()

    async def _renew_until_it_works(self, stack: AsyncExitStack) -> timedelta:
        delay = FIRST_RETRY
        while True:
            try:
                return await self._renew(stack)
            except TeleportError as error:
                self._report(error)
                asked = find_asked_wait(error)
            wait = max(delay * random.uniform(0.5, 1), asked)  # noqa: S311 - jitter
            await asyncio.sleep(wait.total_seconds())
            delay = min(delay * 2, LONGEST_RETRY)

    async def _renew(self, stack: AsyncExitStack) -> timedelta:
        """Get an identity, use it from now on, and return how long it lives."""
        identity = await self._source.get()
        leaf = parse_leaf(parse_pem(identity.tls_certificate, "CERTIFICATE", what="the operator's certificate"))
        self._client = await stack.enter_async_context(connect(self._address, identity))
        lives_for = leaf.not_after - self._clock.now()
        self._alarm_at = self._clock.now() + lives_for * SHARE_OF_ALARM
        self._on_expiry(leaf.not_after)
        self._readiness.succeed(COMPONENT)
        logger.info("joined the cluster as %s %r; the identity is good until %s", leaf.kind, leaf.name, leaf.not_after)
        return lives_for

    def _report(self, error: TeleportError) -> None:
        """Say that there is no new identity; readiness suffers when the present one will not live for long."""
        logger.warning("the operator cannot join the cluster: %s; trying again", error.message)
        if self._alarm_at is None or self._clock.now() >= self._alarm_at:
            self._readiness.fail(COMPONENT, f"cannot join the cluster: {error.message}")
