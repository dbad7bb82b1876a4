"""A port of this machine that leads to an application, as the user who is logged in.

Of HTTP applications each request goes to the proxy under the application's name. Of TCP applications each connection
becomes a WebSocket at the proxy, whose bytes are the application's.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import quote

from teleport.cli.profile import Profile
from teleport.cli.tsh.application import TCP, Application
from teleport.clock import Clock
from teleport.errors import AccessDenied, ConnectionFailed, TeleportError, TrustError, Unavailable
from teleport.resources.address import Address
from teleport.tunnel.relay import Relay
from teleport.tunnel.websocket import WebSocketClient
from teleport.web.call import Peer
from teleport.web.errors import MalformedRequest
from teleport.web.forwarding.connection import ForwardingConnection
from teleport.web.forwarding.destination import Destination, Upstream
from teleport.web.forwarding.head import RequestHead
from teleport.web.forwarding.limits import ForwardingLimits
from teleport.web.forwarding.plan import HeaderPlan
from teleport.web.tls import ALPN, build_web_client_context

LOOPBACK = "127.0.0.1"
CONNECT_TIMEOUT = timedelta(seconds=10)
TCP_IDLE = timedelta(hours=12)
CONNECT_PATH = "/v1/webapi/connect/app"

_OWN_NAMES = frozenset({b"localhost", LOOPBACK.encode()})
_LOGGER = logging.getLogger(__name__)


class LocalProxy:
    """The listening port and what happens on its connections.

    Args:
        application: where they lead.
        profile: the login as which they go, and its proxy.
        clock: the present; connections that come after the login's end are refused.
        is_insecure: the proxy's web certificate is not looked at.
    """

    def __init__(self, application: Application, profile: Profile, *, clock: Clock, is_insecure: bool) -> None:
        self._application = application
        self._profile = profile
        self._clock = clock
        self._context = build_web_client_context(
            (ALPN,),
            is_verified=not is_insecure,
            certificate_pem_chain=profile.identity.tls_certificate,
            private_key_pem=profile.identity.tls_key,
        )
        self._server: asyncio.Server | None = None
        self._destination: Destination | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int) -> Address:
        """Listen, and return where.

        Args:
            port: nought lets the system choose.

        Raises:
            Unavailable: the port cannot be had.
        """
        factory = self._accept_tcp if self._application.kind == TCP else self._accept_http
        try:
            self._server = await asyncio.get_running_loop().create_server(factory, LOOPBACK, port)
        except OSError as error:
            raise Unavailable(f"cannot listen on {LOOPBACK}:{port}: {error.strerror}") from error
        address = Address(LOOPBACK, self._server.sockets[0].getsockname()[1])
        self._destination = self._build_destination(address)
        return address

    async def serve(self) -> None:
        """Serve until cancelled."""
        if self._server is not None:
            await self._server.serve_forever()

    def close(self) -> None:
        """Take no more connections."""
        if self._server is not None:
            self._server.close()

    def _accept_http(self) -> asyncio.Protocol:
        return ForwardingConnection(
            self._choose, peer=Peer(LOOPBACK), limits=ForwardingLimits(), clock=self._clock, on_closed=lambda: None
        )

    def _choose(self, head: RequestHead, _: Peer) -> Destination:
        check_origin(head)
        self._profile.check_valid(self._clock.now())
        if self._destination is None:
            raise Unavailable("the port is not open yet")
        return self._destination

    def _build_destination(self, local: Address) -> Destination:
        names = {self._application.host, self._application.authority, f"{self._application.host}:443"}
        plan = HeaderPlan(
            host=self._application.authority.encode(),
            redirect_hosts=frozenset(name.encode() for name in names),
            public_origin=f"http://{local}".encode(),
        )
        return Destination((Upstream("proxy", self._dial),), plan)

    def _accept_tcp(self) -> asyncio.Protocol:
        relay = Relay(idle_timeout=TCP_IDLE)
        task = asyncio.get_running_loop().create_task(self._connect_tcp(relay))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return relay.left

    async def _connect_tcp(self, relay: Relay) -> None:
        try:
            self._profile.check_valid(self._clock.now())
            await self._open_tcp(relay)
            await relay.ended()
        except TeleportError as error:
            _LOGGER.warning("a connection is refused: %s", error.message)
        finally:
            relay.abort()

    async def _open_tcp(self, relay: Relay) -> None:
        path = f"{CONNECT_PATH}?app={quote(self._application.name)}"
        carrier = WebSocketClient(host=self._profile.proxy, path=path, protocol_factory=lambda: relay.right)
        await self._dial(lambda: carrier)
        await carrier.established()

    async def _dial(self, factory: Callable[[], asyncio.Protocol]) -> None:
        """Connect to the proxy with the user's certificate.

        Raises:
            TrustError: the proxy's web certificate is not trusted.
            ConnectionFailed: it cannot be reached.
        """
        proxy = self._profile.address
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT.total_seconds()):
                await loop.create_connection(factory, proxy.host, proxy.port, ssl=self._context)
        except ssl.SSLCertVerificationError as error:
            raise TrustError(f"the web certificate of {proxy} is not trusted: {error.verify_message}") from error
        except OSError as error:
            raise ConnectionFailed(f"cannot talk to proxy {proxy}: {error.strerror or error}") from error


def check_origin(head: RequestHead) -> None:
    """Refuse what a web page of somebody else's may have made the user's browser send.

    Raises:
        MalformedRequest: the host is not this port's own: a name that was turned to this machine (DNS rebinding).
        AccessDenied: the request says that another site's page has made it.
    """
    if head.host_name not in _OWN_NAMES:
        raise MalformedRequest("this port answers to localhost and 127.0.0.1 only", HTTPStatus.MISDIRECTED_REQUEST)
    if head.get(b"sec-fetch-site") == b"cross-site":
        raise AccessDenied("requests that pages of other sites make are refused here")
