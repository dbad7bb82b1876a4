import asyncio
from collections.abc import Coroutine
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.chunks import PLACES, cut
from support.forwarding_stage import OK, PEER, Stage, get, post, settle, split_head
from support.virtual_time import run_in_virtual_time
from teleport.errors import AccessDenied, ConnectionFailed, TrustError
from teleport.web.call import Peer, Reply
from teleport.web.forwarding.connection import LINGER
from teleport.web.forwarding.destination import Destination
from teleport.web.forwarding.head import RequestHead
from teleport.web.forwarding.kept import MAX_KEPT
from teleport.web.forwarding.limits import ForwardingLimits
from teleport.web.forwarding.plan import HeaderPlan
from teleport.web.forwarding.upstream import MAX_INTERIM

LIMITS = ForwardingLimits()
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
WEBSOCKET = get("/ws", "Upgrade: websocket", "Connection: Upgrade")
FORWARDED = b"GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked"


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


async def test_a_request_and_its_answer_are_passed() -> None:
    stage = Stage()
    await stage.ask(get("/%2e%2e/?a=b", "X-A: 1"))
    assert stage.app.written == b"GET /%2e%2e/?a=b HTTP/1.1\r\nHost: app.example.com\r\nX-A: 1\r\n\r\n"
    await stage.answer(b"HTTP/1.1 418 I'm a teapot\r\nServer: x\r\nDate: y\r\nContent-Length: 3\r\n\r\nabc")
    expected = b"HTTP/1.1 418 I'm a teapot\r\nServer: x\r\nDate: y\r\nContent-Length: 3\r\n\r\nabc"
    assert stage.client.written == expected
    assert not stage.client.gone


async def test_a_connection_to_the_application_is_used_again() -> None:
    stage = Stage()
    for _ in range(3):
        await stage.ask(get())
        await stage.answer(OK)
        assert stage.take_answer() == OK
    assert len(stage.apps) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        OK + b"more",
    ],
)
async def test_a_connection_of_which_an_application_wants_no_more_is_not_used_again(answer: bytes) -> None:
    stage = Stage()
    for _ in range(2):
        await stage.ask(get())
        await stage.answer(answer)
    assert [app.gone for app in stage.apps] == [True, True]


@pytest.mark.parametrize("end", ["end", "break_off"])
async def test_a_connection_that_the_application_closed_is_not_used_again(end: str) -> None:
    stage = Stage()
    await stage.ask(get())
    await stage.answer(OK)
    getattr(stage.app, end)()
    await stage.ask(get())
    await stage.answer(OK)
    assert len(stage.apps) == 2
    assert stage.take_answer() == OK * 2


async def test_what_an_application_says_unasked_ends_its_connection() -> None:
    stage = Stage()
    await stage.ask(get())
    await stage.answer(OK, OK)
    assert stage.app.aborted
    assert stage.take_answer() == OK


async def test_few_connections_are_kept() -> None:
    stages = Stage()
    ways = [Stage(ways=(f"app-{number}",)) for number in range(MAX_KEPT + 1)]
    for way in ways:
        stages.destination = Destination(way.destination.upstreams, stages.destination.plan)
        await stages.ask(get())
        way.app.say(OK)
        await settle()
    assert [way.app.gone for way in ways] == [True] + [False] * MAX_KEPT


async def test_pipelined_requests_are_answered_in_their_order_one_at_a_time() -> None:
    stage = Stage()
    await stage.ask(get("/1") + post(b"abc", target="/2") + get("/3"))
    assert stage.app.written.startswith(b"GET /1 ")
    assert b"/2" not in stage.app.written
    assert len(stage.heads) == 1
    await stage.answer(OK)
    assert stage.app.written.endswith(b"Content-Length: 3\r\n\r\nabc")
    assert len(stage.heads) == 2
    await stage.answer(OK)
    await stage.answer(OK)
    assert stage.take_answer() == OK * 3


async def test_a_thousand_pipelined_requests_that_are_answered_here_are_answered() -> None:
    stage = Stage(chooser=lambda *_: Reply(404, b""))
    await stage.ask(get() * 1000)
    assert stage.client.statuses == [404] * 1000


