import asyncio
import logging
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from support.web_server import MAX_BODY, PATIENCE, SHORT, Rate, build_post, run_web_server
from teleport.web import connection

MEBIBYTE = 1024 * 1024


def measure_rss() -> int:
    """Return the resident bytes of this process, which holds both ends."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


async def test_a_request_reaches_its_handler_and_the_connection_stays() -> None:
    async with run_web_server() as server, server.connect() as client:
        for body in (b'{"a":1}', b'{"b":2}'):
            answer = await client.post("/v1/echo", body)
            assert (answer.status, answer.body) == (200, body)
    assert [call.peer.remote_addr for call in server.operations.calls] == ["127.0.0.1"] * 2


async def test_answers_name_no_server() -> None:
    async with run_web_server() as server, server.connect() as client:
        headers = (await client.post("/v1/echo")).headers
    assert "server" not in headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


async def test_a_certificate_is_shown_to_the_handler() -> None:
    async with run_web_server() as server, server.connect(server.authority.issue("agent")) as client:
        assert (await client.post("/v1/members")).status == 200
    assert server.operations.calls[0].peer.certificate_der


async def test_without_a_certificate_an_operation_for_members_is_refused() -> None:
    async with run_web_server() as server, server.connect() as client:
        answer = await client.post("/v1/members")
    assert answer.status == 401
    assert orjson.loads(answer.body)["error"]["code"] == "unauthenticated"
    assert server.operations.calls == []


@pytest.mark.parametrize("path", ["/", "/v1/other", "/v1/echo?x=1", "/v1/%65cho", "/v1/echo/", "//v1/echo"])
async def test_only_exact_paths_are_known(path: str) -> None:
    async with run_web_server() as server, server.connect() as client:
        assert (await client.post(path)).status == 404


async def test_another_method_is_told_the_right_one() -> None:
    async with run_web_server() as server, server.connect() as client:
        answer = await client.post("/v1/read", b"")
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


async def test_a_get_takes_no_body() -> None:
    async with run_web_server() as server, server.connect() as client:
        await client.send(b"GET /v1/read HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.receive()).status == 200
        await client.send(b"GET /v1/read HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
        assert (await client.receive()).status == 413


async def test_http_10_gets_one_answer_and_a_closed_connection() -> None:
    async with run_web_server() as server, server.connect() as client:
        await client.send(b"GET /v1/read HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (await client.receive()).headers["connection"] == "close"
        assert await client.wait_closed() == b""


async def test_a_body_may_be_as_long_as_the_limit_and_not_longer() -> None:
    async with run_web_server() as server, server.connect() as client:
        assert (await client.post("/v1/echo", b"0" * MAX_BODY)).status == 200
        assert (await client.post("/v1/echo", b"0" * (MAX_BODY + 1))).status == 413


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
async def test_json_is_accepted_however_it_is_spelt(media_type: str) -> None:
    async with run_web_server() as server, server.connect() as client:
        assert (await client.post("/v1/echo", b"{}", f"Content-Type: {media_type}")).status == 200


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
async def test_what_is_not_json_is_refused(media_type: str) -> None:
    async with run_web_server() as server, server.connect() as client:
        assert (await client.post("/v1/echo", b"{}", f"Content-Type: {media_type}")).status == 415


async def test_a_refusal_of_the_handler_gets_its_status() -> None:
    async with run_web_server() as server, server.connect() as client:
        answer = await client.post("/v1/refuse")
    assert (answer.status, orjson.loads(answer.body)["error"]["code"]) == (403, "join_refused")


async def test_a_broken_handler_answers_500_and_nothing_of_the_request_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with run_web_server() as server, server.connect() as client:
        answer = await client.post("/v1/break", b'"the-secret"')
        assert answer.status == 500
        assert (await client.post("/v1/echo")).status == 200
    assert "the-secret" not in caplog.text
    assert b"the-secret" not in answer.body


async def test_the_debug_line_does_not_repeat_an_unknown_path(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with run_web_server() as server, server.connect() as client:
        await client.post("/v1/the-secret")
        await client.post("/v1/echo")
    assert "the-secret" not in caplog.text
    assert "POST /v1/echo 200 127.0.0.1" in caplog.text


async def test_anonymous_requests_beyond_the_rate_are_refused() -> None:
    async with run_web_server(rate=Rate(burst=2)) as server, server.connect() as client:
        assert [(await client.post("/v1/echo")).status for _ in range(3)] == [200, 200, 429]
        assert int((await client.post("/v1/echo")).headers["retry-after"]) > 60
    assert len(server.operations.calls) == 2


async def test_every_refusal_counts_against_the_rate() -> None:
    async with run_web_server(rate=Rate(burst=2)) as server, server.connect() as client:
        assert (await client.post("/v1/other")).status == 404
        assert (await client.post("/v1/members")).status == 401
        assert (await client.post("/v1/echo")).status == 429


async def test_requests_that_are_free_of_charge_do_not_count() -> None:
    async with run_web_server(rate=Rate(burst=1)) as server, server.connect() as client:
        assert [(await client.post("/v1/free")).status for _ in range(5)] == [200] * 5


async def test_a_certificate_lifts_the_rate() -> None:
    async with run_web_server(rate=Rate(burst=1)) as server, server.connect(server.authority.issue("a")) as client:
        assert [(await client.post("/v1/echo")).status for _ in range(3)] == [200] * 3


@pytest.mark.parametrize("header", ["X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1", "X-Real-IP: 192.0.2.1"])
async def test_hostile_51_a_claimed_address_is_ignored(header: str) -> None:
    async with run_web_server(rate=Rate(burst=1)) as server, server.connect() as client:
        assert (await client.post("/v1/echo", b"{}", header)).status == 200
        assert (await client.post("/v1/echo", b"{}", header)).status == 429
    assert server.operations.calls[0].peer.remote_addr == "127.0.0.1"


async def test_hostile_51_a_proxy_protocol_line_breaks_the_handshake() -> None:
    async with run_web_server() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.listener.port)
        writer.write(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
        await reader.read()
        writer.close()
        assert server.count("teleport_connections_refused_total", reason="handshake") == 1


async def test_hostile_45_a_body_of_200_mib_is_refused_early_and_memory_stays_flat() -> None:
    size = 200 * MEBIBYTE
    async with run_web_server() as server, server.connect() as client:
        await client.send(build_post("/v1/echo", b"", f"Content-Length: {size}"))
        before = measure_rss()
        assert (await client.receive()).status == 413
        sent = 0
        try:
            while sent < size and not client.reader.at_eof():
                await client.send(b"0" * MEBIBYTE)
                sent += MEBIBYTE
        except OSError:
            pass
        assert measure_rss() - before < 32 * MEBIBYTE
        async with server.connect() as other:
            assert (await other.post("/v1/echo")).status == 200


CHUNKED = "Transfer-Encoding: chunked"
SMUGGLED = b"POST /v1/members HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(
            build_post("/v1/echo", b"0\r\n\r\n" + SMUGGLED, "Content-Length: 5", CHUNKED),
            id="cl-te",
        ),
        pytest.param(build_post("/v1/echo", b"0\r\n\r\n", CHUNKED), id="te"),
        pytest.param(build_post("/v1/echo", b"0\r\n\r\n", "Transfer-Encoding: xchunked"), id="te-unknown"),
        pytest.param(build_post("/v1/echo", b"2;x=y\r\n{}\r\n0\r\n\r\n", CHUNKED), id="extension"),
        pytest.param(build_post("/v1/echo", b"{}" + SMUGGLED, "Content-Length: 2", "Content-Length: 30"), id="two-cl"),
        pytest.param(build_post("/v1/echo", b"{}", "Content-Length: 2", "Content-Length: 2"), id="same-cl-twice"),
        pytest.param(build_post("/v1/echo", b"{}", "Content-Length: +2"), id="signed-cl"),
        pytest.param(build_post("/v1/echo", b"{}", "Content-Length: 0x2"), id="hex-cl"),
        pytest.param(build_post("/v1/echo", b"{}", "Content-Length : 2"), id="space-before-colon"),
        pytest.param(build_post("/v1/echo").replace(b"\r\n", b"\n"), id="bare-lf"),
        pytest.param(build_post("/v1/echo", b"{}", "X: a\r\n folded"), id="folded-header"),
        pytest.param(build_post("/v1/echo", b"{}", "X: a\0b"), id="nul"),
        pytest.param(b"\x16\x03\x01" + b"0" * 64 + b"\r\n\r\n", id="no-http"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="http-2"),
    ],
)
async def test_hostile_47_ambiguous_framing_is_refused_and_the_connection_closed(request_bytes: bytes) -> None:
    async with run_web_server() as server, server.connect() as client:
        await client.send(request_bytes)
        answer = await client.receive()
        assert answer.status == 400
        assert "server" not in answer.headers
        assert await client.wait_closed() == b""
    assert server.operations.calls == []


@pytest.mark.parametrize("lines", [65, 1000])
async def test_too_many_headers_are_refused(lines: int) -> None:
    async with run_web_server() as server, server.connect() as client:
        await client.send(build_post("/v1/echo", b"{}", *[f"X-{number}: x" for number in range(lines)]))
        assert (await client.receive()).status == 400
        await client.wait_closed()


async def test_a_header_that_is_too_long_is_refused() -> None:
    async with run_web_server() as server, server.connect() as client:
        await client.send(build_post("/v1/echo", b"{}", "X: " + "0" * 9000))
        assert (await client.receive()).status == 400
        await client.wait_closed()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "x-unknown", "identity, gzip"])
async def test_hostile_48_an_encoded_body_is_refused(encoding: str) -> None:
    async with run_web_server() as server, server.connect() as client:
        assert (await client.post("/v1/echo", b"\x1f\x8b", f"Content-Encoding: {encoding}")).status == 415
    assert server.operations.calls == []


async def test_hostile_46_a_slow_body_is_refused_while_others_are_served() -> None:
    async with run_web_server(body_timeout=SHORT) as server, server.connect() as slow, server.connect() as other:
        await slow.send(build_post("/v1/echo", b"{", "Content-Length: 2"))
        assert (await other.post("/v1/echo")).status == 200
        assert (await slow.receive()).status == 408
        assert await slow.wait_closed() == b""


async def test_hostile_46_slow_headers_are_cut_while_others_are_served() -> None:
    async with run_web_server(anonymous_idle=SHORT) as server, server.connect() as slow:
        await slow.send(b"POST /v1/echo HTTP/1.1\r\nHost:")
        async with server.connect() as other:
            assert (await other.post("/v1/echo")).status == 200
        assert await slow.wait_closed() == b""


async def test_a_connection_with_a_certificate_may_be_idle_for_longer() -> None:
    async with (
        run_web_server(anonymous_idle=SHORT) as server,
        server.connect() as anonymous,
        server.connect(server.authority.issue("agent")) as member,
    ):
        await anonymous.wait_closed()
        assert (await member.post("/v1/members")).status == 200


async def test_a_peer_that_does_not_read_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "WRITE_TIMEOUT", timedelta(milliseconds=200))
    async with run_web_server() as server, server.connect() as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a write transport that reads, too
        await client.send(build_post("/v1/huge") * 20)
        while server.count("teleport_connections"):
            await client.send(b"")
            await asyncio.sleep(0.01)


async def test_a_body_that_breaks_off_does_no_harm() -> None:
    async with run_web_server() as server, server.connect() as client:
        await client.send(build_post("/v1/echo", b"{", "Content-Length: 2"))
        client.abort()
        async with server.connect() as other:
            assert (await other.post("/v1/echo", b"[]")).body == b"[]"
    assert [call.body for call in server.operations.calls] == [b"[]"]


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with run_web_server() as server, server.connect() as client:
        await client.send(b"".join(build_post("/v1/echo", b"%d" % number) for number in range(100)))
        assert [(await client.receive()).body for _ in range(100)] == [b"%d" % number for number in range(100)]


async def test_after_the_last_request_no_other_reaches_a_handler() -> None:
    async with run_web_server() as server, server.connect() as client:
        await client.send(build_post("/v1/echo", b"[1]", "Connection: close"))
        await client.send(build_post("/v1/echo", b"[2]"))
        assert (await client.receive()).body == b"[1]"
        assert await client.wait_closed() == b""
    assert [call.body for call in server.operations.calls] == [b"[1]"]


async def test_a_body_is_asked_for_when_the_peer_waits_for_that() -> None:
    async with run_web_server() as server, server.connect() as client:
        await client.send(build_post("/v1/echo", b"", "Content-Length: 2", "Expect: 100-continue"))
        async with asyncio.timeout(PATIENCE):
            assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"{}")
        assert (await client.receive()).body == b"{}"
