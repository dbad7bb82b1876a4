"""Connections that HTTP hands over: by the first request's Host, or by an upgrade."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta

import pytest

from support.clock import FakeClock
from support.fake_transport import FakeTransport
from teleport.web.call import Call, Peer, Reply, RequestHead, Route, Upgrade
from teleport.web.forwarded import resolve_peer
from teleport.web.limits import RateLimiter
from teleport.web.router import Router
from teleport.web.service import Service

GET = b"GET /page HTTP/1.1\r\nHost: proxy.example.com\r\n\r\n"
APP = b"GET /any?thing=1 HTTP/1.1\r\nHost: App.example.com:3080\r\nCookie: a=1\r\n\r\n"
SWITCH = (
    b"GET /connect HTTP/1.1\r\nHost: proxy.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class OneRate:
    """A rate for tests: so many requests, and never one more."""

    period = timedelta(hours=1)
    average = 1

    def __init__(self, burst: int) -> None:
        self.burst = burst


class Taker(asyncio.Protocol):
    """Whoever gets the connection; keeps what it receives."""

    def __init__(self, peer: Peer, on_closed: Callable[[], None]) -> None:
        self.peer = peer
        self.on_closed = on_closed
        self.transport: asyncio.BaseTransport | None = None
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.on_closed()


class Takers:
    """A service that takes connections."""

    def __init__(self) -> None:
        self.made: list[Taker] = []

    def connect(self, peer: Peer, on_closed: Callable[[], None]) -> Taker:
        self.made.append(Taker(peer, on_closed))
        return self.made[-1]

    async def shutdown(self, grace: timedelta) -> None: ...


class Door:
    """A router with a page, an application and a WebSocket, and one connection to it."""

    def __init__(self, *, rate: int = 1000, trusted: bool = False) -> None:
        self.takers = Takers()
        self.calls: list[Call] = []
        self.closed = 0
        self.router = Router(
            routes=[
                Route("/page", "GET", self._answer, anonymous=True, max_body=0, is_page=True),
                Route("/free", "GET", self._answer, anonymous=True, max_body=0, is_page=True, is_unlimited=True),
                Route("/long", "GET", self._answer_long, anonymous=True, max_body=0, is_page=True),
                Route("/short", "GET", self._answer_short, anonymous=True, max_body=0, is_page=True),
            ],
            upgrades=[
                Upgrade("/connect", self._upgrade, anonymous=True),
                Upgrade("/members", self._upgrade, anonymous=False),
            ],
            limiter=RateLimiter(OneRate(rate), FakeClock()),
            clock=FakeClock(),
            body_timeout=timedelta(seconds=10),
            hosts=self._find_host,
            peer_of=lambda head, peer: resolve_peer(head, peer, trusted=trusted),
        )
        self.transport = FakeTransport()
        self.transport.connect(self.router.connect(Peer("10.0.0.1"), self._count_closed))

    async def send(self, *chunks: bytes) -> bytes:
        """Send chunks to whoever has the connection; return what is new of the answers."""
        before = len(self.transport.written)
        for chunk in chunks:
            if not self.transport.is_closing():
                self.transport.protocol.data_received(chunk)
            for _ in range(10):
                await asyncio.sleep(0)
        return self.transport.written[before:]

    def _count_closed(self) -> None:
        self.closed += 1

    def _find_host(self, host: str) -> Service | None:
        return self.takers if host == "app.example.com" else None

    def _upgrade(self, head: RequestHead, peer: Peer, on_closed: Callable[[], None]) -> asyncio.Protocol:
        assert head.path in ("/connect", "/members")
        return self.takers.connect(peer, on_closed)

    async def _answer(self, call: Call) -> Reply:
        self.calls.append(call)
        return Reply(200, b"page", content_type="text/plain", cache_control="max-age=60")

    async def _answer_long(self, _: Call) -> Reply:
        return Reply(200, parts=_make_parts(b"abc", b"def"), length=6)

    async def _answer_short(self, _: Call) -> Reply:
        return Reply(200, parts=_make_parts(b"abc"), length=6)


async def _make_parts(*parts: bytes) -> AsyncGenerator[bytes, None]:
    for part in parts:
        yield part


@pytest.mark.parametrize("at", range(1, len(APP)))
async def test_a_connection_to_another_host_is_handed_over_whole_wherever_it_is_cut(at: int) -> None:
    door = Door()
    assert await door.send(APP[:at], APP[at:], b"more") == b""
    (taker,) = door.takers.made
    assert taker.received == APP + b"more"
    assert (taker.peer, taker.transport) == (Peer("10.0.0.1"), door.transport)
    assert door.transport.is_reading()
    door.transport.lose()
    assert door.closed == 1


async def test_what_was_sent_after_the_request_goes_along() -> None:
    door = Door()
    await door.send(APP + APP)
    assert door.takers.made[0].received == APP + APP


async def test_a_connection_that_stayed_answers_421_for_a_host_of_others_and_ends() -> None:
    door = Door()
    await door.send(GET)
    assert (await door.send(APP)).startswith(b"HTTP/1.1 421 ")
    assert not door.takers.made


async def test_hostile_47_a_pipelined_request_for_another_host_is_not_handed_over() -> None:
    door = Door()
    await door.send(GET + APP)
    assert door.transport.statuses == [200, 421]
    assert not door.takers.made


@pytest.mark.parametrize("at", [1, 40, len(SWITCH) - 1, len(SWITCH)])
async def test_an_upgrade_is_answered_and_the_connection_goes_with_what_was_left(at: int) -> None:
    door = Door()
    raw = SWITCH + b"\x82\x00"
    answer = await door.send(raw[:at], raw[at:])
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert door.takers.made[0].received == b"\x82\x00"
    door.transport.lose()
    assert door.closed == 1


async def test_an_upgrade_waits_for_the_answers_before_it() -> None:
    door = Door()
    answer = await door.send(GET + SWITCH + b"\x82\x00", b"\x82\x01")
    assert (answer.count(b"HTTP/1.1 200"), answer.index(b"HTTP/1.1 101") > answer.index(b"HTTP/1.1 200")) == (1, True)
    assert door.takers.made[0].received == b"\x82\x00\x82\x01"


async def test_a_plain_request_at_a_websockets_path_is_told_to_upgrade() -> None:
    assert (await Door().send(GET.replace(b"/page", b"/connect"))).startswith(b"HTTP/1.1 426 ")


async def test_an_upgrade_that_needs_a_certificate_is_refused_without_one() -> None:
    door = Door()
    assert (await door.send(SWITCH.replace(b"/connect", b"/members"))).startswith(b"HTTP/1.1 401 ")
    assert not door.takers.made


@pytest.mark.parametrize("target", [b"/page", b"/nowhere"])
async def test_an_upgrade_elsewhere_is_refused_and_the_connection_ends(target: bytes) -> None:
    door = Door()
    answer = await door.send(SWITCH.replace(b"/connect", target) + b"\x82\x00")
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 "))
    assert answer.count(b"HTTP/1.1 4") == 1
    assert not door.takers.made


async def test_upgrades_cost_what_requests_cost() -> None:
    door = Door(rate=1)
    await door.send(GET)
    assert (await door.send(SWITCH)).startswith(b"HTTP/1.1 429 ")


async def test_what_is_unlimited_is_answered_when_the_rate_is_spent() -> None:
    door = Door(rate=1)
    await door.send(GET, GET, GET.replace(b"/page", b"/free"))
    assert door.transport.statuses == [200, 429, 200]


async def test_hostile_51_forged_addresses_do_not_dodge_the_rate() -> None:
    door = Door(rate=1)
    for number in range(3):
        await door.send(GET.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 192.0.2.%d\r\n\r\n" % number))
    assert door.transport.statuses == [200, 429, 429]


async def test_hostile_51_behind_a_balancer_a_header_that_is_repeated_is_ignored() -> None:
    door = Door(rate=1, trusted=True)
    forged = b"\r\nX-Forwarded-For: 192.0.2.%d\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n"
    for number in range(3):
        await door.send(GET.replace(b"\r\n\r\n", forged % number))
    assert door.transport.statuses == [200, 429, 429]


async def test_behind_a_balancer_every_caller_has_a_rate_of_its_own() -> None:
    door = Door(rate=1, trusted=True)
    for number in (1, 2, 1):
        await door.send(GET.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 192.0.2.%d\r\n\r\n" % number))
    assert door.transport.statuses == [200, 200, 429]
    assert [call.peer.remote_addr for call in door.calls] == ["192.0.2.1", "192.0.2.2"]


async def test_a_head_request_gets_the_head_alone() -> None:
    answer = await Door().send(GET.replace(b"GET", b"HEAD"))
    assert answer.endswith(b"Content-Length: 4\r\n\r\n")
    assert b"Cache-Control: max-age=60\r\n" in answer


async def test_a_handler_sees_the_head() -> None:
    door = Door()
    await door.send(GET.replace(b"/page", b"/page?x=1").replace(b"\r\n\r\n", b"\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n"))
    assert (door.calls[0].head.query, door.calls[0].head.cookies) == ({"x": "1"}, {"a": "1", "b": "2"})


async def test_a_long_answer_leaves_in_parts_and_the_connection_stays() -> None:
    door = Door()
    await door.send(GET.replace(b"/page", b"/long"))
    assert b"Content-Length: 6\r\n\r\nabcdef" in door.transport.written
    assert await door.send(GET)


async def test_a_long_answer_waits_for_its_reader() -> None:
    door = Door()
    door.transport.stop_reading()
    await door.send(GET.replace(b"/page", b"/long"))
    assert b"def" not in door.transport.written
    door.transport.read_again()
    await door.send()
    for _ in range(10):
        await asyncio.sleep(0)
    assert door.transport.written.endswith(b"abcdef")


async def test_an_answer_that_is_shorter_than_announced_breaks_off() -> None:
    door = Door()
    await door.send(GET.replace(b"/page", b"/short"))
    assert door.transport.aborted


async def test_a_reader_who_leaves_a_long_answer_is_forgotten() -> None:
    door = Door()
    door.transport.stop_reading()
    await door.send(GET.replace(b"/page", b"/long"))
    door.transport.lose()
    for _ in range(10):
        await asyncio.sleep(0)
    assert door.closed == 1
