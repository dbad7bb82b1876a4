"""Making a connection to auth through a proxy: TLS to the proxy, and inside it TLS to auth that the proxy cannot read.

The client offers two protocols at once. A proxy chooses the one that leads straight to auth; whatever else ends TLS in
front of it, as a load balancer, chooses HTTP, and is asked for a WebSocket that leads there.
"""

import asyncio
import ssl
from collections.abc import Callable

from teleport.api.channel import CONNECT_TIMEOUT, describe_cause
from teleport.api.forwarding import AUTH_ALPN, CONNECT_AUTH_PATH
from teleport.api.trust import SERVER_NAME, ServerTrust
from teleport.api.way import ThroughProxy
from teleport.errors import ConnectionFailed, TrustError
from teleport.tunnel.inner_tls import InnerTls
from teleport.web.tls import ALPN, build_web_client_context

_NO_WAY = "it lets nobody through to auth at present: it may not reach auth itself, or may have had too much from here"


async def dial_auth(way: ThroughProxy, trust: ServerTrust, protocol_factory: Callable[[], asyncio.Protocol]) -> None:
    """Connect, and put a protocol on the connection; its first byte is sent to an auth server that is trusted.

    Args:
        way: where proxies are.
        trust: how auth is recognised.
        protocol_factory: makes the protocol that talks to auth.

    Raises:
        TrustError: the proxy, or the server behind it, is not the one that is meant.
        ConnectionFailed: one of them cannot be reached, or breaks off.
    """
    outer = await _reach_proxy(way)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT.total_seconds()):
            inner = await _reach_auth(way, outer, trust, protocol_factory)
        trust.check(inner)
    except OSError as error:
        outer.abort()
        why = "no answer in time" if isinstance(error, TimeoutError) else describe_cause(error)
        raise ConnectionFailed(f"cannot talk to auth through proxy {way}: {why}") from error
    except BaseException:
        outer.abort()
        raise


async def _reach_proxy(way: ThroughProxy) -> asyncio.Transport:
    """Connect to the proxy, or to what stands before it.

    Raises:
        TrustError: its web certificate is not trusted here.
        ConnectionFailed: it cannot be reached.
    """
    context = build_web_client_context((AUTH_ALPN, ALPN), is_verified=not way.is_insecure)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT.total_seconds()):
            transport, _ = await loop.create_connection(asyncio.Protocol, way.proxy.host, way.proxy.port, ssl=context)
    except ssl.SSLCertVerificationError as error:
        raise TrustError(
            f"the web certificate of proxy {way} is not trusted: {error.verify_message}. It must be for that name, and "
            "from an authority that this system knows, or that SSL_CERT_FILE names"
        ) from error
    except TimeoutError as error:
        raise ConnectionFailed(f"cannot talk to proxy {way}: no answer in time") from error
    except OSError as error:
        raise ConnectionFailed(f"cannot talk to proxy {way}: {describe_cause(error)}") from error
    return transport


async def _reach_auth(
    way: ThroughProxy, outer: asyncio.Transport, trust: ServerTrust, protocol_factory: Callable[[], asyncio.Protocol]
) -> asyncio.Transport:
    inner = InnerTls(
        context=trust.build_context(),
        server_side=False,
        server_hostname=SERVER_NAME,
        protocol_factory=protocol_factory,
        handshake_timeout=CONNECT_TIMEOUT,
    )
    if outer.get_extra_info("ssl_object").selected_alpn_protocol() == AUTH_ALPN:
        _put(inner, outer)
    else:
        from teleport.tunnel.websocket import WebSocketClient  # noqa: PLC0415 - few agents carry it in memory

        carrier = WebSocketClient(host=str(way), path=f"/v1{CONNECT_AUTH_PATH}", protocol_factory=lambda: inner)
        _put(carrier, outer)
        await carrier.established()
    try:
        return await inner.established()
    except TrustError as error:
        raise TrustError(f"the auth server behind proxy {way} is not the one that is meant: {error.message}") from error
    except ConnectionFailed as error:
        raise ConnectionFailed(f"cannot talk to auth through proxy {way}: {_NO_WAY} ({error.message})") from error


def _put(protocol: asyncio.Protocol, transport: asyncio.Transport) -> None:
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
