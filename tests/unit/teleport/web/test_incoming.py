import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.chunks import PLACES, cut
from teleport.errors import NotFound
from teleport.web.call import Call, Reply, RequestHead, Route
from teleport.web.errors import MalformedRequest
from teleport.web.incoming import MAX_DISCARDED, MAX_FIELD, MAX_FIELDS, MAX_TARGET, Incoming, Turn


async def answer_nothing(_: Call) -> Reply:
    return Reply(200, b"")


ECHO = Route("/echo", "POST", answer_nothing, anonymous=True, max_body=MAX_DISCARDED * 2)


def admit(head: RequestHead) -> Route:
    if head.target == "/malformed":
        raise MalformedRequest("no")
    if head.target == "/unknown":
        raise NotFound("there is no such operation")
    return ECHO


def read(*chunks: bytes) -> Incoming:
    incoming = Incoming(admit)
    for chunk in chunks:
        incoming.feed(chunk)
    return incoming


def write_request(body: bytes = b"{}", *lines: str, target: str = "/echo", version: str = "1.1") -> bytes:
    head = [f"POST {target} HTTP/{version}", "Host: x", *lines]
    if not any(line.startswith(("Content-Length", "Transfer-Encoding")) for line in lines):
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode() + body


def list_statuses(incoming: Incoming) -> list[int | None]:
    """Return a status for each refusal, and nothing for each admitted request."""
    return [turn.reply.status if turn.reply else None for turn in incoming.turns]


@pytest.mark.parametrize("at", range(len(write_request()) * 2))
def test_pipelined_requests_may_be_cut_anywhere(at: int) -> None:
    raw = write_request(b"[]") + write_request(b"{}")
    incoming = read(raw[:at], raw[at:])
    assert [turn.body for turn in incoming.turns] == [b"[]", b"{}"]
    assert incoming.is_between_requests


@pytest.mark.parametrize("begun", [b"P", b"POST", b"POST /ec", b"POST /echo HTTP/1.1\r\nHo"])
def test_a_request_that_has_begun_is_kept_in_mind(begun: bytes) -> None:
    assert not read(write_request() + begun).is_between_requests


def test_empty_lines_between_requests_are_skipped() -> None:
    incoming = read(b"\r\n", write_request() + b"\r\n", write_request())
    assert list_statuses(incoming) == [None, None]


@pytest.mark.parametrize(
    ("raw", "keep_alive"),
    [
        (write_request(), True),
        (write_request(b"{}", "Connection: close"), False),
        (write_request(b"{}", "Connection: keep-alive", version="1.0"), False),
        (write_request(target="/unknown"), True),
        (write_request(b"{}", "Connection: close", target="/unknown"), False),
    ],
)
def test_a_connection_lives_on_unless_a_request_is_the_last(raw: bytes, keep_alive: bool) -> None:
    incoming = read(raw)
    assert [(turn.keep_alive, turn.unread) for turn in incoming.turns] == [(keep_alive, False)]
    assert incoming.ended is not keep_alive


@pytest.mark.parametrize("follows", [b"x", write_request(), b"\0" * MAX_FIELD * 2])
@pytest.mark.parametrize("last", [write_request(b"{}", "Connection: close"), write_request(version="1.0")])
def test_after_the_last_request_nothing_is_interpreted(last: bytes, follows: bytes) -> None:
    assert list_statuses(read(last + follows, follows)) == [None]


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01",
        write_request(target="/malformed"),
        write_request(b"{}", "Content-Length: 2", "Content-Length: 2"),
        write_request(b"{}", "Content-Length: 3, 3"),
        write_request(b"{}", "Content-Length:"),
        write_request(b"{}", "Transfer-Encoding:", "X: y", "Content-Length: 2"),
        write_request(b"{}", "Content-Length: " + "9" * 5000),
    ],
)
def test_hostile_47_nothing_follows_a_malformed_request(raw: bytes) -> None:
    incoming = read(raw + write_request(), write_request())
    assert list_statuses(incoming) == [400]
    assert incoming.turns[0].unread
    assert not incoming.turns[0].keep_alive


@pytest.mark.parametrize("body", [b"", b"{}"])
@pytest.mark.parametrize("protocol", ["h2c", "websocket"])
def test_an_upgrade_is_refused_and_its_body_reaches_nobody(body: bytes, protocol: str) -> None:
    incoming = read(write_request(body, "Connection: Upgrade", f"Upgrade: {protocol}") + write_request())
    assert list_statuses(incoming) == [400]


