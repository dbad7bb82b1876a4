"""The TLS listener: takes connections, spends a handshake on those that are admitted, and ends them all at once."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from teleport.errors import Unavailable
from teleport.web.addresses import render_peer_address
from teleport.web.admissions import Admissions, Admitted, Services

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
        services: what runs inside the connections.
        admissions: counts connections, and says which are worth a handshake.
        handshake_timeout: how long a handshake may take.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        context: Callable[[], ssl.SSLContext],
        services: Services,
        admissions: Admissions,
        handshake_timeout: timedelta,
    ) -> None:
        self._host = host
        self._port = port
        self._context = context
        self._services = services
        self._admissions = admissions
        self._handshake_timeout = handshake_timeout.total_seconds()
        self._socket: socket.socket | None = None
        self._resume: asyncio.TimerHandle | None = None
        self._handshakes: dict[asyncio.Task[None], tuple[socket.socket, Admitted]] = {}

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
        for accepted, admitted in self._handshakes.values():
            if admitted.peer is None:
                _shut_down(accepted)
        await asyncio.gather(*self._handshakes)
        await asyncio.gather(*(service.shutdown(grace) for service in set(self._services.values())))
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT.total_seconds()):
                await self._admissions.wait_until_empty()
        self._admissions.abort_all()

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
        admitted = self._admissions.admit(remote_addr, self._services)
        if admitted is None:
            accepted.close()
            return
        accepted.setblocking(False)
        task = asyncio.get_running_loop().create_task(self._shake_hands(accepted, admitted))
        self._handshakes[task] = accepted, admitted
        task.add_done_callback(self._handshakes.pop)

    async def _shake_hands(self, accepted: socket.socket, admitted: Admitted) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: admitted,
                accepted,
                ssl=self._context(),
                ssl_handshake_timeout=self._handshake_timeout,
                ssl_shutdown_timeout=CLOSE_TIMEOUT.total_seconds(),
            )
        except OSError as error:
            self._admissions.fail_handshake(admitted, error)


def _shut_down(accepted: socket.socket) -> None:
    """Cut a connection whose handshake is still going on."""
    with suppress(OSError):
        accepted.shutdown(socket.SHUT_RDWR)


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
