import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.errors import ConnectionFailed
from teleport.web.errors import MalformedRequest
from teleport.web.forwarding.head import CHUNKED, NO_BODY, UNTIL_CLOSE, parse_answer_head, parse_request_head

MAX_FIELDS = 100

SMUGGLED = {
    "content length and transfer encoding": b"Content-Length: 1\r\nTransfer-Encoding: chunked",
    "transfer encoding and content length": b"Transfer-Encoding: chunked\r\nContent-Length: 1",
    "two content lengths": b"Content-Length: 1\r\nContent-Length: 2",
    "two equal content lengths": b"Content-Length: 1\r\nContent-Length: 1",
    "a list of content lengths": b"Content-Length: 1, 1",
    "a signed content length": b"Content-Length: +1",
    "an empty content length": b"Content-Length: ",
    "a hexadecimal content length": b"Content-Length: 0x1",
    "a huge content length": b"Content-Length: 99999999999999999999",
    "a bare line feed": b"A: b\nTransfer-Encoding: chunked",
    "a bare carriage return": b"A: b\rTransfer-Encoding: chunked",
    "a folded header": b"A: b\r\n Transfer-Encoding: chunked",
    "another encoding": b"Transfer-Encoding: xchunked",
    "an encoding that is not the last": b"Transfer-Encoding: chunked, gzip",
    "two encodings": b"Transfer-Encoding: gzip, chunked",
    "chunks twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "chunks twice in one": b"Transfer-Encoding: chunked, chunked",
    "identity": b"Transfer-Encoding: identity",
    "an encoding with a tab inside": b"Transfer-Encoding: chun\tked",
    "an encoding with a vertical tab": b"Transfer-Encoding: \x0bchunked",
    "whitespace before the colon": b"Transfer-Encoding : chunked",
    "a header before the colon's line": b"Transfer-Encoding\r\n : chunked",
    "a name with a NUL": b"A\0: b",
    "a value with a NUL": b"A: b\0",
    "a value with another control character": b"A: b\x08",
    "no name": b": b",
    "no colon": b"Transfer-Encoding chunked",
    "an unknown expectation": b"Expect: 200-ok",
}


def build(*lines: bytes, first: bytes = b"POST /a HTTP/1.1", host: bytes = b"Host: app.example.com") -> bytes:
    return b"\r\n".join([line for line in (first, host, *lines) if line] + [b"", b""])


@pytest.mark.parametrize("lines", SMUGGLED.values(), ids=SMUGGLED.keys())
def test_hostile_47_what_could_be_read_in_two_ways_is_refused(lines: bytes) -> None:
    with pytest.raises(MalformedRequest):
        parse_request_head(build(lines), MAX_FIELDS)


@pytest.mark.parametrize(
    "first",
    [
        b"GET http://app.example.com/ HTTP/1.1",
        b"GET //evil#x HTTP/1.1",
        b"GET app.example.com HTTP/1.1",
        b"GET * HTTP/1.1",
        b"GET / HTTP/2.0",
        b"GET / HTTP/0.9",
        b"GET / HTTP/1.2",
        b"GET / HTTP/1.1 ",
        b"GET /\0 HTTP/1.1",
        b"GET /\xff HTTP/1.1",
        b"GET / x HTTP/1.1",
        b"GET /",
        b"CONNECT app.example.com:443 HTTP/1.1",
        b"TRACE / HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"get / HTTP/1.1",
        b"\x16\x03\x01 / HTTP/1.1",
    ],
)
def test_hostile_47_other_request_lines_are_refused(first: bytes) -> None:
    with pytest.raises(MalformedRequest):
        parse_request_head(build(first=first), MAX_FIELDS)


def test_a_chunked_request_of_the_old_version_is_refused() -> None:
    with pytest.raises(MalformedRequest):
        parse_request_head(build(b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.0"), MAX_FIELDS)


@pytest.mark.parametrize(
    "host",
    [b"", b"Host:", b"Host: a\r\nHost: a", b"Host: a b", b"Host: a/b", b"Host: a@b", b"Host: a:b", b"Host: a,b"],
)
def test_hostile_68_a_host_that_is_missing_twice_or_no_host_is_refused(host: bytes) -> None:
    with pytest.raises(MalformedRequest):
        parse_request_head(build(host=host), MAX_FIELDS)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"app.example.com", b"app.example.com"),
        (b"App.Example.COM:3080", b"app.example.com"),
        (b"192.0.2.1:80", b"192.0.2.1"),
        (b"[2001:DB8::1]:80", b"[2001:db8::1]"),
        (b"a_b", b"a_b"),
    ],
)
def test_a_host_is_named_without_its_port(host: bytes, name: bytes) -> None:
    head = parse_request_head(build(host=b"Host: " + host), MAX_FIELDS)
    assert (head.host, head.host_name) == (host, name)


@pytest.mark.parametrize(
    "target", [b"/%2e%2e/", b"/../../etc/passwd", b"//x", b"/a%00b", b"/a;b?c=d&e", b"/\\..\\", b"/?q=http://x/"]
)
def test_hostile_68_a_path_is_taken_as_it_is(target: bytes) -> None:
    assert parse_request_head(build(first=b"GET " + target + b" HTTP/1.1"), MAX_FIELDS).target == target


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        ([], NO_BODY),
        ([b"Content-Length: 0"], 0),
        ([b"Content-Length: 10737418240"], 10 * 1024**3),
        ([b"Transfer-Encoding: chunked"], CHUNKED),
        ([b"transfer-encoding: Chunked"], CHUNKED),
    ],
)
def test_a_request_says_how_long_it_is(lines: list[bytes], body: int) -> None:
    assert parse_request_head(build(*lines), MAX_FIELDS).body == body