@given(PLACES, PLACES, st.binary(max_size=30), st.booleans(), st.booleans())
async def test_no_byte_is_lost_or_added_however_they_come(
    asked: list[int], answered: list[int], body: bytes, chunked_request: bool, chunked_answer: bool
) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:]) if part) + b"0\r\n\r\n"
    request = get("/", CHUNKED, method="PUT") + chunks if chunked_request else post(body)
    framing = b"Transfer-Encoding: chunked" if chunked_answer else b"Content-Length: %d" % len(body)
    answer = b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (framing, chunks if chunked_answer else body)
    stage = Stage()
    await stage.ask(*cut(request * 2, asked))
    for _ in range(2):
        await stage.answer(*cut(answer, answered))
    assert read_bodies(stage.app.written, 2) == [body] * 2
    assert read_bodies(stage.client.written, 2) == [body] * 2
    assert not stage.client.gone


def read_bodies(stream: bytes, count: int) -> list[bytes]:
    """Read messages one after another, naively."""
    bodies = []
    for _ in range(count):
        head, stream = split_head(stream)
        if CHUNKED.encode() in head:
            body = b""
            while (size := int(stream.partition(b"\r\n")[0], 16)) > 0:
                stream = stream.partition(b"\r\n")[2]
                body, stream = body + stream[:size], stream[size + 2 :]
            stream = stream.removeprefix(b"0\r\n\r\n")
        else:
            length = next(int(line.partition(b": ")[2]) for line in head if line.startswith(b"Content-Length"))
            body, stream = stream[:length], stream[length:]
        bodies.append(body)
    assert stream == b""
    return bodies


async def test_every_piece_of_an_answer_is_passed_at_once() -> None:
    stage = Stage()
    await stage.ask(get())
    await stage.answer(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    assert split_head(stage.take_answer())[0][-1] == b"Transfer-Encoding: chunked"
    for number in range(3):
        await stage.answer(b"data: %d\n\n" % number)
        assert stage.take_answer() == b"9\r\ndata: %d\n\n\r\n" % number
    stage.app.end()
    assert stage.take_answer() == b"0\r\n\r\n"
    await stage.ask(get())
    assert len(stage.apps) == 2


async def test_an_old_client_gets_an_answer_of_unknown_length_bare() -> None:
    stage = Stage()
    await stage.ask(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
    await stage.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    assert stage.take_answer() == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"
    assert stage.client.gone


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n"),
    ],
)
async def test_an_answer_without_a_body_is_complete_with_its_head(method: str, answer: bytes) -> None:
    stage = Stage()
    await stage.ask(get(method=method))
    await stage.answer(answer)
    assert stage.take_answer() == answer
    await stage.ask(get())
    await stage.answer(OK)
    assert stage.take_answer() == OK
    assert len(stage.apps) == 1


