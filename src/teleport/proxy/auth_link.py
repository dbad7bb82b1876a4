"""The proxy's one connection to auth, on which each client that wants to talk to auth has a stream of its own."""

import asyncio
import logging
import random
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from teleport.api.channel import describe_cause
from teleport.api.client import build_identity_context
from teleport.api.forwarding import FORWARD_ALPN, build_auth_preface
from teleport.api.host import Host
from teleport.api.trust import SERVER_NAME, read_server_leaf
from teleport.api.way import Way
from teleport.background import running
from teleport.errors import ConnectionFailed, TeleportError, Unavailable
from teleport.pki.pins import check_auth_role
from teleport.resources.address import Address
from teleport.resources.role import SystemRole
from teleport.tunnel.limits import TunnelLimits
from teleport.tunnel.preface import render_preface
from teleport.tunnel.session import Session
from teleport.tunnel.stream import Stream

LIMITS = TunnelLimits(max_streams=20_000, backlog=1024)
CONNECT_TIMEOUT = timedelta(seconds=10)
FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(seconds=15)

logger = logging.getLogger(__name__)


class AuthLink:
    """Keeps the connection, and opens streams on it.

    Args:
        host: the process, which has joined.
        address: of auth.
        report: told what is wrong, or None when all is well.
    """

    def __init__(self, host: Host, address: Address, report: Callable[[str | None], None]) -> None:
        self._host = host
        self._address = address
        self._report = report
        self._session: Session | None = None

    async def open(self, remote_addr: str, protocol_factory: Callable[[], asyncio.Protocol]) -> Stream:
        """Open a stream for a client.

        Args:
            remote_addr: the client's.
            protocol_factory: makes what runs on the stream.

        Raises:
            Unavailable: auth is not reached at present, or there are too many streams.
            ConnectionFailed: the connection has just ended.
        """
        session = self._session
        if session is None or not session.is_usable:
            raise Unavailable("auth is not reached at present")
        return await session.open(render_preface(build_auth_preface(remote_addr)), protocol_factory)

    async def run(self) -> None:
        """Keep the connection until cancelled."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self._hold(await self._connect())
            except TeleportError as error:
                self._report(error.message)
            else:
                pause = FIRST_PAUSE
            # All proxies lose auth at the same moment, and need not come back at the same one.
            await asyncio.sleep(pause.total_seconds() * random.uniform(0.5, 1))  # noqa: S311 - jitter, no secret
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _hold(self, session: Session) -> None:
        """Let streams be opened until the connection ends, or auth says that it is about to."""
        self._session = session
        self._report(None)
        logger.info("clients are passed on to auth at %s", self._address)
        try:
            await session.closed()
        finally:
            self._session = None
            session.abort()
        self._report(f"the connection to auth at {self._address} ended: {session.error or 'auth closed it'}")

    async def _connect(self) -> Session:
        """Connect as the proxy.

        Raises:
            ConnectionFailed: auth cannot be reached, or it speaks another protocol.
            TrustError: it is no auth server of the cluster.
        """
        context = build_identity_context(self._host.identity(SystemRole.PROXY), (FORWARD_ALPN,))
        loop = asyncio.get_running_loop()
        session = Session(is_dialer=True, limits=LIMITS)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT.total_seconds()):
                transport, _ = await loop.create_connection(
                    lambda: session, self._address.host, self._address.port, ssl=context, server_hostname=SERVER_NAME
                )
            _check_server(transport.get_extra_info("ssl_object"))
        except OSError as error:
            why = "no answer in time" if isinstance(error, TimeoutError) else describe_cause(error)
            raise ConnectionFailed(f"clients are not passed on: auth at {self._address}: {why}") from error
        except TeleportError:
            session.abort()
            raise
        return session


def _check_server(tls: ssl.SSLObject) -> None:
    if tls.selected_alpn_protocol() != FORWARD_ALPN:
        raise ConnectionFailed("clients are not passed on: auth does not know how to; it is of an older version")
    check_auth_role(read_server_leaf(tls))


@asynccontextmanager
async def open_auth_link(host: Host, way: Way, report: Callable[[str | None], None]) -> AsyncIterator[AuthLink]:
    """Keep a connection to auth for the time of a block.

    Raises:
        Unavailable: the proxy itself reaches auth through another proxy.
    """
    if not isinstance(way, Address):
        raise Unavailable(f"a proxy needs auth's own address: set teleport.auth_server, not {way}")
    link = AuthLink(host, way, report)
    async with running([link.run()], report):
        yield link
