"""Who is connected: connections are counted by the network that they come from before a handshake is spent on them.

The listener's connections stand here, and those that somebody trusted hands on for others: one count holds for both.
"""

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from typing import cast

from teleport.web.addresses import network_of
from teleport.web.call import Peer
from teleport.web.metrics import Metrics
from teleport.web.service import Service

Services = Mapping[str | None, Service]
"""What runs inside connections, by the protocol that both sides agreed on in TLS (ALPN, RFC 7301); None stands for
clients that named no protocol, or none that is offered."""

_LOGGER = logging.getLogger(__name__)


class Admissions:
    """All connections of a server.

    Args:
        metrics: counts what happens to connections.
        max_connections: open connections per address, handshakes included; IPv6 counts by /64.
        is_welcome: told an address, says whether it is worth a handshake; one from which somebody with a certificate
            is connected always is.
    """

    def __init__(
        self, *, metrics: Metrics, max_connections: int, is_welcome: Callable[[str], bool] = lambda _: True
    ) -> None:
        self._metrics = metrics
        self._max_connections = max_connections
        self._is_welcome = is_welcome
        self._connections: set[Admitted] = set()
        self._count_by_network: Counter[str] = Counter()
        self._members_by_network: Counter[str] = Counter()
        self._empty = asyncio.Event()
        self._empty.set()

    def admit(self, remote_addr: str, services: Services) -> "Admitted | None":
        """Count a connection whose handshake is still to come; None if it is one too many, or not worth one.

        Args:
            remote_addr: where it comes from.
            services: what may run inside.
        """
        network = network_of(remote_addr)
        if self._count_by_network[network] >= self._max_connections:
            self._metrics.connections_over_limit.inc()
            return None
        if not self._members_by_network[network] and not self._is_welcome(remote_addr):
            self._metrics.connections_unwelcome.inc()
            return None
        self._count_by_network[network] += 1
        admitted = Admitted(self, services, remote_addr, network)
        self._connections.add(admitted)
        self._empty.clear()
        self._metrics.connections_accepted.inc()
        self._metrics.connections.inc()
        return admitted

    def close_where(self, predicate: Callable[[Peer], bool]) -> int:
        """Cut the connections whose peer the predicate names, as those that are no longer trusted; return how many."""
        doomed = [known for known in self._connections if known.peer is not None and predicate(known.peer)]
        for connection in doomed:
            connection.abort()
        return len(doomed)

    async def wait_until_empty(self) -> None:
        """Return when no connection is left."""
        await self._empty.wait()

    def abort_all(self) -> None:
        """Cut every connection whose handshake is done."""
        for connection in list(self._connections):
            connection.abort()

    def fail_handshake(self, connection: "Admitted", error: Exception) -> None:
        """Stop counting a connection whose handshake has failed."""
        _LOGGER.debug("handshake with %s failed: %s", connection.remote_addr, error)
        self._metrics.handshake_failures.inc()
        self.forget(connection)

    def serve(self, connection: "Admitted", tls: ssl.SSLObject) -> asyncio.Protocol | None:
        """Return what runs inside a connection that came through the handshake, or None if nothing does."""
        service = connection.services.get(tls.selected_alpn_protocol())
        if service is None:
            _LOGGER.debug("%s negotiated no protocol that is spoken here", connection.remote_addr)
            self._metrics.alpn_refusals.inc()
            connection.abort()
            return None
        connection.peer = peer = Peer(connection.remote_addr, tls.getpeercert(binary_form=True))
        if not peer.anonymous:
            self._members_by_network[connection.network] += 1
        return service.connect(peer, lambda: self.forget(connection))

    def forget(self, connection: "Admitted") -> None:
        """Stop counting a connection that is gone."""
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        connection.let_go()
        self._metrics.connections.dec()
        _take_away(self._count_by_network, connection.network)
        if connection.peer is not None and not connection.peer.anonymous:
            _take_away(self._members_by_network, connection.network)
        if not self._connections:
            self._empty.set()


def _take_away(count_by_network: Counter[str], network: str) -> None:
    """Count one less, and nothing at all of networks that are gone."""
    count_by_network[network] -= 1
    if not count_by_network[network]:
        del count_by_network[network]


class Admitted(asyncio.Protocol):
    """One connection; it is the transport's protocol only until the handshake tells which one follows."""

    __slots__ = ("_admissions", "_transport", "network", "peer", "remote_addr", "services")

    def __init__(self, admissions: Admissions, services: Services, remote_addr: str, network: str) -> None:
        self.services = services
        self.remote_addr = remote_addr
        self.network = network
        self.peer: Peer | None = None
        self._admissions = admissions
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand the connection to what both sides agreed on."""
        self._transport = cast("asyncio.Transport", transport)
        protocol = self._admissions.serve(self, transport.get_extra_info("ssl_object"))
        if protocol is not None:
            self._transport.set_protocol(protocol)
            protocol.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget a connection that nothing has run in."""
        self._admissions.forget(self)

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def let_go(self) -> None:
        """Let the transport go, which knows this connection: its TLS need not wait for the garbage collector."""
        self._transport = None