def test_headers_are_counted_up_to_the_limit() -> None:
    fields = [b"A: b"] * 9
    assert len(parse_request_head(build(*fields), 10).fields) == 10
    with pytest.raises(MalformedRequest):
        parse_request_head(build(*fields, b"A: b"), 10)


@pytest.mark.parametrize(
    ("lines", "upgrade"),
    [
        ([b"Upgrade: websocket", b"Connection: Upgrade"], b"websocket"),
        ([b"Upgrade: websocket", b"Connection: keep-alive, upgrade"], b"websocket"),
        ([b"Upgrade: SPDY/3.1", b"Connection: Upgrade"], b"SPDY/3.1"),
        ([b"Upgrade: websocket"], b""),
        ([b"Connection: Upgrade"], b""),
        ([b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"], b""),
        ([b"Upgrade: websocket, H2C", b"Connection: Upgrade"], b""),
        ([b"Upgrade: websocket", b"Upgrade: h2c", b"Connection: Upgrade"], b""),
        ([b"Upgrade: HTTP/2.0", b"Connection: Upgrade"], b""),
        ([b"Upgrade: websocket", b"Connection: Upgrade", b"Content-Length: 3"], b""),
    ],
)
def test_hostile_47_an_upgrade_is_asked_for_only_where_it_is_one_and_not_to_http(
    lines: list[bytes], upgrade: bytes
) -> None:
    assert parse_request_head(build(*lines, first=b"GET / HTTP/1.1"), MAX_FIELDS).upgrade == upgrade


@pytest.mark.parametrize(
    ("first", "lines", "keep_alive"),
    [
        (b"GET / HTTP/1.1", [], True),
        (b"GET / HTTP/1.1", [b"Connection: Close"], False),
        (b"GET / HTTP/1.1", [b"Connection: x", b"Connection: y, close"], False),
        (b"GET / HTTP/1.0", [b"Connection: keep-alive"], False),
    ],
)
def test_a_client_says_whether_it_stays(first: bytes, lines: list[bytes], keep_alive: bool) -> None:
    assert parse_request_head(build(*lines, first=first), MAX_FIELDS).keep_alive is keep_alive


def test_headers_and_cookies_are_found() -> None:
    head = parse_request_head(build(b"Cookie: a=1; __Host-s=secret=x;b", b"COOKIE: c=3", b"X-A: 1"), MAX_FIELDS)
    assert (head.get(b"x-a"), head.get(b"x-b")) == (b"1", None)
    assert [head.get_cookie(name) for name in (b"a", b"__Host-s", b"c", b"b", b"s")] == [
        b"1", b"secret=x", b"3", None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "method", "body", "length"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5", b"GET", 5, 5),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5", b"HEAD", NO_BODY, 5),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5", b"GET", NO_BODY, 5),
        (b"HTTP/1.1 204 No Content", b"GET", NO_BODY, None),
        (b"HTTP/1.1 103 Early Hints", b"GET", NO_BODY, None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", b"GET", CHUNKED, None),
        (b"HTTP/1.1 200 OK", b"GET", UNTIL_CLOSE, None),
        (b"HTTP/1.0 200 OK", b"GET", UNTIL_CLOSE, None),
        (b"HTTP/1.1 200", b"GET", UNTIL_CLOSE, None),
    ],
)
def test_an_answer_says_how_long_it_is(raw: bytes, method: bytes, body: int, length: int | None) -> None:
    head = parse_answer_head(raw + b"\r\n\r\n", MAX_FIELDS, method)
    assert (head.body, head.length) == (body, length)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\nA: b",
        b"HTTP/1.1 99 OK",
        b"HTTP/1.1 099 OK",
        b"HTTP/2.0 200 OK",
        b"SSH-2.0-OpenSSH_9.2",
        b"HTTP/1.1 200 OK\r\nA: b\0",
        b"HTTP/1.1 200 OK" + b"\r\nA: b" * (MAX_FIELDS + 1),
    ],
)
def test_hostile_47_an_answer_that_could_be_read_in_two_ways_is_refused(raw: bytes) -> None:
    with pytest.raises(ConnectionFailed):
        parse_answer_head(raw + b"\r\n\r\n", MAX_FIELDS, b"GET")


@pytest.mark.parametrize(
    ("raw", "keep_alive"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
def test_an_application_says_whether_it_stays(raw: bytes, keep_alive: bool) -> None:
    assert parse_answer_head(raw, MAX_FIELDS, b"GET").keep_alive is keep_alive


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for raw in (data, build(data), b"HTTP/1.1 200 OK\r\n" + data + b"\r\n\r\n"):
        for read in (
            lambda raw=raw: parse_request_head(raw, MAX_FIELDS),
            lambda raw=raw: parse_answer_head(raw, MAX_FIELDS, b"GET"),
        ):
            try:
                head = read()
            except (MalformedRequest, ConnectionFailed):
                continue
            assert head.body >= UNTIL_CLOSE
