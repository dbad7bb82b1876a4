"""Forwarding over real sockets and TLS."""

import asyncio
import socket
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from support.tls_certificates import ThrowawayAuthority
from support.web_server import build_context
from teleport.clock import SystemClock
from teleport.web.call import Peer
from teleport.web.forwarding.connection import ForwardingConnection
from teleport.web.forwarding.destination import Destination, Upstream
from teleport.web.forwarding.limits import ForwardingLimits
from teleport.web.forwarding.plan import Forwarded, HeaderPlan
from teleport.web.forwarding.targets import Target, parse_target
from teleport.web.tls import build_client_context

PATIENCE = 30
"""Seconds after which a test gives up."""
STUCK = 1
"""Seconds after which a writer that cannot go on is taken to be held back."""
MEBIBYTE = 1024 * 1024
BIG = 192 * MEBIBYTE
FLAT = 24 * MEBIBYTE
"""What a body may take on its way: the buffers of two sockets on each hop, in this one process."""

App = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serve(app: App, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Run an application; yield its port."""
    running: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await app(reader, writer)
        writer.close()
        with suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()

    def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(asyncio.ensure_future(handle(reader, writer)))

    server = await asyncio.start_server(connect, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running)


@asynccontextmanager
async def forward(
    target: Target, plan: HeaderPlan | None = None, context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Run a forwarding proxy in front of a target; yield its port."""
    destination = Destination((Upstream("app", target.open),), plan or HeaderPlan())
    connections: list[ForwardingConnection] = []
    closed: list[asyncio.Event] = []

    def accept() -> ForwardingConnection:
        gone = asyncio.Event()
        connection = ForwardingConnection(
            lambda *_: destination,
            peer=Peer("192.0.2.7"),
            limits=ForwardingLimits(),
            clock=SystemClock(),
            on_closed=gone.set,
        )
        connections.append(connection)
        closed.append(gone)
        return connection

    server = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for connection in connections:
            connection.abort()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(gone.wait() for gone in closed))


@asynccontextmanager
async def chain(app: App) -> AsyncIterator[tuple[int, ssl.SSLContext]]:
    """Run an application behind two proxies, the first of which speaks TLS; yield its port and what it proves."""
    authority = ThrowawayAuthority.create()
    plan = HeaderPlan(forwarded=Forwarded("192.0.2.7"), hidden_cookies=frozenset({b"__Host-session"}))
    async with (
        serve(app) as port,
        forward(parse_target(f"http://localhost:{port}"), HeaderPlan(host=b"app.internal")) as agent,
        forward(parse_target(f"http://127.0.0.1:{agent}"), plan, build_context(authority, [authority])) as proxy,
    ):
        yield proxy, build_client_context(ca_pems=[authority.certificate_pem])


async def read_request(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def answer_what_was_asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request with its head."""
    while True:
        head = await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(head), head))


async def count_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a body with its length."""
    head = await read_request(reader)
    left = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    total = 0
    while total < left:
        total += len(await reader.read(MEBIBYTE))
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%d" % total)
    await writer.drain()


async def echo_frames(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Change the protocol, and say back what is said in it until its end, and then goodbye."""
    await read_request(reader)
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    while data := await reader.read(65536):
        writer.write(data)
    writer.write(b"bye")
    await writer.drain()


async def test_a_request_goes_through_two_proxies() -> None:
    async with chain(answer_what_was_asked) as (port, context):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
        for _ in range(3):
            writer.write(
                b"GET /%2e%2e/ HTTP/1.1\r\nHost: app.example.com\r\nX-Forwarded-For: 10.0.0.1\r\n"
                b"Cookie: a=1; __Host-session=s3cret\r\n\r\n"
            )
            await reader.readuntil(b"\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"GET /%2e%2e/ HTTP/1.1\r\nHost: app.internal\r\n")
            assert b"\r\nX-Forwarded-For: 192.0.2.7\r\n" in head
            assert b"\r\nX-Forwarded-Host: app.example.com\r\n" in head
            assert b"\r\nCookie: a=1\r\n" in head
            assert b"10.0.0.1" not in head
            assert b"s3cret" not in head
        writer.transport.abort()


async def test_hostile_68_a_big_upload_takes_no_memory() -> None:
    async with chain(count_bytes) as (port, context):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % BIG)
        piece = bytes(MEBIBYTE)
        tracemalloc.start()
        try:
            for _ in range(BIG // MEBIBYTE):
                writer.write(piece)
                await writer.drain()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        await reader.readuntil(b"\r\n\r\n")
        assert (await reader.readline()).strip() == b"%x" % len(str(BIG))
        assert (await reader.readline()).strip() == str(BIG).encode()
        assert peak < FLAT
        writer.transport.abort()


async def test_hostile_68_a_client_that_reads_nothing_stops_the_application() -> None:
    sent, blocked = 0, asyncio.Event()

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
        piece = bytes(MEBIBYTE // 4)
        while sent < BIG:
            writer.write(piece)
            sent += len(piece)
            try:
                async with asyncio.timeout(STUCK):
                    await writer.drain()
            except TimeoutError:
                blocked.set()
                return

    async with chain(flood) as (port, context):
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="localhost", limit=1024
        )
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            await blocked.wait()
        assert sent < BIG // 2
        writer.transport.abort()


@pytest.mark.parametrize("half_close", [True, False])
async def test_an_upgraded_connection_carries_bytes_both_ways(half_close: bool) -> None:
    async with serve(echo_frames) as app, forward(parse_target(f"http://127.0.0.1:{app}")) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        assert await reader.readexactly(5) == b"early"
        data = bytes(range(256)) * 4096
        writer.write(data)
        assert await reader.readexactly(len(data)) == data
        if half_close:
            writer.write_eof()
            assert await reader.read() == b"bye"
        writer.close()


async def test_a_client_that_ends_its_sending_gets_its_answer() -> None:
    async with serve(answer_what_was_asked) as app, forward(parse_target(f"http://127.0.0.1:{app}")) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        writer.write_eof()
        assert b"GET / HTTP/1.1" in await reader.read()
        writer.close()


@pytest.mark.parametrize(("insecure", "status"), [(True, b"200"), (False, b"502")])
async def test_an_application_whose_certificate_nobody_vouches_for_is_reached_only_if_told_so(
    insecure: bool, status: bytes
) -> None:
    authority = ThrowawayAuthority.create()
    context = build_context(authority, [])
    async with serve(answer_what_was_asked, context) as app:
        target = parse_target(f"https://localhost:{app}", insecure_skip_verify=insecure)
        async with forward(target) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await reader.readline()).split()[1] == status
            writer.transport.abort()


async def test_hostile_68_an_application_that_is_down_is_a_502() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        async with forward(parse_target(f"http://127.0.0.1:{probe.getsockname()[1]}")) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await reader.readline()).split()[1] == b"502"
            writer.transport.abort()
