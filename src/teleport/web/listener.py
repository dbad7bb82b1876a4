"""The TLS listener: counts connections before it spends a handshake on them, and lets only what it knows through."""

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import cast

from teleport.errors import Unavailable
from teleport.web.addresses import network_of, render_peer_address
from teleport.web.call import Peer
from teleport.web.metrics import Metrics
from teleport.web.service import Service

_LOGGER = logging.getLogger(__name__)

BACKLOG = 2048
ACCEPTS_PER_WAKEUP = 32
"""So many connections are taken before requests that are already here get their turn."""
ACCEPT_PAUSE = timedelta(seconds=1)
"""When the process is out of file descriptors, asking again at once would only burn the processor."""
CLOSE_TIMEOUT = timedelta(seconds=2)
"""For so long a peer may take to say goodbye in TLS."""


class TlsListener:
    """Accepts TLS connections on one address.

    Args:
        host: where to listen.
        port: the TCP port; nought lets the system choose.
        context: asked for every new connection, so that new certificates and authorities need no restart.
        services: what runs inside the connections, by the protocol that both sides agreed on in TLS (ALPN, RFC 7301);
            None stands for clients that named no protocol, or none that the context offers.
        metrics: counts what happens to connections.
        max_connections: open connections per address, handshakes included; IPv6 counts by /64.
        handshake_timeout: how long a handshake may take.
        is_welcome: told an address, says whether it is worth a handshake; one from which somebody with a certificate
            is connected always is.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        context: Callable[[], ssl.SSLContext],
        services: Mapping[str | None, Service],
        metrics: Metrics,
        max_connections: int,
        handshake_timeout: timedelta,
        is_welcome: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._host = host
        self._port = port
        self._context = context
        self._services = services
        self._metrics = metrics
        self._max_connections = max_connections
        self._handshake_timeout = handshake_timeout.total_seconds()
        self._is_welcome = is_welcome
        self._socket: socket.socket | None = None
        self._resume: asyncio.TimerHandle | None = None
        self._connections: set[_Connection] = set()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._count_by_network: Counter[str] = Counter()
        self._members_by_network: Counter[str] = Counter()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        return self._port

    async def start(self) -> None:
        """Listen.

        Raises:
            Unavailable: the address cannot be listened on.
        """
        try:
            self._socket = await _open_listening_socket(self._host, self._port)
        except OSError as error:
            raise Unavailable(f"cannot listen on {self._host} port {self._port}: {error.strerror}") from error
        self._port = self._socket.getsockname()[1]
        self._listen()

    async def stop(self, grace: timedelta) -> None:
        """Accept nothing more, let requests in flight end within the grace, and close every connection."""
        if self._resume is not None:
            self._resume.cancel()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for connection in self._connections:
            connection.give_up_handshake()
        await asyncio.gather(*self._handshakes)
        await asyncio.gather(*(service.shutdown(grace) for service in set(self._services.values())))
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT.total_seconds()):
                await self._empty.wait()
        for connection in list(self._connections):
            connection.abort()

    def close_where(self, predicate: Callable[[Peer], bool]) -> int:
        """Cut the connections whose peer the predicate names, as those that are no longer trusted; return how many."""
        doomed = [known for known in self._connections if known.peer is not None and predicate(known.peer)]
        for connection in doomed:
            connection.abort()
        return len(doomed)

    def _listen(self) -> None:
        self._resume = None
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._accept, self._socket)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTS_PER_WAKEUP):
            try:
                accepted, sockaddr = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(listening, error)
                return
            self._admit(accepted, render_peer_address(sockaddr))

    def _pause(self, listening: socket.socket, error: OSError) -> None:
        _LOGGER.error("cannot accept connections, trying again in %s: %s", ACCEPT_PAUSE, error.strerror)
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        self._resume = loop.call_later(ACCEPT_PAUSE.total_seconds(), self._listen)

    def _admit(self, accepted: socket.socket, remote_addr: str) -> None:
        network = network_of(remote_addr)
        if self._count_by_network[network] >= self._max_connections:
            accepted.close()
            self._metrics.connections_over_limit.inc()
            return
        if not self._members_by_network[network] and not self._is_welcome(remote_addr):
            accepted.close()
            self._metrics.connections_unwelcome.inc()
            return
        accepted.setblocking(False)
        self._count_by_network[network] += 1
        connection = _Connection(self, accepted, remote_addr, network)
        self._connections.add(connection)
        self._empty.clear()
        self._metrics.connections_accepted.inc()
        self._metrics.connections.inc()
        task = asyncio.get_running_loop().create_task(self._shake_hands(connection))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, connection: "_Connection") -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                connection.socket,
                ssl=self._context(),
                ssl_handshake_timeout=self._handshake_timeout,
                ssl_shutdown_timeout=CLOSE_TIMEOUT.total_seconds(),
            )
        except OSError as error:
            _LOGGER.debug("handshake with %s failed: %s", connection.remote_addr, error)
            self._metrics.handshake_failures.inc()
            self.forget(connection)

    def serve(self, connection: "_Connection", peer: Peer, alpn: str | None) -> asyncio.Protocol | None:
        """Return what runs inside a connection that came through the handshake, or None if nothing does."""
        service = self._services.get(alpn)
        if service is None:
            _LOGGER.debug("%s negotiated no protocol that is spoken here", peer.remote_addr)
            self._metrics.alpn_refusals.inc()
            connection.abort()
            return None
        connection.peer = peer
        if not peer.anonymous:
            self._members_by_network[connection.network] += 1
        return service.connect(peer, lambda: self.forget(connection))

    def forget(self, connection: "_Connection") -> None:
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


class _Connection(asyncio.Protocol):
    """One accepted connection; it is the transport's protocol only until the handshake tells which one follows."""

    __slots__ = ("_listener", "_transport", "network", "peer", "remote_addr", "socket")

    def __init__(self, listener: TlsListener, accepted: socket.socket, remote_addr: str, network: str) -> None:
        self.socket = accepted
        self.remote_addr = remote_addr
        self.network = network
        self.peer: Peer | None = None
        self._listener = listener
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand the connection to what both sides agreed on."""
        self._transport = cast("asyncio.Transport", transport)
        tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
        peer = Peer(self.remote_addr, tls.getpeercert(binary_form=True))
        protocol = self._listener.serve(self, peer, tls.selected_alpn_protocol())
        if protocol is not None:
            self._transport.set_protocol(protocol)
            protocol.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget a connection that nothing has run in."""
        self._listener.forget(self)

    def give_up_handshake(self) -> None:
        """Cut the connection if its handshake is still going on."""
        if self._transport is None:
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def let_go(self) -> None:
        """Let the transport go, which knows this connection: its TLS need not wait for the garbage collector."""
        self._transport = None


async def _open_listening_socket(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    # Without its protocol's number the socket would not get TCP_NODELAY from asyncio, nor would those it accepts.
    found = await loop.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
    )
    family, kind, proto, _, sockaddr = found[0]
    listening = socket.socket(family, kind, proto)
    try:
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind(sockaddr)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
