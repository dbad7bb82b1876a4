"""Making a connection to a proxy that is fit for a tunnel: both sides have shown certificates of the cluster.

Where nothing stands between, or only what passes TCP on, TLS to the proxy itself carries the tunnel. Where something
else ends TLS before the proxy, a WebSocket goes through it, and TLS to the proxy is inside that. Which it is shows at
the first dial, and is remembered.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import cast

from teleport.api.channel import describe_cause
from teleport.api.client import build_identity_context
from teleport.api.identity import Identity
from teleport.api.trust import SERVER_NAME
from teleport.api.tunnels import CONNECT_TUNNEL_PATH, TUNNEL_ALPN
from teleport.errors import AccessDenied, ConnectionFailed, TeleportError, TrustError
from teleport.pki.leaf import LeafKind, parse_leaf
from teleport.resources.address import Address
from teleport.resources.role import SystemRole
from teleport.tunnel.inner_tls import InnerTls
from teleport.tunnel.websocket import WebSocketClient
from teleport.web.tls import ALPN, build_web_client_context

DIAL_SECONDS = 10.0


class Carrier(Enum):
    """What carries a tunnel."""

    DIRECT = "TLS"
    WEBSOCKET = "a WebSocket"


@dataclass(frozen=True, slots=True)
class Dialed:
    """A connection to a proxy; nothing was sent on it yet."""

    transport: asyncio.Transport
    proxy: str
    """Its host id, which its certificate proves."""


class Dialer:
    """Dials proxies.

    Args:
        public: the address by which proxies are known; what ends TLS before them has a certificate for it.
        identity: returns what is shown to proxies, and by whose authorities they are known.
        cluster_name: of the cluster.
        is_insecure: the certificate of what ends TLS before the proxies is not looked at.
    """

    def __init__(
        self, *, public: Address, identity: Callable[[], Identity], cluster_name: str, is_insecure: bool
    ) -> None:
        self._public = public
        self._identity = identity
        self._cluster_name = cluster_name
        self._is_insecure = is_insecure
        self.carrier = Carrier.DIRECT
        """What worked last, and is tried first."""
        self._has_worked = False

    async def dial(self, host: str, port: int) -> Dialed:
        """Connect to one of the addresses behind the public one.

        Raises:
            TrustError: who answers is no proxy of the cluster.
            ConnectionFailed: nobody answers, or not what a tunnel needs.
        """
        context = build_identity_context(self._identity(), (TUNNEL_ALPN,))
        first = self.carrier
        try:
            dialed = await self._dial(first, host, port, context)
        except _NoWay as failure:
            if self._has_worked and not failure.is_certain:
                raise  # a proxy that is overloaded breaks off, too, and would have to bear twice as much
            dialed = await self._dial_otherwise(failure, host, port, context)
        self._has_worked = True
        return dialed

    async def _dial_otherwise(self, failure: "_NoWay", host: str, port: int, context: ssl.SSLContext) -> Dialed:
        second = Carrier.WEBSOCKET if self.carrier is Carrier.DIRECT else Carrier.DIRECT
        try:
            dialed = await self._dial(second, host, port, context)
        except TeleportError as error:
            raise ConnectionFailed(f"{failure.message}; through {second.value}: {error.message}") from error
        self.carrier = second
        return dialed

    async def _dial(self, carrier: Carrier, host: str, port: int, context: ssl.SSLContext) -> Dialed:
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                if carrier is Carrier.DIRECT:
                    transport = await self._connect(host, port, context, SERVER_NAME)
                else:
                    transport = await self._connect_websocket(host, port, context)
        except TimeoutError as error:
            raise ConnectionFailed(f"{self._public} does not answer in time") from error
        try:
            return Dialed(transport, self._find_proxy(transport))
        except TeleportError:
            transport.abort()
            raise

    async def _connect(self, host: str, port: int, context: ssl.SSLContext, server_name: str) -> asyncio.Transport:
        """Connect and shake hands.

        Raises:
            _NoWay: the handshake fails; another carrier may help.
            ConnectionFailed: there is no connection at all.
        """
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_connection(
                asyncio.Protocol, host, port, ssl=context, server_hostname=server_name
            )
        except ssl.SSLCertVerificationError as error:
            failure = _NoWay(f"who answers at {self._public} is not trusted: {error.verify_message}")
            failure.is_certain = True
            raise failure from error
        except (ssl.SSLError, ConnectionResetError, ConnectionAbortedError, BrokenPipeError) as error:
            raise _NoWay(f"TLS to {self._public} fails: {getattr(error, 'reason', None) or error}") from error
        except TimeoutError:
            raise
        except OSError as error:
            raise ConnectionFailed(f"cannot reach {self._public}: {describe_cause(error)}") from error
        return transport

    async def _connect_websocket(self, host: str, port: int, context: ssl.SSLContext) -> asyncio.Transport:
        web = build_web_client_context((ALPN,), is_verified=not self._is_insecure)
        outer = await self._connect(host, port, web, self._public.host)
        inner = InnerTls(
            context=context, server_side=False, server_hostname=SERVER_NAME, protocol_factory=asyncio.Protocol
        )
        path = f"/v1{CONNECT_TUNNEL_PATH}"
        carrier = WebSocketClient(host=str(self._public), path=path, protocol_factory=lambda: inner)
        outer.set_protocol(carrier)
        carrier.connection_made(outer)
        try:
            await carrier.established()
            return await inner.established()
        except ConnectionFailed as error:
            outer.abort()
            raise _NoWay(error.message) from error
        except BaseException:
            outer.abort()
            raise

    def _find_proxy(self, transport: asyncio.Transport) -> str:
        """Return the host id of who answered.

        Raises:
            TrustError: it is no proxy of the cluster: auth servers carry the name as well.
            ConnectionFailed: it is one that takes no tunnels.
        """
        tls = cast("ssl.SSLObject", transport.get_extra_info("ssl_object"))
        try:
            leaf = parse_leaf(tls.getpeercert(binary_form=True) or b"")
        except AccessDenied as error:
            raise TrustError(f"who answers at {self._public} is no proxy: {error.message}") from error
        if (leaf.kind, leaf.roles, leaf.cluster_name) != (LeafKind.HOST, (SystemRole.PROXY,), self._cluster_name):
            raise TrustError(f"who answers at {self._public} is of the cluster, and no proxy")
        if tls.selected_alpn_protocol() != TUNNEL_ALPN:
            raise ConnectionFailed(f"the proxy at {self._public} takes no tunnels")
        return leaf.name


class _NoWay(ConnectionFailed):
    """This carrier does not reach a proxy; the other one may."""

    is_certain = False
    """Somebody else has answered, so that this carrier is the wrong one."""