def test_a_tunnel_is_refused() -> None:
    assert list_statuses(read(b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n" + write_request())) == [400]


@pytest.mark.parametrize(("length", "statuses"), [(MAX_TARGET, [None]), (MAX_TARGET + 1, [400])])
def test_a_target_is_bounded(length: int, statuses: list[int | None]) -> None:
    assert list_statuses(read(write_request(target="/".ljust(length, "x")))) == statuses


@pytest.mark.parametrize(("length", "statuses"), [(MAX_FIELD, [None]), (MAX_FIELD + 1, [400])])
def test_a_field_is_bounded(length: int, statuses: list[int | None]) -> None:
    assert list_statuses(read(write_request(b"{}", "X: " + "x" * (length - 1)))) == statuses


@pytest.mark.parametrize(("count", "statuses"), [(MAX_FIELDS, [None]), (MAX_FIELDS + 1, [400])])
def test_fields_are_counted(count: int, statuses: list[int | None]) -> None:
    lines = [f"X-{number}: x" for number in range(count - 2)]
    assert list_statuses(read(write_request(b"{}", *lines))) == statuses


@pytest.mark.parametrize("begun", [b"", b"POST /echo HTTP/1.1\r\n", b"POST /echo HTTP/1.1\r\nX:"])
@pytest.mark.parametrize("more", [b"\r\n", b" ", b"x"])
def test_hostile_46_what_leads_nowhere_is_given_up(begun: bytes, more: bytes) -> None:
    incoming = read(begun, *[more * 100] * (MAX_FIELD // 100 + 2))
    assert incoming.ended or incoming.turns


def test_a_short_body_of_a_refused_request_is_read_over() -> None:
    refused = write_request(b"0" * MAX_DISCARDED, target="/unknown")
    incoming = read(refused[:-1])
    assert incoming.awaits_body
    incoming.feed(refused[-1:] + write_request(b"[]"))
    assert list_statuses(incoming) == [404, None]
    assert incoming.turns[1].body == b"[]"


@pytest.mark.parametrize(
    "head",
    [
        write_request(b"", f"Content-Length: {MAX_DISCARDED + 1}", target="/unknown"),
        write_request(b"", "Content-Length: 2", "Expect: 100-continue", target="/unknown"),
        write_request(b"", "Transfer-Encoding: chunked", target="/unknown"),
    ],
)
def test_a_refused_request_whose_body_is_long_or_open_ended_is_the_last(head: bytes) -> None:
    incoming = read(head + write_request())
    assert list_statuses(incoming) == [404]
    assert incoming.turns[0].unread


@pytest.mark.parametrize(
    ("raw", "awaits"),
    [
        (write_request(b"", "Content-Length: 2", "Expect: 100-continue"), True),
        (write_request(b"", "Content-Length: 2", "Expect: 100-Continue"), True),
        (write_request(b"", "Content-Length: 2", "Expect: something"), False),
        (write_request(b"", "Content-Length: 2", "Expect: 100-continue", version="1.0"), False),
        (write_request(b"{", "Content-Length: 2", "Expect: 100-continue"), False),
        (write_request(b"", "Content-Length: 0", "Expect: 100-continue"), False),
    ],
)
def test_a_peer_that_waits_for_word_is_noticed(raw: bytes, awaits: bool) -> None:
    assert read(raw).awaits_continue is awaits


@pytest.mark.parametrize(
    ("version", "hosts", "admitted"),
    [("1.1", 0, False), ("1.1", 1, True), ("1.1", 2, False), ("1.0", 0, True), ("1.0", 2, False)],
)
def test_hostile_47_a_request_names_one_host(version: str, hosts: int, admitted: bool) -> None:
    host_lines = "Host: x\r\n" * hosts
    head = f"POST /echo HTTP/{version}\r\n{host_lines}Content-Length: 2\r\n\r\n"
    assert list_statuses(read(f"{head}{{}}".encode())) == [None if admitted else 400]


def test_the_refusal_of_a_head_request_has_no_body() -> None:
    head = b"HEAD /malformed HTTP/1.1\r\nHost: x\r\n\r\n"
    assert [turn.head_only for turn in read(head).turns] == [True]
    assert [turn.head_only for turn in read(b"HEAD /echo HTTP/1.1\r\nHost: x\r\n\r\n\0").turns] == [True, False]


def test_a_late_body_ends_the_connection() -> None:
    incoming = read(write_request(b"{", "Content-Length: 2"))
    incoming.refuse_for_good(MalformedRequest("late"))
    incoming.feed(b"}" + write_request())
    assert list_statuses(incoming) == [400]
    assert not incoming.awaits_body


PIECES = st.lists(
    st.sampled_from(
        [
            write_request(b"[]"),
            write_request(b"{}", "Connection: close"),
            write_request(b"{}", "Connection: Upgrade", "Upgrade: h2c"),
            write_request(b"2\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
            write_request(b"", "Content-Length: 2", "Expect: 100-continue"),
            write_request(b"{}", target="/unknown"),
            write_request(target="/malformed"),
            b"HEAD /echo HTTP/1.1\r\n\r\n",
            b"\r\n",
            b"Content-Length: 2\r\n",
            b"\0",
        ]
    )
    | st.binary(max_size=12),
    max_size=6,
)


def read_all(chunks: list[bytes]) -> tuple[list[Turn], bool]:
    incoming = read(*chunks)
    return list(incoming.turns), incoming.ended


@given(PIECES, PLACES)
def test_however_a_stream_is_cut_it_says_the_same(pieces: list[bytes], places: list[int]) -> None:
    raw = b"".join(pieces)
    turns, ended = read_all([raw])
    assert read_all(cut(raw, places)) == (turns, ended)
    assert all(turn.keep_alive for turn in turns[:-1])
    assert ended is bool(turns and not turns[-1].keep_alive)