async def test_a_client_that_waits_to_be_told_is_told_by_the_application() -> None:
    stage = Stage()
    request = post(b"abc", "Expect: 100-continue")
    await stage.ask(request[:-3])
    assert b"\r\nExpect: 100-continue\r\n" in stage.app.written
    await stage.answer(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert stage.take_answer() == b"HTTP/1.1 100 Continue\r\n\r\n"
    await stage.ask(b"abc")
    await stage.answer(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK)
    assert stage.take_answer() == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK
    assert stage.app.written.endswith(b"\r\n\r\nabc")


async def test_an_old_client_gets_no_interim_answer() -> None:
    stage = Stage()
    await stage.ask(b"GET / HTTP/1.0\r\nHost: x\r\nExpect: 100-continue\r\n\r\n")
    assert b"Expect" not in stage.app.written
    await stage.answer(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK)
    assert stage.client.statuses == [200]


async def test_interim_answers_are_counted_up_to_the_limit() -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    stage = Stage()
    await stage.ask(get())
    await stage.answer(hint * MAX_INTERIM + OK)
    assert stage.client.statuses[-1] == 200
    stage.take_answer()
    await stage.ask(get())
    await stage.answer(hint * (MAX_INTERIM + 1))
    assert stage.client.statuses[-1] == 502


async def test_an_early_answer_ends_the_upload_and_then_the_connection() -> None:
    stage = Stage()
    await stage.ask(get("/", "Content-Length: 1000", method="POST") + b"x" * 10)
    await stage.answer(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
    assert stage.take_answer() == b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    assert stage.app.aborted
    sent = stage.app.written
    await stage.ask(b"x" * 10)
    assert stage.app.written == sent
    assert not stage.client.gone


def test_an_early_answer_may_be_read_before_the_connection_is_closed() -> None:
    async def story() -> None:
        stage = Stage()
        await stage.ask(get("/", "Content-Length: 1000", method="POST"))
        await stage.answer(OK)
        await asyncio.sleep(LINGER.total_seconds() * 0.9)
        assert not stage.client.gone
        await asyncio.sleep(LINGER.total_seconds() * 0.2)
        assert stage.client.gone

    run_in_virtual_time(story())


async def test_an_answer_that_began_early_may_end_after_the_upload() -> None:
    stage = Stage()
    await stage.ask(get("/", "Content-Length: 4", method="POST"))
    await stage.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
    await stage.ask(b"ab")
    await stage.answer(b"AB")
    await stage.ask(b"cd")
    await stage.answer(b"CD")
    assert stage.app.written.endswith(b"\r\n\r\nabcd")
    assert stage.client.written.endswith(b"Connection: close\r\n\r\nABCD")
    assert stage.client.gone


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        (b"", "end"),
        (b"", "break_off"),
        (b"HTTP/1.1 200", "end"),
        (b"SSH-2.0-x\r\n\r\n", "end"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "end"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd", "end"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "end"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"a" * LIMITS.max_head, "end"),
    ],
)
async def test_no_answer_becomes_a_502_with_a_request_id_and_nothing_is_sent_again(
    answer: bytes, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(ways=("one", "two"))
    await stage.ask(get())
    if answer:
        await stage.answer(answer)
    if not stage.app.gone:
        getattr(stage.app, end)()
        await settle()
    head, body = split_head(stage.client.written)
    assert head[0] == b"HTTP/1.1 502 Bad Gateway"
    request_id = body.decode().split()[-1]
    assert request_id in caplog.text
    assert stage.opened == ["one"]
    assert not stage.client.gone


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc*d",
    ],
)
async def test_an_answer_that_is_cut_short_ends_the_connection_unended(answer: bytes) -> None:
    stage = Stage()
    await stage.ask(get())
    await stage.answer(*answer.split(b"*"))
    if not stage.app.gone:
        stage.app.end()
    await settle()
    assert stage.client.gone
    assert stage.client.statuses == [200]
    assert not stage.client.written.endswith(b"0\r\n\r\n")


async def test_an_answer_until_the_end_that_breaks_is_not_ended() -> None:
    stage = Stage()
    await stage.ask(get())
    await stage.answer(b"HTTP/1.1 200 OK\r\n\r\nabc")
    stage.app.break_off()
    await settle()
    assert stage.client.gone
    assert stage.client.written.endswith(b"3\r\nabc\r\n")


async def test_the_next_way_is_taken_where_one_cannot_be_opened() -> None:
    stage = Stage(ways=("one", "two"))
    stage.dead = {"one"}
    await stage.ask(post(b"abc"))
    await stage.answer(OK)
    assert stage.opened == ["one", "two"]
    assert stage.received.endswith(b"\r\n\r\nabc")
    assert stage.take_answer() == OK


