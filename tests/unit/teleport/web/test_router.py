import asyncio
from dataclasses import dataclass
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from support.clock import FakeClock
from support.fake_transport import FakeTransport
from teleport.web.call import Call, Peer, Reply, Route
from teleport.web.limits import RateLimiter
from teleport.web.router import Router

SOUND = b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@dataclass(frozen=True)
class SomeRate:
    period: timedelta = timedelta(seconds=1)
    average: int = 1000
    burst: int = 1000


async def feed(*chunks: bytes) -> tuple[bytes, list[bytes], int]:
    """Run one connection over the chunks; return what was written, the bodies seen, and how often it was closed."""
    bodies: list[bytes] = []
    closed = 0

    async def echo(call: Call) -> Reply:
        bodies.append(call.body)
        return Reply(200, call.body)

    def count_closed() -> None:
        nonlocal closed
        closed += 1

    clock = FakeClock()
    router = Router(
        routes=[Route("/v1/echo", "POST", echo, anonymous=True, max_body=16)],
        limiter=RateLimiter(SomeRate(), clock),
        clock=clock,
        body_timeout=timedelta(seconds=10),
    )
    transport = FakeTransport()
    connection = router.connect(Peer("192.0.2.7"), count_closed)
    transport.connect(connection)
    for chunk in chunks:
        if not transport.is_closing():
            connection.data_received(chunk)
        for _ in range(5):
            await asyncio.sleep(0)
    transport.lose()
    await asyncio.sleep(0)
    return transport.written, bodies, closed


async def test_a_request_is_answered_in_one_write_however_it_is_cut() -> None:
    written, bodies, closed = await feed(*(SOUND[at : at + 1] for at in range(len(SOUND))))
    assert written.startswith(b"HTTP/1.1 200 OK\r\n")
    assert (bodies, closed) == ([b"{}"], 1)


@given(st.integers(min_value=0, max_value=len(SOUND) - 1), st.binary(max_size=40), st.integers(0, 20))
def test_mutilated_requests_get_an_answer_or_none_and_break_nothing(at: int, put: bytes, skip: int) -> None:
    raw = SOUND[:at] + put + SOUND[at + skip :]
    written, bodies, closed = asyncio.run(feed(raw))
    assert written == b"" or written.startswith(b"HTTP/1.1 ")
    assert b" 500 " not in written
    assert all(len(body) <= 16 for body in bodies)
    assert closed == 1


@given(st.lists(st.binary(max_size=64), max_size=8))
def test_noise_reaches_no_handler(chunks: list[bytes]) -> None:
    _, bodies, closed = asyncio.run(feed(*chunks))
    assert (bodies, closed) == ([], 1)
