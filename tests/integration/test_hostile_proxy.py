"""Hostile bytes and connections at a live proxy, by their numbers in the list of hostile inputs."""

import json
import socket
import ssl
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from support.cluster import AuthServer
from support.processes import PATIENCE, Processes, wait_until
from support.proxy import Proxy, build_credulous_context, read_all
from support.tls_certificates import ThrowawayAuthority

FIND = b"GET /webapi/find HTTP/1.1\r\nHost: x\r\n\r\n"
SMUGGLED = b"GET /webapi/ping HTTP/1.1\r\nHost: smuggled\r\n\r\n"
MEBIBYTE = 1024 * 1024
TIGHT = {"connection_limits": {"rates": [{"period": "1h", "average": 1, "burst": 5}]}}


@pytest.fixture(scope="module")
def proxy(auth: AuthServer, shared_processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> Proxy:
    """A proxy that all tests of this module share."""
    return Proxy(shared_processes, tmp_path_factory.mktemp("shared") / "front", auth).start()


def is_answered(proxy: Proxy) -> bool:
    return proxy.get("/webapi/find")[0] == 200


def test_hostile_45_a_huge_body_is_refused_before_it_is_read_and_memory_stays(proxy: Proxy) -> None:
    before = proxy.process.resident_bytes()
    head = f"POST /webapi/find HTTP/1.1\r\nHost: x\r\nContent-Length: {200 * MEBIBYTE}\r\n\r\n".encode()
    with proxy.connect() as connection:
        connection.sendall(head)
        with suppress(OSError):
            for _ in range(64):
                connection.sendall(bytes(MEBIBYTE))
        assert read_all(connection)[:13] in (b"HTTP/1.1 405 ", b"HTTP/1.1 413 ", b"")
    assert proxy.process.resident_bytes() - before < 16 * MEBIBYTE
    assert is_answered(proxy)


def test_hostile_46_slow_and_idle_peers_are_closed_by_deadline_and_others_are_served(proxy: Proxy) -> None:
    with ExitStack() as stack:
        halves = [stack.enter_context(socket.create_connection(tuple_of(proxy), timeout=PATIENCE)) for _ in range(50)]
        for half in halves:
            half.sendall(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a TLS hello
        idle = [stack.enter_context(proxy.connect()) for _ in range(50)]
        slow = stack.enter_context(proxy.connect())
        slow.sendall(b"GET /webapi/find HTTP/1.1\r\nHost:")
        assert is_answered(proxy)
        for half in halves:
            with suppress(ConnectionError):
                assert half.recv(1) == b""
        assert all(read_all(connection) == b"" for connection in [*idle, slow])
    assert is_answered(proxy)


def tuple_of(proxy: Proxy) -> tuple[str, int]:
    return proxy.address.host, proxy.address.port


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nAAAAA",
        b"Content-Length: 5, 5\r\n\r\nAAAAA",
        b"Content-Length: +5\r\n\r\nAAAAA",
        b"Transfer-Encoding: chunked\r\n\r\n5;ext=1\r\nAAAAA\r\n0\r\n\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"X: a\nContent-Length: 4\n\nAAAA",
        b"X: a\rY: b\r\n\r\n",
        b"X: a\x00b\r\n\r\n",
        b" folded: 1\r\n\r\n",
        b"Host: other\r\n\r\n",
    ],
    ids=lambda lines: lines[:40].decode("latin-1").encode("unicode_escape").decode(),
)
def test_hostile_47_what_could_be_read_in_two_ways_is_refused_and_nothing_after_it_is_read(
    proxy: Proxy, lines: bytes
) -> None:
    answer = proxy.send(b"GET /webapi/find HTTP/1.1\r\nHost: x\r\n" + lines + SMUGGLED)
    assert answer.startswith(b"HTTP/1.1 4")
    assert answer.count(b"HTTP/1.1 4") == 1
    assert b"HTTP/1.1 200" not in answer


def test_hostile_47_the_preface_of_http_2_is_refused(proxy: Proxy) -> None:
    assert proxy.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", protocols=("h2",)).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "nonsense"])
def test_hostile_48_a_compressed_body_is_not_read(proxy: Proxy, encoding: str) -> None:
    lines = ("Content-Type: application/json", f"Content-Encoding: {encoding}", "Content-Length: 1000000")
    assert proxy.get("/webapi/ping", *lines)[0] in (413, 415)