async def test_hostile_68_an_application_that_is_down_is_a_502_with_a_request_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = Stage(ways=("one", "two"))
    stage.dead = {"one", "two"}
    await stage.ask(post(b"abc"))
    assert stage.client.statuses == [502]
    assert stage.client.written.decode().split()[-1] in caplog.text
    stage.dead = set()
    await stage.ask(get())
    await stage.answer(OK)
    assert stage.client.statuses == [502, 200]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (AccessDenied("no"), 403),
        (ConnectionFailed("auth is away"), 502),
        (TrustError("no"), 502),
        (ValueError("s3cret"), 500),
    ],
)
@pytest.mark.parametrize("waits", [False, True])
async def test_what_the_chooser_raises_becomes_a_status(
    error: Exception, expected: int, waits: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse() -> Reply:
        await asyncio.sleep(0)
        raise error

    def choose(*_: object) -> Coroutine[None, None, Reply]:
        if waits:
            return refuse()
        raise error

    stage = Stage(chooser=choose)
    await stage.ask(get() + get())
    assert stage.client.statuses == [expected] * 2
    assert not stage.apps
    assert "s3cret" not in caplog.text + stage.client.written.decode()


async def test_a_chooser_may_take_its_time() -> None:
    gate = asyncio.Event()

    async def choose(_: RequestHead, __: Peer) -> Destination:
        await gate.wait()
        return stage.destination

    stage = Stage(chooser=choose)
    await stage.ask(post(b"abc")[:-1])
    await stage.ask(b"c")
    assert not stage.client.is_reading()
    gate.set()
    await settle()
    await stage.answer(OK)
    assert stage.received.endswith(b"\r\n\r\nabc")
    await stage.ask(get())
    await stage.answer(OK)
    assert stage.take_answer() == OK * 2
    assert len(stage.apps) == 1


async def test_the_chooser_is_told_who_asks() -> None:
    seen: list[Peer] = []

    def choose(_: RequestHead, peer: Peer) -> Reply:
        seen.append(peer)
        return Reply(302, b"", headers=(("Location", "https://login.example.com/"),))

    stage = Stage(chooser=choose)
    await stage.ask(get())
    assert seen == [PEER]
    assert b"\r\nLocation: https://login.example.com/\r\n" in stage.client.written


async def test_a_reply_to_head_has_no_body() -> None:
    stage = Stage(chooser=lambda *_: Reply(403, b"no"))
    await stage.ask(get(method="HEAD"))
    head, body = split_head(stage.client.written)
    assert b"Content-Length: 2" in head
    assert body == b""


async def test_a_reply_to_a_body_that_is_there_leaves_the_connection_open() -> None:
    stage = Stage(chooser=lambda *_: Reply(403, b"no"))
    await stage.ask(post(b"abc") + get())
    assert stage.client.statuses == [403, 403]
    assert not stage.client.gone


async def test_a_reply_to_a_body_that_is_not_there_closes_the_connection() -> None:
    stage = Stage(chooser=lambda *_: Reply(403, b"no"))
    await stage.ask(post(b"abc")[:-1])
    assert b"\r\nConnection: close\r\n" in stage.client.written
    await stage.ask(b"c" + get())
    assert stage.client.statuses == [403]


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost: a\n",
        get("/", "A: b", " c"),
        get("/", "Content-Length: 3", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + get("/smuggled"),
        get("/", "Content-Length: 3", "Content-Length: 0") + get("/smuggled"),
        get("/", "Transfer-Encoding: xchunked") + b"0\r\n\r\n" + get("/smuggled"),
        get("/", "Transfer-Encoding : chunked") + b"0\r\n\r\n" + get("/smuggled"),
        get("http://app.example.com/") + get("/smuggled"),
        get("/", method="TRACE") + get("/smuggled"),
        b"CONNECT app:443 HTTP/1.1\r\nHost: app\r\n\r\n" + get("/smuggled"),
        b"GET / HTTP/1.1\r\n\r\n" + get("/smuggled"),
        b"\r\n\r\n\r\n\r\n",
        get("/", "A: " + "a" * LIMITS.max_head) + get("/smuggled"),
        b"GET /" + b"a" * (LIMITS.max_head + 1),
    ],
)
async def test_hostile_47_what_is_no_request_is_refused_and_nothing_after_it_is_read(raw: bytes) -> None:
    stage = Stage()
    await stage.ask(raw)
    assert len(stage.client.statuses) == 1
    assert stage.client.statuses[0] in {400, 405, 431}
    assert b"\r\nConnection: close\r\n" in stage.client.written
    await stage.ask(get("/smuggled"))
    assert not stage.heads
    assert len(stage.client.statuses) == 1


async def test_hostile_47_a_head_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    padding = LIMITS.max_head - len(get("/", "A: "))
    for length, expected in ((padding, 200), (padding + 1, 431)):
        stage = Stage()
        await stage.ask(get("/", "A: " + "a" * length))
        if stage.apps:
            await stage.answer(OK)
        assert stage.client.statuses == [expected]


@pytest.mark.parametrize("cut_at", [0, 1, 5])
async def test_hostile_47_bad_chunks_end_both_connections(cut_at: int) -> None:
    bad = b"3\r\nabcd\r\n0\r\n\r\n"
    stage = Stage()
    await stage.ask(get("/", CHUNKED, method="POST") + bad[:cut_at], bad[cut_at:])
    assert stage.client.statuses == [400]
    assert stage.app.gone
    assert b"0\r\n\r\n" not in stage.app.written


