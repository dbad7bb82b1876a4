"""From a request to a connection over which it can be sent, or to an answer: chooses, and tries way after way."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from teleport.errors import ConnectionFailed, TeleportError
from teleport.web.call import Peer, Reply
from teleport.web.forwarding.destination import (
    Chooser,
    Chosen,
    Destination,
    ErrorPage,
    Upstream,
    build_refusal,
    report_trouble,
)
from teleport.web.forwarding.head import RequestHead
from teleport.web.forwarding.kept import KeptConnections
from teleport.web.forwarding.limits import ForwardingLimits
from teleport.web.forwarding.plan import HeaderPlan
from teleport.web.forwarding.upstream import UpstreamConnection

_LOGGER = logging.getLogger(__name__)

Outcome = tuple[UpstreamConnection, HeaderPlan] | Reply


class Dispatcher:
    """Decides about the requests of one client's connection, one at a time.

    Args:
        chooser: says where a request goes.
        peer: who asks.
        limits: how long a way may take to open, and for how long connections are kept.
        build_error: makes the answer where no way opens.
        deliver: is told an outcome that was not there at once.
    """

    __slots__ = ("_build_error", "_chooser", "_deliver", "_kept", "_limits", "_peer", "_task")

    def __init__(
        self,
        chooser: Chooser,
        *,
        peer: Peer,
        limits: ForwardingLimits,
        build_error: ErrorPage,
        deliver: Callable[[Outcome], None],
    ) -> None:
        self._chooser = chooser
        self._peer = peer
        self._limits = limits
        self._build_error = build_error
        self._deliver = deliver
        self._kept = KeptConnections()
        self._task: asyncio.Task[None] | None = None

    def dispatch(self, head: RequestHead) -> Outcome | None:
        """Return what becomes of a request if that is known at once; otherwise it is delivered later."""
        try:
            chosen = self._chooser(head, self._peer)
        except Exception as error:  # noqa: BLE001 - the border: whatever it is becomes a status
            return build_refusal(error, self._build_error)
        if isinstance(chosen, Destination | Reply):
            outcome = self._decide(chosen)
            if outcome is not None or isinstance(chosen, Reply):
                return outcome
            self._task = asyncio.create_task(self._open_and_deliver(chosen))
        else:
            self._task = asyncio.create_task(self._wait_and_deliver(chosen))
        return None

    def keep(self, connection: UpstreamConnection) -> None:
        """Keep a connection for the next request."""
        self._kept.keep(connection)

    def close(self) -> None:
        """Deliver nothing more, and close what was kept."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._kept.close()

    def _decide(self, chosen: Chosen) -> Outcome | None:
        """Return the outcome, unless a connection must be opened first."""
        if isinstance(chosen, Reply):
            return chosen
        kept = self._kept.take(chosen)
        return (kept, chosen.plan) if kept is not None else None

    async def _wait_and_deliver(self, choosing: Awaitable[Chosen]) -> None:
        try:
            chosen = await choosing
        except Exception as error:  # noqa: BLE001 - the border: whatever it is becomes a status
            chosen = build_refusal(error, self._build_error)
        outcome = self._decide(chosen)
        if outcome is None and isinstance(chosen, Destination):
            outcome = await self._open(chosen)
        self._finish(outcome)

    async def _open_and_deliver(self, destination: Destination) -> None:
        self._finish(await self._open(destination))

    def _finish(self, outcome: Outcome | None) -> None:
        self._task = None
        if outcome is not None:
            self._deliver(outcome)

    async def _open(self, destination: Destination) -> Outcome:
        """Connect by the first of the ways that opens."""
        try:
            connection = await open_upstream(destination, self._limits, self._kept.forget)
        except Exception as error:  # noqa: BLE001 - the border: whatever it is becomes a status
            message = "the application cannot be reached"
            return report_trouble(HTTPStatus.BAD_GATEWAY, message, error, self._build_error)
        return connection, destination.plan


async def open_upstream(
    destination: Destination, limits: ForwardingLimits, on_lost: Callable[[UpstreamConnection], None]
) -> UpstreamConnection:
    """Return a connection over which nothing was sent yet.

    Raises:
        ConnectionFailed: none of the ways opens; the message says why the last one does not.
    """
    cause = "there is no way to it"
    for upstream in destination.upstreams:
        connection = UpstreamConnection(upstream.key, limits=limits, on_lost=on_lost)
        try:
            await _open_way(upstream, connection, limits)
        except TeleportError as error:
            cause = error.message
        except OSError as error:  # a timeout is one, too
            cause = type(error).__name__
        else:
            return connection
        _LOGGER.debug("%s cannot be reached: %s", upstream.key, cause)
    raise ConnectionFailed(cause)


async def _open_way(upstream: Upstream, connection: UpstreamConnection, limits: ForwardingLimits) -> None:
    try:
        async with asyncio.timeout(limits.connect.total_seconds()):
            await upstream.open(lambda: connection)
    except BaseException:
        connection.abort()
        raise
    if not connection.is_open:
        raise ConnectionFailed("the connection broke at once")
