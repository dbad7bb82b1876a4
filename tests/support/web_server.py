"""A real TLS listener and router on localhost, with raw clients that may misbehave."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

from prometheus_client import CollectorRegistry

from support.tls_certificates import Leaf, ThrowawayAuthority
from teleport.clock import SystemClock
from teleport.errors import JoinRefused
from teleport.web.admissions import Admissions
from teleport.web.call import Call, Reply, Route
from teleport.web.limits import RateLimiter
from teleport.web.listener import TlsListener
from teleport.web.metrics import Metrics
from teleport.web.router import Router
from teleport.web.tls import ALPN, build_client_context, build_server_context

PATIENCE = 5.0
"""Seconds after which a test gives up waiting; nothing that works comes near it."""
SHORT = timedelta(milliseconds=200)
LONG = timedelta(seconds=30)
MAX_BODY = 256 * 1024
HUGE_REPLY = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate for tests."""

    period: timedelta = timedelta(hours=1)
    average: int = 1
    burst: int = 1_000_000


class Operations:
    """What the server under test can do; `gate` lets requests to `/v1/wait` go on."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.waiting = asyncio.Event()
        self.calls: list[Call] = []

    def list_routes(self) -> list[Route]:
        return [
            Route("/v1/echo", "POST", self._echo, anonymous=True, max_body=MAX_BODY),
            Route("/v1/free", "POST", self._free, anonymous=True, max_body=MAX_BODY),
            Route("/v1/members", "POST", self._echo, anonymous=False, max_body=MAX_BODY),
            Route("/v1/read", "GET", self._echo, anonymous=True, max_body=0),
            Route("/v1/refuse", "POST", self._refuse, anonymous=True, max_body=MAX_BODY),
            Route("/v1/break", "POST", self._break, anonymous=True, max_body=MAX_BODY),
            Route("/v1/wait", "POST", self._wait, anonymous=True, max_body=MAX_BODY),
            Route("/v1/huge", "POST", self._huge, anonymous=True, max_body=MAX_BODY),
        ]

    async def _echo(self, call: Call) -> Reply:
        self.calls.append(call)
        return Reply(200, call.body)

    async def _free(self, call: Call) -> Reply:
        return Reply(200, call.body, free_of_charge=True)

    async def _refuse(self, call: Call) -> Reply:
        raise JoinRefused("token_expired", f"refused {call.peer.remote_addr}")

    async def _break(self, call: Call) -> Reply:
        raise ValueError(call.body)

    async def _wait(self, call: Call) -> Reply:
        self.waiting.set()
        await self.gate.wait()
        return Reply(200, call.body)

    async def _huge(self, call: Call) -> Reply:
        return Reply(200, b"0" * (HUGE_REPLY + len(call.body)))


@dataclass(slots=True)
class WebServer:
    """A running server; `context` may be replaced at any time."""

    authority: ThrowawayAuthority
    context: ssl.SSLContext
    operations: Operations
    registry: CollectorRegistry
    listener: TlsListener
    admissions: Admissions

    def count(self, sample: str, **labels: str) -> float:
        """Return the present value of a metric."""
        return self.registry.get_sample_value(sample, labels) or 0.0

    @asynccontextmanager
    async def connect(self, leaf: Leaf | None = None, *, name: str = "localhost") -> AsyncIterator["RawClient"]:
        """Connect as HTTP clients do."""
        context = build_client_context(
            ca_pems=[self.authority.certificate_pem],
            certificate_pem_chain=leaf.certificate_pem if leaf else None,
            private_key_pem=leaf.key_pem if leaf else None,
        )
        async with self.connect_with(context, name=name) as client:
            yield client

    @asynccontextmanager
    async def connect_with(self, context: ssl.SSLContext, *, name: str = "localhost") -> AsyncIterator["RawClient"]:
        """Connect with a context that may be a bad one."""
        streams = await asyncio.open_connection("127.0.0.1", self.listener.port, ssl=context, server_hostname=name)
        client = RawClient(*streams)
        try:
            yield client
        finally:
            client.abort()


@dataclass(frozen=True, slots=True)
class Answer:
    """A parsed response."""

    status: int
    headers: dict[str, str]
    body: bytes


class RawClient:
    """Sends bytes as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        async with asyncio.timeout(PATIENCE):
            await self.writer.drain()

    async def receive(self) -> Answer:
        """Read one response."""
        async with asyncio.timeout(PATIENCE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status_line, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await self.reader.readexactly(int(headers["content-length"]))
        return Answer(int(status_line.split()[1]), headers, body)

    async def post(self, path: str, body: bytes = b"{}", *headers: str) -> Answer:
        """Send one sound request and read its response."""
        await self.send(build_post(path, body, *headers))
        return await self.receive()

    async def wait_closed(self) -> bytes:
        """Return what still comes before the server closes the connection."""
        rest = b""
        async with asyncio.timeout(PATIENCE):
            with suppress(OSError):
                while chunk := await self.reader.read(65536):
                    rest += chunk
        return rest

    def abort(self) -> None:
        self.writer.transport.abort()


def build_post(path: str, body: bytes = b"{}", *headers: str) -> bytes:
    """Write a request; headers that are given come first."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", *headers]
    if not any(line.lower().startswith("content-type:") for line in headers):
        lines.append("Content-Type: application/json")
    if not any(line.lower().startswith(("content-length:", "transfer-encoding:")) for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def build_context(authority: ThrowawayAuthority, client_authorities: Sequence[ThrowawayAuthority]) -> ssl.SSLContext:
    """Build a context whose certificate comes from one authority, and that trusts clients of others."""
    leaf = authority.issue()
    return build_server_context(
        certificate_pem_chain=leaf.certificate_pem,
        private_key_pem=leaf.key_pem,
        client_ca_pems=[trusted.certificate_pem for trusted in client_authorities],
    )


@asynccontextmanager
async def run_web_server(
    *,
    rate: Rate = Rate(),
    max_connections: int = 1000,
    handshake_timeout: timedelta = LONG,
    body_timeout: timedelta = LONG,
    anonymous_idle: timedelta = LONG,
    authenticated_idle: timedelta = LONG,
    is_welcome: Callable[[str], bool] = lambda _: True,
) -> AsyncIterator[WebServer]:
    """Run a server; every deadline that a test is not about is long."""
    authority = ThrowawayAuthority.create()
    operations, registry, clock = Operations(), CollectorRegistry(), SystemClock()
    router = Router(
        routes=operations.list_routes(),
        limiter=RateLimiter(rate, clock),
        clock=clock,
        body_timeout=body_timeout,
        anonymous_idle=anonymous_idle,
        authenticated_idle=authenticated_idle,
    )
    admissions = Admissions(metrics=Metrics(registry), max_connections=max_connections, is_welcome=is_welcome)
    listener = TlsListener(
        host="127.0.0.1",
        port=0,
        context=lambda: server.context,
        services={ALPN: router},
        admissions=admissions,
        handshake_timeout=handshake_timeout,
    )
    server = WebServer(authority, build_context(authority, [authority]), operations, registry, listener, admissions)
    await listener.start()
    try:
        yield server
    finally:
        await listener.stop(timedelta(seconds=0.1))
