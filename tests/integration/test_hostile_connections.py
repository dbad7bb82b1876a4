"""Hostile certificates and connections at a live auth server, by their numbers in the list of hostile inputs."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from support.auth import InProcessAuth, build_token
from support.authorities import replace_keys
from support.cluster import AuthFactory, AuthServer
from support.network_auth import NetworkAuth, build_clock, run_auth
from support.processes import PATIENCE, wait_until
from support.raw_client import build_context, send
from support.strangers import Stranger
from teleport.api.client import connect
from teleport.api.identity import Identity
from teleport.api.joined import generate_keys
from teleport.api.messages import Empty
from teleport.api.operations import PING
from teleport.auth.join_request import parse_keys
from teleport.errors import AccessDenied, ConnectionFailed, TrustError
from teleport.pki.authority import create_ssh_authority, create_tls_authority
from teleport.pki.leaf import parse_leaf
from teleport.resources.authority import AuthorityType, KeySet
from teleport.resources.role import SystemRole

HOUR = timedelta(hours=1)
PING_HEAD = b"POST /v1/ping HTTP/1.1\r\nHost: auth\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
MEBIBYTE = 1024 * 1024


@contextmanager
def open_connection(auth: AuthServer, context: ssl.SSLContext, *, name: str = "127.0.0.1") -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection((auth.address.host, auth.address.port), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        yield connection


def read_all(connection: ssl.SSLSocket) -> bytes:
    """Read until the server closes, however it does so."""
    received = b""
    with suppress(OSError):
        while chunk := connection.recv(65536):
            received += chunk
    return received


def assert_no_http(auth: AuthServer, context: ssl.SSLContext) -> None:
    """The connection ends, in the handshake or right after it, without a byte of HTTP."""
    with suppress(ssl.SSLError, ConnectionError), open_connection(auth, context) as connection:
        connection.sendall(PING_HEAD)
        assert read_all(connection) == b""


async def join(auth: NetworkAuth) -> Identity:
    token = await auth.stores.tokens.create(build_token())
    stranger = auth.make_stranger()
    return stranger.identity(await stranger.join(token.name))


def sign_user(auth: NetworkAuth, ttl: timedelta) -> Identity:
    keys = generate_keys()
    public = parse_keys(keys.build_public_keys("alice"), auth.authority.reserved_keys)
    issued = auth.authority.issue_user(user="alice", roles=("editor",), ttl=ttl, keys=public)
    return Identity(
        tls_key=keys.tls_key,
        tls_certificate=issued.certificates.tls_certificate,
        ssh_key=keys.ssh_key,
        ssh_certificate=issued.certificates.ssh_certificate,
        host_ca_certificates=auth.authority.host_ca_certificates,
    )


@pytest.mark.parametrize("cluster_name", ["elsewhere.example.net", "example.com"])
def test_hostile_42_a_certificate_of_another_cluster_fails_the_handshake(
    auth: AuthServer, make_auth: AuthFactory, cluster_name: str
) -> None:
    other = make_auth("other", cluster_name=cluster_name).start()
    failures = auth.count("teleport_connections_refused_total", {"reason": "handshake"})
    context = build_context(auth, None)
    context.load_cert_chain(write_chain(other, other.admin))

    assert_no_http(auth, context)

    assert auth.count("teleport_connections_refused_total", {"reason": "handshake"}) == failures + 1


def write_chain(auth: AuthServer, identity: Identity) -> Path:
    path = auth.folder / "identity.pem"
    path.touch(mode=0o600)
    path.write_text(identity.tls_certificate + identity.tls_key)
    return path


def test_hostile_42_a_session_is_never_resumed(auth: AuthServer) -> None:
    context = build_context(auth, auth.admin)
    with open_connection(auth, context) as first:
        first.sendall(PING_HEAD)
        assert first.recv(65536).startswith(b"HTTP/1.1 200")
        session = first.session

    assert session is None or not session.has_ticket
    with (
        socket.create_connection((auth.address.host, auth.address.port), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as second,
    ):
        assert not second.session_reused


def test_hostile_42_a_certificate_of_a_dropped_ca_fails_the_handshake(make_auth: AuthFactory) -> None:
    auth = make_auth().start()
    stranger = Stranger(auth.address, auth.admin.host_ca_certificates)
    identity = stranger.identity(asyncio.run(stranger.join(auth.add_token())))
    assert send(auth, "/v1/ping", identity=identity)[0] == 200
    auth.process.stop()
    replace_keys(auth)
    auth.start()
    trusting = Identity(**{**dict(identity), "host_ca_certificates": auth.admin.host_ca_certificates})

    with pytest.raises(ConnectionFailed):
        auth.ask(PING, Empty(), trusting)


async def test_hostile_42_a_kept_connection_is_cut_when_its_ca_loses_trust(tmp_path: Path) -> None:
    async with run_auth(tmp_path, clock=build_clock()) as auth:
        identity = await join(auth)
        async with connect(auth.address, identity) as client:
            await client.call(PING, Empty())
            await drop_authority(auth)

            with pytest.raises((ConnectionFailed, TrustError)):
                await client.call(PING, Empty())


async def drop_authority(auth: NetworkAuth) -> None:
    """Let the cluster sign with new host keys and trust no old ones, and wait until the server has noticed."""
    host = await auth.stores.authorities.get(AuthorityType.HOST)
    now = build_clock().now()
    pair = create_tls_authority(auth.authority.cluster_name, not_before=now, not_after=now + 24 * HOUR)
    spec = host.spec.model_copy(update={"active_keys": KeySet(tls=(pair,), ssh=(create_ssh_authority(),))})
    before = auth.authority.trust_bundle.revision
    await auth.stores.authorities.replace(host.model_copy(update={"spec": spec}))
    await asyncio.to_thread(wait_until, lambda: auth.authority.trust_bundle.revision != before, "trust has changed")


async def test_hostile_42_a_certificate_that_expires_on_a_kept_connection_is_refused(tmp_path: Path) -> None:
    clock = build_clock()
    async with run_auth(tmp_path, clock=clock) as auth:
        identity = sign_user(auth, HOUR)
        async with connect(auth.address, identity) as client:
            await client.call(PING, Empty())
            clock.advance(2 * HOUR)

            with pytest.raises(AccessDenied, match="expired"):
                await client.call(PING, Empty())


async def test_hostile_49_an_expired_client_certificate_fails_the_handshake(tmp_path: Path) -> None:
    clock = build_clock()
    async with run_auth(tmp_path, clock=clock) as auth:
        identity = sign_user(auth, timedelta(seconds=-1))

        async with connect(auth.address, identity) as client:
            with pytest.raises(ConnectionFailed):
                await client.call(PING, Empty())


async def test_hostile_44_ten_thousand_certificates_have_as_many_serials() -> None:
    auth = await InProcessAuth.start()
    keys = auth.certify()

    serials = {
        auth.authority.issue_user(user="alice", roles=("editor",), ttl=HOUR, keys=keys).serial for _ in range(10_000)
    }

    assert len(serials) == 10_000
    assert min(len(serial) for serial in serials) > 28


@pytest.mark.parametrize("framing", [b"Content-Length: 209715200", b"Transfer-Encoding: chunked"])
def test_hostile_45_an_enormous_body_is_refused_before_it_is_read(auth: AuthServer, framing: bytes) -> None:
    before = auth.process.resident_bytes()
    head = b"POST /v1/join HTTP/1.1\r\nHost: auth\r\nContent-Type: application/json\r\n" + framing + b"\r\n\r\n"
    chunk = b"10000\r\n" + bytes(65536) + b"\r\n" if b"chunked" in framing else bytes(65536)

    sent = 0
    with open_connection(auth, build_context(auth, None)) as connection:
        connection.sendall(head)
        answer = connection.recv(65536)
        with suppress(OSError):
            while sent < 200 * MEBIBYTE:
                connection.sendall(chunk)
                sent += len(chunk)

    assert answer.startswith(b"HTTP/1.1 413" if b"Length" in framing else b"HTTP/1.1 400")
    assert auth.process.resident_bytes() - before < 16 * MEBIBYTE
    assert send(auth, "/v1/ping", identity=auth.admin)[0] == 200


def test_hostile_49_tls_1_2_is_not_spoken(auth: AuthServer) -> None:
    context = build_context(auth, auth.admin)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises(ssl.SSLError), open_connection(auth, context):
        pass


@pytest.mark.parametrize("protocols", [["h2"], ["http/1.0"], ["teleport-auth@", "h2"], None], ids=str)
def test_hostile_49_another_protocol_is_closed_before_http(auth: AuthServer, protocols: list[str] | None) -> None:
    context = ssl.create_default_context(cadata="".join(auth.admin.host_ca_certificates))
    context.load_cert_chain(write_chain(auth, auth.admin))
    if protocols is not None:
        context.set_alpn_protocols(protocols)

    assert_no_http(auth, context)


@pytest.mark.parametrize("name", ["nobody.example.net", "teleport.cluster.local", "127.0.0.1"])
def test_hostile_49_the_name_that_a_client_asks_for_does_not_matter(auth: AuthServer, name: str) -> None:
    context = build_context(auth, auth.admin)
    context.check_hostname = False

    with open_connection(auth, context, name=name) as connection:
        connection.sendall(PING_HEAD)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert parse_leaf(connection.getpeercert(binary_form=True) or b"").roles == (SystemRole.AUTH,)


def test_hostile_49_plain_http_gets_no_answer(auth: AuthServer) -> None:
    with socket.create_connection((auth.address.host, auth.address.port), timeout=PATIENCE) as plain:
        plain.sendall(PING_HEAD)
        received = b""
        with suppress(OSError):
            while chunk := plain.recv(65536):
                received += chunk

    assert b"HTTP" not in received
