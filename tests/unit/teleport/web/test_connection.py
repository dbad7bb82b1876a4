import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.chunks import PLACES, cut
from support.fake_transport import FakeTransport
from support.virtual_time import run_in_virtual_time
from teleport.errors import NotFound, TooLarge
from teleport.web.call import Call, Peer, Reply, RequestHead, Route
from teleport.web.connection import LINGER, WRITE_TIMEOUT, HttpConnection
from teleport.web.errors import MalformedRequest

IDLE = 120
BODY = 5
MAX_BODY = 16


class FakeService:
    """Answers with the body; requests to `/wait` wait for `go_on`."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.bodies: list[bytes] = []
        self._routes = {
            path: Route(path, "POST", self._echo, anonymous=True, max_body=MAX_BODY)
            for path in ("/echo", "/wait", "/break")
        }

    def now(self) -> int:
        return 0

    def admit(self, head: RequestHead, peer: Peer) -> Route:  # noqa: ARG002 - the real one's signature
        if head.target not in self._routes:
            raise NotFound("there is no such operation")
        if "transfer-encoding" in head.fields:
            raise MalformedRequest("a body must come with Content-Length")
        if head.content_length > MAX_BODY:
            raise TooLarge("the body is too long")
        return self._routes[head.target]

    async def answer(self, route: Route, call: Call) -> Reply:
        self.bodies.append(call.body)
        if route.path == "/wait":
            await self.go_on.wait()
        if route.path == "/break":
            raise ValueError(call.body)
        return await route.handler(call)

    async def _echo(self, call: Call) -> Reply:
        return Reply(200, call.body)


class Running:
    """One connection and both its sides."""

    def __init__(self) -> None:
        self.service = FakeService()
        self.transport = FakeTransport()
        self.closed = 0
        self.connection = HttpConnection(
            self.service,
            peer=Peer("192.0.2.7"),
            idle_timeout=timedelta(seconds=IDLE),
            body_timeout=timedelta(seconds=BODY),
            on_closed=self._count_closed,
        )
        self.transport.connect(self.connection)

    def _count_closed(self) -> None:
        self.closed += 1

    async def send(self, *chunks: bytes) -> None:
        """Send chunks, and let everybody act on each."""
        for chunk in chunks:
            self.connection.data_received(chunk)
            await let_act()

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await let_act()

    def is_open(self) -> bool:
        return not self.transport.is_closing()


async def let_act() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def write_request(path: str = "/echo", body: bytes = b"{}", *lines: str, length: int | None = None) -> bytes:
    head = [f"POST {path} HTTP/1.1", "Host: x", *lines, f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join([*head, "", ""]).encode() + body


def story(tell: Callable[[Running], Awaitable[None]]) -> Callable[[], None]:
    """Make a test of a story about one connection; its time is virtual."""

    async def run() -> None:
        await tell(Running())

    def test() -> None:
        run_in_virtual_time(run())

    test.__name__ = tell.__name__
    return test


@story
async def test_an_idle_connection_holds_nothing_of_the_last_request(running: Running) -> None:
    await running.send(write_request())
    assert running.transport.statuses == [200]
    assert running.connection._incoming is None
    assert running.connection._task is None


@story
async def test_requests_are_answered_one_after_another(running: Running) -> None:
    await running.send(write_request("/wait", b"[1]") + write_request("/echo", b"[2]"))
    assert running.service.bodies == [b"[1]"]
    running.service.go_on.set()
    await let_act()
    assert running.service.bodies == [b"[1]", b"[2]"]
    assert running.transport.statuses == [200, 200]


@story
async def test_what_comes_before_its_turn_stays_in_the_kernel(running: Running) -> None:
    await running.send(write_request("/wait"))
    assert running.transport.is_reading()
    await running.send(write_request())
    assert not running.transport.is_reading()
    running.service.go_on.set()
    await let_act()
    assert running.transport.is_reading()
    assert running.transport.statuses == [200, 200]


@story
async def test_an_idle_connection_is_closed_when_its_time_is_over(running: Running) -> None:
    await running.wait(IDLE - 1)
    await running.send(write_request())
    await running.wait(IDLE - 1)
    assert running.is_open()
    await running.wait(2)
    assert not running.is_open()


@story
async def test_hostile_46_a_head_that_drips_in_has_one_deadline(running: Running) -> None:
    for byte in b"POST /e":
        await running.send(bytes([byte]))
        await running.wait(IDLE / 6)
        if not running.is_open():
            break
    assert not running.is_open()
    assert running.transport.written == b""


@story
async def test_hostile_46_a_body_that_drips_in_has_one_deadline(running: Running) -> None:
    await running.send(write_request(body=b"", length=MAX_BODY))
    for _ in range(BODY):
        assert running.transport.written == b""
        await running.send(b"0")
        await running.wait(1)
    assert running.transport.statuses == [408]
    await running.send(b"0" * MAX_BODY)
    await running.wait(LINGER.total_seconds())
    assert not running.is_open()
    assert running.service.bodies == []


@story
async def test_a_body_that_comes_in_time_is_answered(running: Running) -> None:
    await running.send(write_request(body=b"", length=2))
    await running.wait(BODY - 1)
    await running.send(b"{}")
    assert running.transport.statuses == [200]
    await running.wait(IDLE - 1)
    assert running.is_open()


@story
async def test_a_body_behind_a_slow_answer_has_its_time_after_that(running: Running) -> None:
    await running.send(write_request("/wait") + write_request(body=b"", length=2))
    await running.wait(BODY * 2)
    running.service.go_on.set()
    await running.wait(BODY - 1)
    await running.send(b"{}")
    assert running.transport.statuses == [200, 200]


@story
async def test_the_body_of_a_refused_request_has_a_deadline_too(running: Running) -> None:
    await running.send(write_request("/unknown", b"", length=2))
    await running.wait(BODY)
    assert running.transport.statuses == [408]


@story
async def test_an_answer_that_takes_long_is_waited_for(running: Running) -> None:
    await running.send(write_request("/wait"))
    await running.wait(IDLE * 10)
    running.service.go_on.set()
    await let_act()
    assert running.transport.statuses == [200]
    assert running.is_open()


@story
async def test_a_refused_peer_is_heard_out_for_a_moment(running: Running) -> None:
    await running.send(b"\0", b"0" * 100_000)
    assert running.transport.statuses == [400]
    assert running.is_open()
    assert running.transport.is_reading()
    await running.wait(LINGER.total_seconds())
    assert not running.is_open()


@story
async def test_a_refusal_behind_a_slow_answer_is_heard_out_as_well(running: Running) -> None:
    await running.send(write_request("/wait") + b"\0", b"0" * 100_000)
    running.service.go_on.set()
    await let_act()
    assert running.transport.statuses == [200, 400]
    assert running.transport.is_reading()
    await running.wait(LINGER.total_seconds())
    assert not running.is_open()


@story
async def test_the_last_request_closes_the_connection_at_once(running: Running) -> None:
    await running.send(write_request("/echo", b"{}", "Connection: close") + write_request())
    assert running.transport.statuses == [200]
    assert not running.is_open()


@story
async def test_hostile_47_what_comes_after_the_close_reaches_no_handler(running: Running) -> None:
    await running.send(write_request("/echo", b"{}", "Connection: close"), write_request())
    assert running.service.bodies == [b"{}"]


@story
async def test_a_peer_that_waits_for_word_gets_it_in_its_turn(running: Running) -> None:
    expecting = write_request("/echo", b"", "Expect: 100-continue", length=2)
    await running.send(write_request("/wait") + expecting)
    assert running.transport.written == b""
    running.service.go_on.set()
    await let_act()
    assert running.transport.statuses == [200, 100]
    await running.send(b"{", b"}")
    assert running.transport.statuses == [200, 100, 200]


@story
async def test_a_handler_that_breaks_answers_and_the_connection_lives(running: Running) -> None:
    await running.send(write_request("/break"), write_request())
    assert running.transport.statuses == [500, 200]


@story
async def test_a_peer_that_does_not_read_sends_nothing_more(running: Running) -> None:
    running.transport.stop_reading()
    await running.send(write_request())
    await running.send(write_request())
    assert not running.transport.is_reading()
    assert len(running.service.bodies) == 1
    running.transport.read_again()
    await let_act()
    assert running.transport.statuses == [200, 200]
    assert running.transport.is_reading()


@story
async def test_a_peer_that_does_not_read_is_cut_whatever_it_sends(running: Running) -> None:
    running.transport.stop_reading()
    await running.send(write_request(), write_request(body=b"", length=MAX_BODY))
    for _ in range(round(WRITE_TIMEOUT.total_seconds())):
        assert not running.transport.aborted
        await running.send(b"0")
        await running.wait(1)
    assert running.transport.aborted


@story
async def test_a_peer_that_reads_again_is_as_welcome_as_before(running: Running) -> None:
    running.transport.stop_reading()
    await running.send(write_request())
    await running.wait(WRITE_TIMEOUT.total_seconds() - 1)
    running.transport.read_again()
    await running.wait(IDLE - 1)
    assert running.is_open()
    await running.wait(1)
    assert not running.is_open()


@story
async def test_a_close_that_the_peer_does_not_take_part_in_is_a_cut(running: Running) -> None:
    await running.send(write_request("/echo", b"{}", "Connection: close"))
    assert not running.transport.aborted
    await running.wait(WRITE_TIMEOUT.total_seconds())
    assert running.transport.aborted


@story
async def test_an_answer_for_a_peer_that_left_is_thrown_away(running: Running) -> None:
    await running.send(write_request("/wait") + write_request())
    running.transport.lose()
    running.service.go_on.set()
    await let_act()
    assert running.transport.written == b""
    assert len(running.service.bodies) == 1
    assert running.closed == 1


@story
async def test_an_idle_connection_finishes_at_once(running: Running) -> None:
    running.connection.finish()
    assert not running.is_open()


@story
async def test_a_busy_connection_finishes_after_its_answer(running: Running) -> None:
    await running.send(write_request("/wait") + write_request())
    running.connection.finish()
    assert running.is_open()
    running.service.go_on.set()
    await running.connection.wait_until_answered()
    assert running.transport.statuses == [200]
    assert b"Connection: close\r\n" in running.transport.written
    assert not running.is_open()
    assert len(running.service.bodies) == 1


@story
async def test_nothing_of_a_request_is_logged(running: Running) -> None:
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("teleport.web.connection._LOGGER", Collector(lines))
        await running.send(write_request("/the-secret"), write_request("/echo", b'"the-secret"'), b"the-secret")
    assert lines == ["a refused request 404 192.0.2.7", "POST /echo 200 192.0.2.7", "a refused request 400 192.0.2.7"]


class Collector:
    """A logger that keeps its lines."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def isEnabledFor(self, level: int) -> bool:  # noqa: ARG002, N802 - the name and signature of logging
        return True

    def debug(self, template: str, *values: object) -> None:
        self._lines.append(template % values)


