"""Connections that proxies hand on: each is judged by its client's address and certificate, as if it came by itself.

Of the proxy nothing counts but that it is one, which lets it name the addresses of others. Inside a stream is TLS that
the proxy cannot read, with the same context, the same limits and the same service as on the port itself.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, cast

from teleport.api.forwarding import parse_auth_preface
from teleport.auth.access import Caller
from teleport.errors import LimitExceeded, TeleportError
from teleport.resources.role import SystemRole
from teleport.tunnel.inner_tls import InnerTls
from teleport.tunnel.limits import TunnelLimits
from teleport.tunnel.preface import PrefaceProtocol
from teleport.tunnel.session import Session
from teleport.tunnel.stream import Stream
from teleport.web.admissions import Admissions, Admitted, Services
from teleport.web.call import Peer

LIMITS = TunnelLimits(max_streams=20_000, backlog=1024, max_resets=1_000_000)
"""Of one proxy: each agent behind it has a stream or two. How many strangers come and go, the proxy cannot help, and
others must not be cut for it."""

_LOGGER = logging.getLogger(__name__)


class ForwardedConnections:
    """The service for proxies on auth's own port.

    Args:
        identify: returns who shows a certificate, or None if it is not trusted.
        check_pod: told the pod to whose life a proxy is bound, raises if that has ended.
        admissions: where the clients' connections count, beside those that come by themselves.
        context: of the TLS inside, asked for every connection.
        services: what may run inside.
        handshake_timeout: how long the handshake inside may take.
    """

    def __init__(
        self,
        *,
        identify: Callable[[Peer], Caller | None],
        check_pod: Callable[[str], Awaitable[None]],
        admissions: Admissions,
        context: Callable[[], ssl.SSLContext],
        services: Services,
        handshake_timeout: timedelta,
    ) -> None:
        self._identify = identify
        self._check_pod = check_pod
        self._admissions = admissions
        self._context = context
        self._services = services
        self._handshake_timeout = handshake_timeout
        self._sessions: set[Session] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def connect(self, peer: Peer, on_closed: Callable[[], None]) -> asyncio.Protocol:
        """Return the protocol for a connection; who is no proxy is cut."""
        caller = self._identify(peer)
        if caller is None or SystemRole.PROXY not in caller.system_roles:
            _LOGGER.warning("%s wants to hand on connections and is no proxy of this cluster", peer.remote_addr)
            return _Refusal(on_closed)

        def forget() -> None:
            self._sessions.discard(session)
            on_closed()

        session = Session(is_dialer=False, accept=self._accept, limits=LIMITS, on_closed=forget)
        self._sessions.add(session)
        if caller.pod_uid:
            self._start(self._check_life(session, caller.pod_uid))
        return session

    async def shutdown(self, grace: timedelta) -> None:
        """Tell proxies to open nothing more, let what is in flight end within the grace, and close the sessions."""
        sessions = list(self._sessions)
        for session in sessions:
            session.go_away()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace.total_seconds()):
                await asyncio.gather(*(session.drained() for session in sessions))
        for session in sessions:
            session.close()

    def _accept(self, _: Stream) -> asyncio.Protocol:
        return PrefaceProtocol(self._admit)

    def _admit(self, document: dict[str, Any], _: Stream) -> asyncio.Protocol:
        """Return the TLS server for a stream.

        Raises:
            BadParameter: it names no address.
            LimitExceeded: there are too many connections from there, or that address must wait.
        """
        remote_addr = parse_auth_preface(document)
        admitted = self._admissions.admit(remote_addr, self._services)
        if admitted is None:
            raise LimitExceeded(f"connections from {remote_addr} are not accepted at present")
        inner = InnerTls(
            context=self._context(),
            server_side=True,
            protocol_factory=lambda: admitted,
            handshake_timeout=self._handshake_timeout,
        )
        self._start(self._shake_hands(inner, admitted))
        return inner

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _check_life(self, session: Session, pod_uid: str) -> None:
        """Cut a proxy whose pod has ended; its certificate is as good as before, and counts for nothing."""
        try:
            await self._check_pod(pod_uid)
        except TeleportError as error:
            _LOGGER.warning("a proxy that was bound to pod %s is cut: %s", pod_uid, error.message)
            session.abort()

    async def _shake_hands(self, inner: InnerTls, admitted: Admitted) -> None:
        try:
            await inner.established()
        except (TeleportError, OSError) as error:
            self._admissions.fail_handshake(admitted, error)


class _Refusal(asyncio.Protocol):
    """Cuts a connection."""

    def __init__(self, on_closed: Callable[[], None]) -> None:
        self._on_closed = on_closed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._on_closed()