async def test_hostile_47_chunks_are_written_anew_without_extensions() -> None:
    stage = Stage()
    chunks = b"3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
    await stage.ask(get("/", CHUNKED, method="POST") + chunks)
    assert split_head(stage.app.written)[1] == b"5\r\nabcde\r\n0\r\n\r\n"


async def test_hostile_48_an_encoded_body_is_passed_as_it_is() -> None:
    bomb = bytes(range(256)) * 4
    stage = Stage()
    await stage.ask(post(bomb, "Content-Encoding: gzip, x-unknown"))
    head, body = split_head(stage.app.written)
    assert b"Content-Encoding: gzip, x-unknown" in head
    assert body == bomb


async def test_hostile_68_another_host_on_the_same_connection_is_misdirected() -> None:
    stage = Stage()
    await stage.ask(get())
    await stage.answer(OK)
    await stage.ask(get(host="APP.example.com"))
    await stage.answer(OK)
    await stage.ask(get(host="other.example.com"))
    assert stage.client.statuses == [200, 200, 421]
    assert len(stage.heads) == 2
    assert b"\r\nConnection: close\r\n" in stage.client.written


async def test_hostile_68_a_redirect_is_passed_and_never_followed() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n"
    stage = Stage()
    await stage.ask(get())
    await stage.answer(answer)
    assert stage.take_answer() == answer
    assert stage.opened == ["app"]


async def test_hostile_68_forwarded_identity_headers_are_stripped() -> None:
    stage = Stage(plan=HeaderPlan(set_headers=((b"Teleport-Jwt-Assertion", b"ours"),)))
    await stage.ask(get("/", "teleport-jwt-assertion: theirs", "Connection: Teleport-Jwt-Assertion"))
    assert b"theirs" not in stage.app.written
    assert b"\r\nTeleport-Jwt-Assertion: ours\r\n" in stage.app.written


async def test_hostile_68_a_slow_reader_holds_the_application_back() -> None:
    stage = Stage()
    await stage.ask(get())
    stage.client.stop_reading()
    await stage.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 10)
    assert not stage.app.is_reading()
    stage.client.read_again()
    assert stage.app.is_reading()


async def test_a_client_that_reads_nothing_holds_back_its_next_answers() -> None:
    stage = Stage()
    await stage.ask(get())
    stage.client.stop_reading()
    await stage.answer(OK)
    await stage.ask(get(), get())
    assert len(stage.heads) == 1
    assert not stage.client.is_reading()
    stage.client.read_again()
    await settle()
    assert len(stage.heads) == 2


async def test_an_application_that_reads_slowly_holds_the_client_back() -> None:
    stage = Stage()
    await stage.ask(get("/", "Content-Length: 100000", method="POST"))
    stage.app.stop_reading()
    await stage.ask(b"x" * 10)
    assert not stage.client.is_reading()
    stage.app.read_again()
    assert stage.client.is_reading()


async def test_a_client_that_ends_its_sending_gets_its_answer() -> None:
    stage = Stage()
    await stage.ask(get() + get())
    stage.client.end()
    await stage.answer(OK)
    assert stage.take_answer() == OK
    await stage.answer(OK)
    assert stage.take_answer() == OK
    await settle()
    assert stage.client.gone


@pytest.mark.parametrize("sent", [b"", b"GET / HT", get("/", "Content-Length: 3", method="POST") + b"ab"])
async def test_a_client_that_ends_in_the_middle_is_gone(sent: bytes) -> None:
    stage = Stage()
    await stage.ask(sent)
    stage.client.end()
    await settle()
    assert stage.client.gone
    assert stage.closed == 1
    assert all(app.aborted for app in stage.apps)
    assert not stage.client.written


async def test_an_application_learns_that_nobody_waits_any_more() -> None:
    stage = Stage()
    await stage.ask(get())
    stage.client.break_off()
    assert stage.app.aborted
    assert stage.closed == 1


