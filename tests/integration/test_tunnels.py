"""Tunnels over real sockets, on both event loops that the product runs on."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from support.tls_certificates import ThrowawayAuthority
from support.tunnels import Heard
from teleport.tunnel.inner_tls import InnerTls
from teleport.tunnel.preface import PrefaceProtocol, render_preface
from teleport.tunnel.session import Session
from teleport.tunnel.websocket import WebSocketClient, WebSocketServer
from teleport.web.tls import build_client_context, build_server_context

SIZE = 3_000_000


class Waiting(Heard):
    """Says when it is over."""

    def __init__(self) -> None:
        super().__init__()
        self.over = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.over.set()


async def carry(*, in_websocket: bool) -> None:
    """Let the accepting side open a stream that echoes, through TLS or through TLS in a WebSocket in TLS."""
    authority = ThrowawayAuthority.create()
    leaf = authority.issue()
    authorities, chain, key = [authority.certificate_pem], leaf.certificate_pem, leaf.key_pem
    server_context = build_server_context(certificate_pem_chain=chain, private_key_pem=key, client_ca_pems=authorities)
    client_context = build_client_context(ca_pems=authorities, certificate_pem_chain=chain, private_key_pem=key)
    loop = asyncio.get_running_loop()
    proxy = Session(is_dialer=False)
    agent = Session(is_dialer=True, accept=lambda _: PrefaceProtocol(lambda _document, _stream: Heard(echoes=True)))
    far = InnerTls(context=server_context, server_side=True, protocol_factory=lambda: proxy)
    near = InnerTls(
        context=client_context, server_side=False, server_hostname="localhost", protocol_factory=lambda: agent
    )
    outer: list[asyncio.Protocol] = [proxy, agent]
    if in_websocket:
        outer = [
            WebSocketServer(protocol_factory=lambda: far),
            WebSocketClient(host="localhost", path="/tunnel", protocol_factory=lambda: near),
        ]
    server = await loop.create_server(lambda: outer[0], "127.0.0.1", 0, ssl=server_context)
    port = server.sockets[0].getsockname()[1]
    await loop.create_connection(lambda: outer[1], "127.0.0.1", port, ssl=client_context, server_hostname="localhost")
    if in_websocket:
        await asyncio.gather(far.established(), near.established())
    async with asyncio.timeout(10):
        while not proxy.is_usable:  # noqa: ASYNC110 - a session does not tell that its connection is there
            await asyncio.sleep(0.001)
    heard = Waiting()
    stream = await proxy.open(render_preface({"to": "app"}), lambda: heard)
    stream.write(bytes(SIZE))
    stream.write_eof()
    await heard.over.wait()
    assert heard.data == bytes(SIZE)
    assert heard.error is None
    assert stream.get_extra_info("peercert")["subject"]
    agent.close()
    await asyncio.gather(proxy.closed(), agent.closed())
    assert proxy.error is agent.error is None
    server.close()
    await asyncio.sleep(0.05)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("in_websocket", [False, True], ids=["tls", "websocket"])
def test_a_tunnel_carries_megabytes_both_ways(
    run: Callable[[Coroutine[Any, Any, None]], None], *, in_websocket: bool
) -> None:
    run(carry(in_websocket=in_websocket))