@pytest.mark.parametrize(
    ("lowest", "highest"),
    [
        (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1),
        (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_hostile_49_older_versions_of_tls_fail_the_handshake(
    proxy: Proxy, lowest: ssl.TLSVersion, highest: ssl.TLSVersion
) -> None:
    context = build_credulous_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = lowest, highest
    with pytest.raises((ssl.SSLError, ConnectionError)), proxy.connect(context=context):
        pass


def test_hostile_49_a_certificate_of_another_authority_fails_the_handshake(proxy: Proxy, tmp_path: Path) -> None:
    leaf = ThrowawayAuthority.create().issue("agent")
    (tmp_path / "leaf.pem").write_text(leaf.certificate_pem + leaf.key_pem)
    context = build_credulous_context()
    context.load_cert_chain(tmp_path / "leaf.pem")
    with suppress(ssl.SSLError, ConnectionError):
        assert proxy.send(FIND, context=context) == b""


@pytest.mark.parametrize("protocol", ["h2", "teleport-nonsense/1", "ftp", "x" * 255])
def test_hostile_49_who_names_an_unknown_protocol_gets_none_and_at_most_http(proxy: Proxy, protocol: str) -> None:
    with proxy.connect(protocols=(protocol,)) as connection:
        assert connection.selected_alpn_protocol() is None
        connection.sendall(b"\x00" * 64)
        assert read_all(connection).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("name", ["a" * 63 + ".example.com", "xn--e1afmkfd.example.com", "127.0.0.1", "auth"])
def test_hostile_49_any_name_gets_a_web_certificate_and_never_the_clusters(proxy: Proxy, name: str) -> None:
    assert "localhost" in proxy.look_at_certificate(name).names


def test_hostile_49_a_name_that_is_no_text_fails_the_handshake_and_fills_no_log(proxy: Proxy) -> None:
    before = len(proxy.process.log)
    with socket.create_connection(tuple_of(proxy), timeout=PATIENCE) as plain:
        plain.sendall(write_hello(b"\xff\xfe.example.com"))
        with suppress(ConnectionError):
            assert b"HTTP" not in plain.recv(65536)
    assert is_answered(proxy)
    assert proxy.process.log[before:] == ""


def write_hello(name: bytes) -> bytes:
    """Return a TLS hello that asks for a name as it stands."""
    stand_in = "a" * len(name)
    outgoing = ssl.MemoryBIO()
    end = build_credulous_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=stand_in)
    with suppress(ssl.SSLWantReadError):
        end.do_handshake()
    return outgoing.read().replace(stand_in.encode(), name)


def test_hostile_51_a_forged_address_does_not_dodge_the_rate(
    auth: AuthServer, processes: Processes, tmp_path: Path
) -> None:
    proxy = Proxy(processes, tmp_path / "tight", auth, teleport=TIGHT).start()
    statuses = [proxy.get("/webapi/ping", f"X-Forwarded-For: 192.0.2.{number}")[0] for number in range(8)]
    assert statuses == [200] * 5 + [429] * 3
    assert proxy.get("/webapi/find")[0] == 200


def test_hostile_51_behind_a_balancer_only_one_address_counts(
    auth: AuthServer, processes: Processes, tmp_path: Path
) -> None:
    service = {"trust_x_forwarded_for": "yes"}
    proxy = Proxy(processes, tmp_path / "behind", auth, service, teleport=TIGHT).start()
    single = [proxy.get("/webapi/ping", f"X-Forwarded-For: 192.0.2.{number}")[0] for number in range(8)]
    assert single == [200] * 8
    double = [proxy.get("/webapi/ping", f"X-Forwarded-For: 192.0.2.{number}, 10.0.0.9")[0] for number in range(8)]
    assert double == [200] * 5 + [429] * 3


def test_hostile_30_one_address_has_so_many_connections_and_no_more(
    auth: AuthServer, processes: Processes, tmp_path: Path
) -> None:
    limits = {"connection_limits": {"max_connections": 20}}
    proxy = Proxy(processes, tmp_path / "few", auth, teleport=limits).start()
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(proxy.connect())
        with pytest.raises((OSError, ssl.SSLError)), proxy.connect():
            pass

    def is_back() -> bool:
        with suppress(OSError):
            return is_answered(proxy)
        return False

    wait_until(is_back, "connections that are closed make room")


def test_a_refusal_has_the_originals_shape_and_repeats_nothing(proxy: Proxy) -> None:
    status, body = proxy.get("/web/<script>secret</script>")
    assert status == 404
    assert json.loads(body)["error"]["message"]
    assert "secret" not in body
    assert "secret" not in proxy.process.log
