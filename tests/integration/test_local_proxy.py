"""`tsh proxy app` in this process, before a proxy that the test plays."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from support.clock import START, FakeClock
from support.tls_certificates import ThrowawayAuthority
from teleport.api.identity import Identity
from teleport.api.people import AppInfo
from teleport.cli.profile import Profile
from teleport.cli.tsh.application import Application, build_application
from teleport.cli.tsh.local_proxy import LocalProxy
from teleport.errors import Unavailable
from teleport.resources.address import Address
from teleport.tunnel.websocket import WebSocketServer
from teleport.web.tls import build_server_context

PATIENCE = 30


class Echo(asyncio.Protocol):
    """What a TCP application says: the same, backwards."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data[::-1])


@dataclass
class Stage:
    """A proxy, and a person who is logged in there."""

    authority: ThrowawayAuthority = field(default_factory=ThrowawayAuthority.create)
    users: ThrowawayAuthority = field(default_factory=lambda: ThrowawayAuthority.create("users"))
    clock: FakeClock = field(default_factory=FakeClock)
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    requests: list[bytes] = field(default_factory=list)
    users_seen: list[object] = field(default_factory=list)
    port: int = 0

    @asynccontextmanager
    async def serve(self, factory: Callable[[], asyncio.Protocol]) -> AsyncIterator[None]:
        leaf = self.authority.issue()
        context = build_server_context(
            certificate_pem_chain=leaf.certificate_pem,
            private_key_pem=leaf.key_pem,
            client_ca_pems=[self.users.certificate_pem],
            is_public=True,
        )
        server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()

    def build_profile(self) -> Profile:
        leaf = self.users.issue("alice")
        return Profile(
            proxy=f"localhost:{self.port}",
            cluster_name="example.com",
            user="alice",
            roles=("access",),
            valid_until=START + timedelta(hours=12),
            identity=Identity(
                tls_key=leaf.key_pem,
                tls_certificate=leaf.certificate_pem,
                ssh_key="",
                ssh_certificate="",
                host_ca_certificates=(),
            ),
        )

    @asynccontextmanager
    async def open(self, uri: str) -> AsyncIterator[tuple[Address, Application]]:
        profile = self.build_profile()
        info = AppInfo(name="grafana", description="", uri=uri, public_addr="", protocol="", labels={})
        application = build_application(info, profile)
        local = LocalProxy(application, profile, clock=self.clock, is_insecure=False)
        try:
            yield await local.start(0), application
        finally:
            local.close()


class Heard(asyncio.Protocol):
    """The proxy's HTTP side, as far as it matters here."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
        self._stage.users_seen.append((tls.getpeercert() or {}).get("subject"))

    def data_received(self, data: bytes) -> None:
        self._stage.requests.append(data)
        self._transport.write(self._stage.answer)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    made = Stage()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    path.write_text(made.authority.certificate_pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return made


async def ask(address: Address, raw: bytes) -> bytes:
    """Send bytes, and return all that comes until there is nothing more."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(raw)
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def render(host: str, *lines: str) -> bytes:
    return "\r\n".join(["GET /x HTTP/1.1", f"Host: {host}", "Connection: close", *lines, "", ""]).encode()


async def test_a_request_reaches_the_application_under_its_own_name_as_the_user(stage: Stage) -> None:
    async with stage.serve(lambda: Heard(stage)), stage.open("http://10.0.0.1") as (local, application):
        answer = await ask(local, render(str(local)))
    assert answer.endswith(b"hi")
    assert stage.requests[0].startswith(f"GET /x HTTP/1.1\r\nHost: {application.authority}\r\n".encode())
    assert application.authority == f"grafana.localhost:{stage.port}"
    assert stage.users_seen == [((("commonName", "alice"),),)]


async def test_redirects_to_the_application_stay_here(stage: Stage) -> None:
    async with stage.serve(lambda: Heard(stage)), stage.open("http://10.0.0.1") as (local, application):
        location = f"https://{application.authority}/login".encode()
        stage.answer = b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % location
        answer = await ask(local, render(str(local)))
    assert f"Location: http://{local}/login\r\n".encode() in answer


async def test_a_name_that_was_turned_to_this_machine_is_refused(stage: Stage) -> None:
    async with stage.serve(lambda: Heard(stage)), stage.open("http://10.0.0.1") as (local, _):
        answer = await ask(local, render(f"evil.example.com:{local.port}"))
    assert answer.startswith(b"HTTP/1.1 421 ")
    assert stage.requests == []


async def test_a_page_of_another_site_cannot_use_the_login(stage: Stage) -> None:
    async with stage.serve(lambda: Heard(stage)), stage.open("http://10.0.0.1") as (local, _):
        answer = await ask(local, render(str(local), "Sec-Fetch-Site: cross-site"))
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert stage.requests == []


async def test_after_the_login_has_ended_nothing_passes(stage: Stage) -> None:
    async with stage.serve(lambda: Heard(stage)), stage.open("http://10.0.0.1") as (local, _):
        stage.clock.advance(timedelta(hours=12))
        answer = await ask(local, render(str(local)))
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert stage.requests == []


async def test_a_proxy_whose_certificate_is_not_trusted_gets_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage.serve(lambda: Heard(stage)):
        monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
        async with stage.open("http://10.0.0.1") as (local, _):
            answer = await ask(local, render(str(local)))
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert (stage.requests, stage.users_seen) == ([], [])


async def test_bytes_of_a_tcp_application_pass_both_ways(stage: Stage) -> None:
    async with (
        stage.serve(lambda: WebSocketServer(protocol_factory=Echo)),
        stage.open("tcp://10.0.0.1:5432") as (local, _),
    ):
        reader, writer = await asyncio.open_connection(local.host, local.port)
        writer.write(b"abc")
        assert await asyncio.wait_for(reader.readexactly(3), PATIENCE) == b"cba"
        writer.close()
        await writer.wait_closed()


async def test_a_tcp_connection_that_cannot_be_made_is_cut(stage: Stage) -> None:
    async with stage.serve(lambda: Heard(stage)), stage.open("tcp://10.0.0.1:5432") as (local, _):
        stage.answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
        with suppress(ConnectionResetError):
            assert await ask(local, b"hello") == b""
    assert b"GET /v1/webapi/connect/app?app=grafana HTTP/1.1\r\n" in stage.requests[0]


async def test_a_port_that_is_taken_is_said(stage: Stage) -> None:
    async with stage.serve(lambda: Heard(stage)), stage.open("http://10.0.0.1") as (local, application):
        other = LocalProxy(application, stage.build_profile(), clock=stage.clock, is_insecure=False)
        with pytest.raises(Unavailable, match=f"cannot listen on {local}"):
            await other.start(local.port)
