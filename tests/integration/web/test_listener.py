import asyncio
import errno
import gc
import socket
import ssl
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from support.tls_certificates import ThrowawayAuthority
from support.web_server import PATIENCE, SHORT, WebServer, build_context, build_post, run_web_server
from teleport.errors import Unavailable
from teleport.web import listener as listener_module
from teleport.web.admissions import Admitted
from teleport.web.connection import HttpConnection
from teleport.web.tls import build_client_context, build_unverified_client_context


def build_trusting_context(server: WebServer) -> ssl.SSLContext:
    return build_client_context(ca_pems=[server.authority.certificate_pem])


async def wait_for_connections(server: WebServer, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while server.count("teleport_connections") != count:  # noqa: ASYNC110 - a gauge has no event to wait for
            await asyncio.sleep(0.005)


async def test_hostile_49_tls_12_is_refused() -> None:
    async with run_web_server() as server:
        context = build_trusting_context(server)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with server.connect_with(context):
                pytest.fail("TLS 1.2 was accepted")
        await wait_for_connections(server, 0)
    assert server.count("teleport_connections_refused_total", reason="handshake") == 1


@pytest.mark.parametrize("protocols", [[], ["h2"], ["http/1.0"], ["teleport-reversetunnel"]])
async def test_hostile_49_without_http_in_alpn_the_connection_closes_before_http(protocols: list[str]) -> None:
    async with run_web_server() as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=server.authority.certificate_pem)
        if protocols:
            context.set_alpn_protocols(protocols)
        async with server.connect_with(context) as client:
            client.writer.write(build_post("/v1/echo"))
            assert await client.wait_closed() == b""
        await wait_for_connections(server, 0)
    assert server.operations.calls == []
    assert server.count("teleport_connections_refused_total", reason="alpn") == 1


async def test_http_among_several_protocols_is_taken() -> None:
    async with run_web_server() as server:
        context = build_trusting_context(server)
        context.set_alpn_protocols(["h2", "http/1.1"])
        async with server.connect_with(context) as client:
            assert (await client.post("/v1/echo")).status == 200


@pytest.mark.parametrize("name", ["localhost", "other.example.com", "127.0.0.1"])
async def test_hostile_49_the_name_in_sni_is_ignored(name: str) -> None:
    async with run_web_server() as server:
        context = build_unverified_client_context()
        async with server.connect_with(context, name=name) as client:
            assert (await client.post("/v1/echo")).status == 200


async def test_hostile_49_an_expired_client_certificate_fails_the_handshake() -> None:
    async with run_web_server() as server:
        expired = server.authority.issue("agent", ended=timedelta(seconds=1))
        async with server.connect(expired) as client:
            client.writer.write(build_post("/v1/members"))
            assert await client.wait_closed() == b""
    assert server.operations.calls == []


async def test_hostile_42_a_certificate_of_another_cluster_fails_the_handshake() -> None:
    async with run_web_server() as server, server.connect(ThrowawayAuthority.create().issue("agent")) as client:
        client.writer.write(build_post("/v1/members"))
        assert await client.wait_closed() == b""
    assert server.operations.calls == []


async def test_hostile_42_no_session_can_be_resumed() -> None:
    async with run_web_server() as server:
        context = build_trusting_context(server)
        async with server.connect_with(context) as client:
            assert (await client.post("/v1/echo")).status == 200
            tls: ssl.SSLObject = client.writer.get_extra_info("ssl_object")
            session = tls.session
            assert session is None or not session.has_ticket


async def test_connections_per_address_are_limited_before_the_handshake() -> None:
    async with run_web_server(max_connections=3) as server, AsyncExitStack() as stack:
        for _ in range(3):
            _, writer = await asyncio.open_connection("127.0.0.1", server.listener.port)
            stack.callback(writer.close)
        await wait_for_connections(server, 3)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.listener.port)
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
        writer.close()
        assert server.count("teleport_connections_refused_total", reason="limit") == 1


async def connect_in_vain(server: WebServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.listener.port)
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b""
    writer.close()


async def test_an_unwelcome_address_is_cut_before_the_handshake() -> None:
    asked: list[str] = []

    def refuse(address: str) -> bool:
        asked.append(address)
        return False

    async with run_web_server(is_welcome=refuse) as server:
        await connect_in_vain(server)
        assert server.count("teleport_connections_refused_total", reason="unwelcome") == 1
        assert server.count("teleport_connections") == 0
    assert asked == ["127.0.0.1"]


async def test_an_unwelcome_address_is_served_while_a_member_is_connected_from_there() -> None:
    welcome = True
    async with run_web_server(is_welcome=lambda _: welcome) as server:
        async with server.connect(server.authority.issue("agent")) as member, server.connect():
            assert (await member.post("/v1/members")).status == 200
            welcome = False
            async with server.connect() as stranger:
                assert (await stranger.post("/v1/echo")).status == 200
        await wait_for_connections(server, 0)
        await connect_in_vain(server)


async def test_a_stranger_that_is_connected_makes_no_address_welcome() -> None:
    welcome = True
    async with run_web_server(is_welcome=lambda _: welcome) as server, server.connect() as stranger:
        assert (await stranger.post("/v1/echo")).status == 200
        welcome = False
        await connect_in_vain(server)


