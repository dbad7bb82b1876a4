"""All connections to applications: they begin, are looked at again while they last, and end together."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Protocol

from teleport.clock import Clock
from teleport.errors import AccessDenied, TeleportError
from teleport.proxy.applications.connection import AppConnection, AppParts
from teleport.web.call import Peer
from teleport.web.forwarding.connection import ForwardingConnection
from teleport.web.forwarding.limits import ForwardingLimits

SWEEP = timedelta(seconds=5)
"""How often what is open for long is looked at."""
LIMITS = ForwardingLimits(upstream_idle=timedelta(seconds=30))
"""Agents keep an idle stream for longer, so that none is used that is about to end."""

logger = logging.getLogger(__name__)


class Open(Protocol):
    """A connection over which an application is used."""

    @property
    def is_busy(self) -> bool:
        """Return whether something is under way."""
        ...

    def finish(self) -> None:
        """End it when nothing is under way any more."""
        ...

    def abort(self) -> None:
        """Cut it."""
        ...

    async def wait_until_answered(self) -> None:
        """Return when nothing is under way."""
        ...


class OpenConnections:
    """What is open, and by what right."""

    def __init__(self) -> None:
        self._open: dict[Open, AppConnection] = {}

    def add(self, connection: Open, right: AppConnection) -> None:
        """Take in a connection."""
        self._open[connection] = right

    def remove(self, connection: Open) -> None:
        """Forget one that is gone."""
        self._open.pop(connection, None)

    async def sweep(self) -> None:
        """Cut what its user may not use any more; idle connections are judged by their next request."""
        for connection, right in list(self._open.items()):
            if connection.is_busy and await _is_over(right):
                logger.info("the session of an application is over: its connection is cut")
                connection.abort()

    async def shutdown(self, grace: timedelta) -> None:
        """Let what is under way end within the grace, and cut the rest."""
        for connection in list(self._open):
            connection.finish()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace.total_seconds()):
                await asyncio.gather(*(connection.wait_until_answered() for connection in list(self._open)))
        for connection in [busy for busy in self._open if busy.is_busy]:
            connection.abort()


async def _is_over(right: AppConnection) -> bool:
    try:
        await right.check()
    except AccessDenied:
        return True
    except TeleportError as error:
        logger.warning("the session of an application cannot be confirmed: %s", error.message)
        return True
    return False


class AppService:
    """What connections to applications' hosts are given to.

    Args:
        parts: by which requests are decided.
        connections: told of every one.
        clock: dates the answers that are made here.
    """

    def __init__(self, parts: AppParts, connections: OpenConnections, *, clock: Clock) -> None:
        self._parts = parts
        self._connections = connections
        self._clock = clock

    def connect(self, peer: Peer, on_closed: Callable[[], None]) -> ForwardingConnection:
        """Return the protocol for a connection."""

        def forget() -> None:
            self._connections.remove(connection)
            on_closed()

        right = AppConnection(self._parts, peer)
        connection = ForwardingConnection(
            right.choose,
            peer=peer,
            limits=LIMITS,
            clock=self._clock,
            on_closed=forget,
            build_error=right.build_error,
        )
        self._connections.add(connection, right)
        return connection

    async def shutdown(self, grace: timedelta) -> None:
        """End all connections."""
        await self._connections.shutdown(grace)
