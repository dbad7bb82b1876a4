"""A connection of an agent on its way to be a tunnel: who it is, and that it says so in time."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol, cast

from teleport.api.tunnels import GoodbyeReason, parse_control_preface, render_goodbye
from teleport.errors import AccessDenied
from teleport.pki.leaf import LeafIdentity, LeafKind, parse_leaf
from teleport.proxy.tunnels.registry import Key, Tunnel
from teleport.resources.role import LOCAL_SERVICE_ROLES, SystemRole
from teleport.tunnel.preface import PrefaceProtocol
from teleport.tunnel.session import Session
from teleport.tunnel.stream import Stream

SILENT_SECONDS = 10.0
"""For so long an agent may take to open the control stream."""
REACHED_ROLES = LOCAL_SERVICE_ROLES - {SystemRole.AUTH, SystemRole.PROXY}
"""Services that are reached through tunnels."""
MAX_UNSENT = 256 * 1024
"""An agent that lets so many bytes of control messages lie is gone, or stuck."""

logger = logging.getLogger(__name__)


def check_agent(certificate_der: bytes | None, cluster_name: str) -> LeafIdentity:
    """Return whose certificate it is, of those who may have tunnels; TLS has verified that it is good.

    Raises:
        AccessDenied: there is none, or it is somebody else's.
    """
    if certificate_der is None:
        raise AccessDenied("a tunnel needs a client certificate of the cluster")
    leaf = parse_leaf(certificate_der)
    if leaf.kind is not LeafKind.HOST or leaf.cluster_name != cluster_name:
        raise AccessDenied("a tunnel needs the certificate of a host of the cluster")
    if leaf.roles[0] not in REACHED_ROLES:
        raise AccessDenied(f"a service of role {leaf.roles[0]} is not reached through a tunnel")
    return leaf


class Desk(Protocol):
    """Takes tunnels in."""

    def let_in(self, key: Key, remote_addr: str) -> None:
        """Count a connection that has not opened its control stream yet.

        Raises:
            AccessDenied: there are too many.
        """
        ...

    def let_out(self, key: Key) -> None:
        """Count such a connection no longer."""
        ...

    def add(self, tunnel: Tunnel) -> None:
        """Take in a tunnel whose control stream is open."""
        ...

    def remove(self, tunnel: Tunnel) -> None:
        """Take note that a tunnel is gone."""
        ...


class Arrival(asyncio.Protocol):
    """The protocol of a connection over which TLS is established, until a session takes its place.

    Args:
        desk: takes the tunnel in.
        cluster_name: of the cluster.
        remote_addr: where the agent is.
        on_closed: is called once, when the connection is gone.
    """

    __slots__ = ("_cluster_name", "_desk", "_on_closed", "_remote_addr")

    def __init__(self, desk: Desk, *, cluster_name: str, remote_addr: str, on_closed: Callable[[], None]) -> None:
        self._desk = desk
        self._cluster_name = cluster_name
        self._remote_addr = remote_addr
        self._on_closed = on_closed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look at the certificate, and begin a session."""
        connection = cast("asyncio.Transport", transport)
        certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        try:
            leaf = check_agent(certificate, self._cluster_name)
            guest = Guest(self._desk, leaf, certificate, remote_addr=self._remote_addr, on_closed=self._on_closed)
        except AccessDenied as error:
            logger.debug("a tunnel from %s is refused: %s", self._remote_addr, error.message)
            connection.abort()
            return
        connection.set_protocol(guest.session)
        guest.session.connection_made(connection)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Be done with a connection that was refused."""
        self._on_closed()


class Guest:
    """A connection whose agent is known, and which has to open its control stream in time to be a tunnel.

    Args:
        desk: takes the tunnel in.
        leaf: who the agent is.
        certificate_der: the same as the agent has shown it.
        remote_addr: where the agent is.
        on_closed: is called once, when the connection is gone.

    Raises:
        AccessDenied: the desk lets nobody in.
    """

    __slots__ = ("_control", "_desk", "_on_closed", "_timer", "_tunnel", "session")

    def __init__(
        self,
        desk: Desk,
        leaf: LeafIdentity,
        certificate_der: bytes,
        *,
        remote_addr: str,
        on_closed: Callable[[], None],
    ) -> None:
        self._desk = desk
        self._on_closed = on_closed
        self.session = Session(is_dialer=False, accept=self._accept, on_closed=self._close)
        self._control = ControlStream(self._begin, self.session.abort)
        self._tunnel = Tunnel(
            session=self.session,
            control=self._control,
            host_id=leaf.name,
            role=SystemRole(leaf.roles[0]),
            pod_uid=leaf.pod_uid,
            certificate_der=certificate_der,
            remote_addr=remote_addr,
        )
        desk.let_in(self._tunnel.key, remote_addr)
        loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = loop.call_later(SILENT_SECONDS, self.session.abort)

    def _accept(self, _: Stream) -> asyncio.Protocol:
        return PrefaceProtocol(self._choose)

    def _choose(self, preface: dict[str, Any], _: Stream) -> asyncio.Protocol:
        """Begin with the control stream, which there is one of.

        Raises:
            BadParameter: the stream is for something else; agents open no others.
            AccessDenied: there is a control stream already.
        """
        process = parse_control_preface(preface)
        if self._timer is None:
            raise AccessDenied("a tunnel has one control stream")
        self._stop_waiting()
        self._tunnel.process = process
        return self._control

    def _begin(self) -> None:
        self._desk.add(self._tunnel)

    def _close(self) -> None:
        self._stop_waiting()
        self._desk.remove(self._tunnel)
        self._on_closed()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._desk.let_out(self._tunnel.key)


class ControlStream(asyncio.Protocol):
    """The proxy's end of a tunnel's control stream; an agent that writes there or ends it loses the tunnel.

    Args:
        begin: is called when messages can be written.
        abort: cuts the tunnel.
    """

    __slots__ = ("_abort", "_begin", "_has_ended", "_stream")

    def __init__(self, begin: Callable[[], None], abort: Callable[[], None]) -> None:
        self._begin = begin
        self._abort = abort
        self._stream: asyncio.Transport | None = None
        self._has_ended = False

    def send_proxies(self, line: bytes) -> None:
        """Say which proxies there are, as a message that is written already."""
        self._write(line)

    def say_goodbye(self, reason: GoodbyeReason) -> None:
        """Say that the tunnel ends, and nothing after that."""
        self._write(render_goodbye(reason))
        self._has_ended = True
        if self._stream is not None:
            self._stream.write_eof()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the tunnel be known."""
        self._stream = cast("asyncio.Transport", transport)
        self._begin()

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - asyncio's signature
        """Cut a tunnel whose agent says what nobody understands."""
        self._abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Cut a tunnel that cannot be told anything any more."""
        self._stream = None
        if not self._has_ended:
            self._abort()

    def _write(self, line: bytes) -> None:
        if self._stream is None or self._has_ended:
            return
        if self._stream.get_write_buffer_size() > MAX_UNSENT:
            self._abort()
        else:
            self._stream.write(line)