REQUESTS = [
    write_request(),
    write_request("/wait", b"[]"),
    write_request("/break"),
    write_request("/unknown"),
    write_request("/echo", b"0" * (MAX_BODY + 1)),
    write_request("/echo", b"{}", "Connection: close"),
    write_request("/echo", b"{}", "Connection: Upgrade", "Upgrade: h2c"),
    write_request("/echo", b"", "Expect: 100-continue", length=2),
    write_request("/echo", b"2\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
    b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /echo HTTP/1.0\r\n\r\n",
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A request with some bytes taken out and others put in."""
    raw = draw(st.sampled_from(REQUESTS))
    at = draw(st.integers(0, len(raw)))
    return raw[:at] + draw(st.binary(max_size=12)) + raw[at + draw(st.integers(0, 12)) :]


STREAMS = st.lists(st.sampled_from(REQUESTS) | mutated() | st.binary(max_size=40), max_size=6).map(b"".join)
ANSWER = re.compile(
    rb"HTTP/1\.1 (100) Continue\r\n\r\n|"
    rb"HTTP/1\.1 (\d{3}) [A-Za-z ]+\r\n(?:[A-Za-z-]+: [^\r\n]*\r\n)*?(Connection: close\r\n)?"
    rb"(?:[A-Za-z-]+: [^\r\n]*\r\n)*?Content-Length: (\d+)\r\n\r\n"
)


def parse_answers(written: bytes) -> list[tuple[int, bool]]:
    """Return the status of each answer, and whether it says that it is the last; anything else fails."""
    answers = []
    at = 0
    while at < len(written):
        found = ANSWER.match(written, at)
        assert found is not None, written[at:]
        at = found.end()
        if found[1] is None:
            at += int(found[4])
            answers.append((int(found[2]), found[3] is not None))
    assert at == len(written)
    return answers


async def attack(chunks: list[bytes], *, reads: bool) -> None:
    """Send what may be anything, and hold the connection to what it promises."""
    running = Running()
    if not reads:
        running.transport.stop_reading()
    for chunk in chunks:
        await running.send(chunk)
    running.service.go_on.set()
    await let_act()
    if not reads:
        running.transport.read_again()
    await running.wait(WRITE_TIMEOUT.total_seconds())

    answers = parse_answers(running.transport.written)
    assert not any(last for _, last in answers[:-1]), "an answer came after the last one"
    assert len(running.service.bodies) <= len(answers), "a handler ran whose answer nobody got"
    assert all(len(body) <= MAX_BODY for body in running.service.bodies)
    if answers and answers[-1][1]:
        assert not running.is_open()
        seen = len(running.service.bodies)
        await running.send(write_request())
        assert len(running.service.bodies) == seen
    else:
        await running.wait(IDLE)
        assert not running.is_open()
    running.transport.lose()
    assert running.closed == 1


@given(STREAMS, PLACES, st.booleans())
def test_hostile_47_whatever_comes_gets_sound_answers_or_a_close(raw: bytes, places: list[int], reads: bool) -> None:
    run_in_virtual_time(attack(cut(raw, places), reads=reads))
