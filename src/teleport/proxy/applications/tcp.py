"""Applications that do not speak HTTP: bytes are passed on as they are, for a user who shows a certificate."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import timedelta

from teleport.errors import BadParameter, ConnectionFailed, TeleportError
from teleport.proxy.applications.connection import AppConnection, AppParts
from teleport.proxy.applications.service import OpenConnections
from teleport.tunnel.relay import Relay
from teleport.tunnel.upgraded import UpgradedWebSocket
from teleport.web.call import Peer, RequestHead
from teleport.web.forwarding.destination import Upstream

IDLE_TIMEOUT = timedelta(hours=1)
"""Databases and consoles are silent for long; it ends what both ends have forgotten."""

logger = logging.getLogger(__name__)


class AppRelay:
    """One connection to a TCP application.

    Args:
        relay: passes the bytes.
    """

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    @property
    def is_busy(self) -> bool:
        """Return that it always is: nobody can tell whether more will come."""
        return not self._relay.is_over

    def finish(self) -> None:
        """Let the ends decide when they are done."""

    def abort(self) -> None:
        """Cut it."""
        self._relay.abort()

    async def wait_until_answered(self) -> None:
        """Return when it is over."""
        await self._relay.ended()


class TcpApps:
    """Makes connections to TCP applications.

    Args:
        parts: what is decided by.
        connections: told of every one.
    """

    def __init__(self, parts: AppParts, connections: OpenConnections) -> None:
        self._parts = parts
        self._connections = connections
        self._openings: set[asyncio.Task[None]] = set()

    def connect(self, app: str, peer: Peer, on_closed: Callable[[], None]) -> asyncio.Protocol:
        """Return the protocol for a transport whose bytes are an application's; one that is refused is cut."""
        right = AppConnection(self._parts, peer)

        def forget() -> None:
            self._connections.remove(connection)
            on_closed()

        relay = Relay(idle_timeout=IDLE_TIMEOUT, on_ended=forget)
        connection = AppRelay(relay)
        self._connections.add(connection, right)
        task = asyncio.get_running_loop().create_task(self._open(relay, right, app, peer))
        self._openings.add(task)
        task.add_done_callback(self._openings.discard)
        return relay.left

    def connect_websocket(self, head: RequestHead, peer: Peer, on_closed: Callable[[], None]) -> asyncio.Protocol:
        """Return the protocol for a connection that has become a WebSocket's; its query names the application."""
        inside = self.connect(head.query.get("app", ""), peer, on_closed)
        return UpgradedWebSocket(lambda: inside)

    async def _open(self, relay: Relay, right: AppConnection, app: str, peer: Peer) -> None:
        try:
            session = await right.open_by_certificate(app, peer.remote_addr)
            answer = session.answer
            if not answer.app.uri.startswith("tcp:"):
                raise BadParameter("the application speaks HTTP: open it by its host name")
            ways = self._parts.ways.list_upstreams(
                app, answer.host_ids, remote_addr=peer.remote_addr, assertion=answer.assertion
            )
            await open_first(ways, lambda: relay.right)
        except TeleportError as error:
            logger.info("a connection to application %r is refused: %s", app[:64], error.message)
            relay.abort()


async def open_first(ways: Iterable[Upstream], factory: Callable[[], asyncio.Protocol]) -> None:
    """Open the first of the ways that opens.

    Raises:
        ConnectionFailed: none does; the message says why the last one does not.
    """
    cause = "no agent that serves it is connected to this proxy"
    for way in ways:
        try:
            await way.open(factory)
        except TeleportError as error:
            cause = error.message
        else:
            return
    raise ConnectionFailed(cause)