async def test_a_connection_that_ends_makes_room_for_another() -> None:
    async with run_web_server(max_connections=1) as server:
        for _ in range(3):
            async with server.connect() as client:
                assert (await client.post("/v1/echo")).status == 200
            await wait_for_connections(server, 0)


def count_connections() -> int:
    return sum(isinstance(thing, Admitted | HttpConnection) for thing in gc.get_objects())


async def test_a_connection_that_has_ended_waits_for_no_garbage_collection() -> None:
    gc.collect()
    gc.disable()
    try:
        async with run_web_server() as server:
            before = count_connections()
            async with server.connect() as client:
                assert (await client.post("/v1/echo")).status == 200
                assert count_connections() == before + 2
            await wait_for_connections(server, 0)
            await asyncio.sleep(0)
            assert count_connections() == before
    finally:
        gc.enable()


async def test_hostile_46_silent_and_half_handshakes_are_cut_while_others_are_served() -> None:
    async with run_web_server(handshake_timeout=SHORT) as server, AsyncExitStack() as stack:
        readers = []
        for hello in [b"", b"\x16\x03\x01\x02\x00\x01\x00"] * 20:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.listener.port)
            stack.callback(writer.close)
            writer.write(hello)
            readers.append(reader)
        async with server.connect() as client:
            assert (await client.post("/v1/echo")).status == 200
            async with asyncio.timeout(PATIENCE):
                for reader in readers:
                    assert await reader.read() == b""
        await wait_for_connections(server, 0)
    assert server.count("teleport_connections_refused_total", reason="handshake") == 40


async def test_hostile_46_connections_without_a_request_are_cut() -> None:
    async with run_web_server(anonymous_idle=SHORT) as server, server.connect() as client:
        assert await client.wait_closed() == b""
        await wait_for_connections(server, 0)


async def test_a_new_context_applies_to_new_connections_only() -> None:
    async with run_web_server() as server:
        old_agent = server.authority.issue("agent")
        other = ThrowawayAuthority.create("other")
        async with server.connect(old_agent) as before:
            assert (await before.post("/v1/members")).status == 200
            server.context = build_context(server.authority, [other])
            assert (await before.post("/v1/members")).status == 200
            async with server.connect(old_agent) as refused:
                refused.writer.write(build_post("/v1/members"))
                assert await refused.wait_closed() == b""
            async with server.connect(other.issue("agent")) as after:
                assert (await after.post("/v1/members")).status == 200


async def test_connections_that_are_no_longer_trusted_are_cut_and_others_live() -> None:
    async with (
        run_web_server() as server,
        server.connect() as anonymous,
        server.connect(server.authority.issue("agent")) as member,
    ):
        assert (await member.post("/v1/members")).status == 200
        assert (await anonymous.post("/v1/echo")).status == 200
        assert server.admissions.close_where(lambda peer: not peer.anonymous) == 1
        assert await member.wait_closed() == b""
        assert (await anonymous.post("/v1/echo")).status == 200


async def test_a_graceful_stop_lets_requests_in_flight_end() -> None:
    async with run_web_server() as server, server.connect() as busy, server.connect() as idle:
        await busy.send(build_post("/v1/wait", b"[]"))
        await server.operations.waiting.wait()
        stopping = asyncio.create_task(server.listener.stop(timedelta(seconds=PATIENCE)))
        assert await idle.wait_closed() == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.listener.port)
        server.operations.gate.set()
        assert (await busy.receive()).body == b"[]"
        await stopping
        assert server.count("teleport_connections") == 0


async def test_a_stop_cuts_what_does_not_end_within_the_grace() -> None:
    async with run_web_server() as server, server.connect() as busy:
        await busy.send(build_post("/v1/wait"))
        await server.operations.waiting.wait()
        await server.listener.stop(SHORT)
        assert await busy.wait_closed() == b""


async def test_a_stop_does_not_wait_for_handshakes() -> None:
    async with run_web_server() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.listener.port)
        await wait_for_connections(server, 1)
        async with asyncio.timeout(PATIENCE):
            await server.listener.stop(SHORT)
            assert await reader.read() == b""
        writer.close()


async def test_a_port_that_is_taken_is_named() -> None:
    async with run_web_server() as server, run_web_server() as other:
        other.listener._port = server.listener.port
        await other.listener.stop(SHORT)
        with pytest.raises(Unavailable, match=f"127.0.0.1 port {server.listener.port}"):
            await other.listener.start()


async def test_without_file_descriptors_accepting_pauses_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "ACCEPT_PAUSE", SHORT)
    attempts = 0
    accept = socket.socket.accept

    def fail_twice(listening: socket.socket) -> tuple[socket.socket, tuple[str | int, ...]]:
        nonlocal attempts
        attempts += 1
        if attempts <= 2:
            raise OSError(errno.EMFILE, "Too many open files")
        return accept(listening)

    async with run_web_server() as server:
        monkeypatch.setattr(socket.socket, "accept", fail_twice)
        async with server.connect() as client:
            assert (await client.post("/v1/echo")).status == 200
    assert attempts < 10


async def test_small_answers_are_not_delayed_by_nagle() -> None:
    async with run_web_server() as server, server.connect() as client:
        await client.post("/v1/echo")
        (known,) = server.admissions._connections
        assert known._transport is not None
        accepted = known._transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