async def test_a_client_that_leaves_while_a_way_is_opened_leaves_nothing_behind() -> None:
    stage = Stage()
    stage.client.say(get())
    stage.client.break_off()
    await settle()
    assert not stage.apps
    assert stage.closed == 1


async def test_a_websocket_becomes_a_relay_with_half_closes() -> None:
    stage = Stage()
    await stage.ask(WEBSOCKET)
    assert stage.app.written.endswith(b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    await stage.ask(b"early")
    await stage.answer(SWITCH + b"\x81\x02hi")
    assert stage.client.written == SWITCH + b"\x81\x02hi"
    await stage.ask(b"\x81\x00", get())
    assert stage.app.written.endswith(b"early\x81\x00" + get())
    stage.app.end()
    assert stage.client.ended
    await stage.ask(b"more")
    assert stage.app.written.endswith(b"more")
    stage.client.end()
    await settle()
    assert stage.app.ended
    assert (stage.client.gone, stage.app.gone, stage.closed) == (True, True, 1)
    await stage.connection.wait_until_answered()


async def test_a_relay_over_tls_ends_as_a_whole() -> None:
    stage = Stage(half_close=False)
    await stage.ask(WEBSOCKET)
    await stage.answer(SWITCH)
    stage.app.end()
    await settle()
    assert stage.client.gone
    assert stage.app.gone


@pytest.mark.parametrize("side", ["client", "app"])
async def test_a_relay_that_breaks_on_one_side_breaks_on_the_other(side: str) -> None:
    stage = Stage()
    await stage.ask(WEBSOCKET)
    await stage.answer(SWITCH)
    getattr(stage, side).break_off()
    await settle()
    assert stage.client.gone
    assert stage.app.gone
    assert stage.closed == 1


async def test_a_relay_is_held_back_on_both_sides() -> None:
    stage = Stage()
    await stage.ask(WEBSOCKET)
    await stage.answer(SWITCH)
    for reader, writer in ((stage.client, stage.app), (stage.app, stage.client)):
        reader.stop_reading()
        writer.say(b"x")
        assert not writer.is_reading()
        reader.read_again()
        assert writer.is_reading()


@pytest.mark.parametrize("code", [200, 400, 426])
async def test_hostile_68_an_upgrade_that_is_not_granted_stays_http(code: int) -> None:
    stage = Stage()
    await stage.ask(WEBSOCKET + get("/next"))
    await stage.answer(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % code)
    assert [head.target for head in stage.heads] == [b"/ws", b"/next"]
    await stage.answer(OK)
    assert stage.client.statuses == [code, 200]


async def test_a_websocket_is_cut_at_once() -> None:
    stage = Stage()
    await stage.ask(WEBSOCKET)
    await stage.answer(SWITCH)
    assert stage.connection.is_busy
    stage.connection.abort()
    await settle()
    assert stage.client.aborted
    assert stage.app.gone


async def test_a_connection_that_is_to_finish_answers_first() -> None:
    stage = Stage()
    await stage.ask(get())
    stage.connection.finish()
    waiting = asyncio.ensure_future(stage.connection.wait_until_answered())
    await settle()
    assert not waiting.done()
    await stage.answer(OK)
    assert stage.client.written == OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert stage.client.gone
    assert waiting.done()


async def test_an_idle_connection_that_is_to_finish_is_closed() -> None:
    stage = Stage()
    await stage.ask(get())
    await stage.answer(OK)
    stage.connection.finish()
    await stage.connection.wait_until_answered()
    await settle()
    assert stage.client.gone
    assert stage.app.gone


def pass_time(limit: timedelta, share: float) -> Coroutine[None, None, None]:
    return asyncio.sleep(limit.total_seconds() * share)


@pytest.mark.parametrize("sent", [b"", get()])
def test_hostile_46_an_idle_connection_is_closed(sent: bytes) -> None:
    async def story() -> None:
        stage = Stage()
        await stage.ask(sent)
        if sent:
            await stage.answer(OK)
        await pass_time(LIMITS.idle, 0.99)
        assert not stage.client.gone
        await pass_time(LIMITS.idle, 0.02)
        assert stage.client.gone

    run_in_virtual_time(story())


def test_hostile_46_a_head_that_comes_slowly_is_refused_in_time() -> None:
    async def story() -> None:
        stage = Stage()
        for _ in range(9):
            await stage.ask(b"A")
            await pass_time(LIMITS.head, 0.1)
        assert not stage.client.written
        await pass_time(LIMITS.head, 0.2)
        assert stage.client.statuses == [408]
        await pass_time(LINGER, 1.1)
        assert stage.client.gone

    run_in_virtual_time(story())


def test_hostile_46_a_body_that_stands_still_is_refused() -> None:
    async def story() -> None:
        stage = Stage()
        await stage.ask(get("/", "Content-Length: 1000", method="POST"))
        for _ in range(5):
            await pass_time(LIMITS.stall, 0.9)
            await stage.ask(b"x")
        assert not stage.client.written
        await pass_time(LIMITS.stall, 1.1)
        assert stage.client.statuses == [408]
        assert stage.app.aborted

    run_in_virtual_time(story())


def test_hostile_68_a_client_that_never_reads_is_cut() -> None:
    async def story() -> None:
        stage = Stage()
        await stage.ask(get())
        stage.client.stop_reading()
        await stage.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")
        await pass_time(LIMITS.stall, 0.9)
        assert not stage.client.gone
        await pass_time(LIMITS.stall, 0.2)
        assert stage.client.aborted
        assert stage.app.gone

    run_in_virtual_time(story())


@pytest.mark.parametrize("piles_up", [False, True])
def test_an_application_that_does_not_answer_in_time_is_a_504(piles_up: bool) -> None:
    async def story() -> None:
        stage = Stage()
        await stage.ask(get("/", "Content-Length: 2", method="POST"))
        if piles_up:
            stage.app.stop_reading()
        await stage.ask(b"x" if piles_up else b"xy")
        await pass_time(LIMITS.answer, 0.99)
        assert not stage.client.written
        await pass_time(LIMITS.answer, 0.02)
        assert stage.client.statuses == [504]
        assert stage.app.aborted

    run_in_virtual_time(story())


def test_an_answer_and_a_relay_may_rest_for_long() -> None:
    async def story(request: bytes, answer: bytes) -> None:
        stage = Stage()
        await stage.ask(request)
        await stage.answer(answer)
        await asyncio.sleep(timedelta(hours=1).total_seconds())
        stage.take_answer()
        await stage.answer(b"x")
        assert stage.take_answer()

    run_in_virtual_time(story(get(), b"HTTP/1.1 200 OK\r\n\r\n"))
    run_in_virtual_time(story(WEBSOCKET, SWITCH))


def test_a_connection_to_an_application_is_kept_for_a_while() -> None:
    async def story(share: float) -> int:
        stage = Stage()
        for _ in range(3):
            await stage.ask(get())
            await stage.answer(OK)
            await pass_time(LIMITS.upstream_idle, share)
        assert stage.app.gone is (share > 1)
        return len(stage.apps)

    assert run_in_virtual_time(story(0.9)) == 1
    assert run_in_virtual_time(story(1.1)) == 3


def test_a_way_that_never_opens_is_left_in_time() -> None:
    async def story() -> None:
        stage = Stage(ways=("one", "two"))
        first, second = stage.destination.upstreams
        endless = type(first)("one", lambda _: asyncio.Event().wait())
        stage.destination = Destination((endless, second), stage.destination.plan)
        await stage.ask(get())
        await pass_time(LIMITS.connect, 1.1)
        await stage.answer(OK)
        assert stage.client.statuses == [200]

    run_in_virtual_time(story())


@pytest.mark.parametrize(("first", "second"), [(b"", b"\r\n"), (b"\r\n", b"")])
async def test_an_empty_line_before_a_request_is_skipped(first: bytes, second: bytes) -> None:
    stage = Stage()
    await stage.ask(first + get() + second + get())
    await stage.answer(OK)
    await stage.answer(OK)
    assert stage.client.statuses == [200, 200]


async def test_a_client_that_was_behind_at_the_end_of_an_answer_gets_the_next_one() -> None:
    stage = Stage()
    await stage.ask(get())
    await stage.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
    stage.client.stop_reading()
    await stage.answer(b"k")
    assert stage.app.is_reading()
    stage.client.read_again()
    await stage.ask(get())
    await stage.answer(OK)
    assert stage.client.statuses == [200, 200]
    assert len(stage.apps) == 1
