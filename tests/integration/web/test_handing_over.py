"""Connections that change their protocol on real sockets, on both event loops."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from support.tls_certificates import ThrowawayAuthority
from support.web_server import PATIENCE, Rate
from teleport.clock import SystemClock
from teleport.web.admissions import Admissions
from teleport.web.call import Call, Peer, Reply, RequestHead, Route, Upgrade
from teleport.web.limits import RateLimiter
from teleport.web.listener import TlsListener
from teleport.web.metrics import Metrics
from teleport.web.router import Router
from teleport.web.service import Service
from teleport.web.tls import ALPN, build_client_context, build_server_context

ECHO = "echo/1"
SWITCH = (
    b"GET /connect HTTP/1.1\r\nHost: door\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
BULK = bytes(range(256)) * 8192


class Echo(asyncio.Protocol):
    """Sends back what it receives."""

    def __init__(self, on_closed: Callable[[], None]) -> None:
        self._on_closed = on_closed
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._on_closed()


class Echoes:
    """A service that echoes."""

    def connect(self, peer: Peer, on_closed: Callable[[], None]) -> Echo:  # noqa: ARG002 - the real one's signature
        return Echo(on_closed)

    def upgrade(self, head: RequestHead, peer: Peer, on_closed: Callable[[], None]) -> Echo:  # noqa: ARG002 - the same
        return Echo(on_closed)

    async def shutdown(self, grace: timedelta) -> None: ...


@asynccontextmanager
async def run_door() -> AsyncIterator["Door"]:
    """Run a door with HTTP, an echo by ALPN, by Host and by upgrade."""
    echoes, clock, registry = Echoes(), SystemClock(), CollectorRegistry()

    async def answer(_: Call) -> Reply:
        return Reply(200, b"page")

    def find_host(host: str) -> Service | None:
        return echoes if host == "app.example.com" else None

    router = Router(
        routes=[Route("/page", "GET", answer, anonymous=True, max_body=0)],
        upgrades=[Upgrade("/connect", echoes.upgrade, anonymous=True)],
        limiter=RateLimiter(Rate(), clock),
        clock=clock,
        body_timeout=timedelta(seconds=30),
        hosts=find_host,
    )
    authority = ThrowawayAuthority.create()
    leaf = authority.issue()
    context = build_server_context(
        certificate_pem_chain=leaf.certificate_pem,
        private_key_pem=leaf.key_pem,
        client_ca_pems=(),
        protocols=[ALPN, ECHO],
        is_public=True,
    )
    admissions = Admissions(metrics=Metrics(registry), max_connections=100)
    listener = TlsListener(
        host="127.0.0.1",
        port=0,
        context=lambda: context,
        services={ALPN: router, None: router, ECHO: echoes},
        admissions=admissions,
        handshake_timeout=timedelta(seconds=30),
    )
    await listener.start()
    try:
        yield Door(authority, listener, admissions, registry)
    finally:
        await listener.stop(timedelta(seconds=0.1))


class Door:
    """A running door."""

    def __init__(
        self,
        authority: ThrowawayAuthority,
        listener: TlsListener,
        admissions: Admissions,
        registry: CollectorRegistry,
    ) -> None:
        self._authority = authority
        self._listener = listener
        self._admissions = admissions
        self._registry = registry

    def count_open(self) -> float:
        return self._registry.get_sample_value("teleport_connections") or 0.0

    async def wait_until_empty(self) -> None:
        """Wait until the listener counts no connection any more."""
        async with asyncio.timeout(PATIENCE):
            await self._admissions.wait_until_empty()

    @asynccontextmanager
    async def connect(self, *protocols: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        context = build_client_context(ca_pems=[self._authority.certificate_pem])
        if protocols:
            context.set_alpn_protocols(list(protocols))
        else:
            context = ssl.create_default_context(cadata=self._authority.certificate_pem)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._listener.port, ssl=context, server_hostname="localhost"
        )
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


async def expect_echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes = BULK) -> None:
    """Send much, and get the same back."""
    async with asyncio.timeout(PATIENCE):
        sending = asyncio.ensure_future(_send(writer, data))
        assert await reader.readexactly(len(data)) == data
        await sending


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


async def test_the_protocol_that_is_asked_for_runs_inside() -> None:
    async with run_door() as door, door.connect(ECHO) as (reader, writer):
        await expect_echo(reader, writer)


async def test_a_connection_is_handed_over_by_its_first_host() -> None:
    request = b"GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n"
    async with run_door() as door, door.connect(ALPN) as (reader, writer):
        await expect_echo(reader, writer, request)
        await expect_echo(reader, writer)


@pytest.mark.parametrize("protocols", [(ALPN,), ()])
async def test_an_upgrade_hands_over_with_what_came_along(protocols: tuple[str, ...]) -> None:
    async with run_door() as door, door.connect(*protocols) as (reader, writer):
        writer.write(b"GET /page HTTP/1.1\r\nHost: door\r\n\r\n" + SWITCH + BULK)
        async with asyncio.timeout(PATIENCE):
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(4) == b"page"
            assert b"101 Switching" in await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(len(BULK)) == BULK
        await expect_echo(reader, writer)


async def test_connections_that_were_handed_over_are_counted_until_they_are_gone() -> None:
    async with run_door() as door:
        async with door.connect(ALPN) as (reader, writer):
            writer.write(SWITCH)
            await reader.readuntil(b"\r\n\r\n")
            assert door.count_open() == 1
        await door.wait_until_empty()
