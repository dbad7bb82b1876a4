import asyncio
import socket
import ssl

import pytest

from teleport.errors import AccessDenied, BadParameter, ConnectionFailed
from teleport.web.forwarding.targets import Target, build_context, check_address, check_name, parse_target

METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fe80::1%eth0",
    "::ffff:169.254.169.254",
    "::ffff:100.100.100.200",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
]


@pytest.mark.parametrize("address", METADATA)
def test_hostile_68_metadata_and_link_local_addresses_are_refused(address: str) -> None:
    for host in ("app.internal", "2852039166", "0xa9fea9fe", "169.254.43518"):
        with pytest.raises(AccessDenied):
            check_address(host, address)


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "fe80::1"])
def test_hostile_68_they_are_allowed_where_the_uri_names_exactly_that_address(address: str) -> None:
    check_address(address, address)
    with pytest.raises(AccessDenied):
        check_address(address, "169.254.169.253")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "::1",
        "10.0.0.5",
        "192.168.1.1",
        "100.100.100.201",
        "169.253.255.255",
        "169.255.0.0",
        "fd00:ec2::253",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "1.0.0.0",
    ],
)
def test_other_addresses_are_allowed_and_so_is_loopback(address: str) -> None:
    check_address("app.internal", address)


@pytest.mark.parametrize("host", ["metadata.google.internal", "Metadata.Google.Internal.", "metadata", "instance-data"])
def test_hostile_68_names_of_metadata_services_are_refused_before_they_are_asked_for(host: str) -> None:
    with pytest.raises(AccessDenied):
        check_name(host)
    check_name("my-" + host)


@pytest.mark.parametrize(
    ("uri", "scheme", "host", "port", "header"),
    [
        ("http://localhost:8080", "http", "localhost", 8080, b"localhost:8080"),
        ("http://App.Internal", "http", "app.internal", 80, b"app.internal"),
        ("https://app.internal/", "https", "app.internal", 443, b"app.internal"),
        ("https://[2001:db8::1]:8443/x", "https", "2001:db8::1", 8443, b"[2001:db8::1]:8443"),
        ("http://app.internal:443", "http", "app.internal", 443, b"app.internal:443"),
        ("tcp://db.internal:5432", "tcp", "db.internal", 5432, b"db.internal:5432"),
    ],
)
def test_a_uri_is_read(uri: str, scheme: str, host: str, port: int, header: bytes) -> None:
    target = parse_target(uri)
    assert (target.scheme, target.host, target.port, target.host_header) == (scheme, host, port, header)
    assert (target.context is not None) is (scheme == "https")


@pytest.mark.parametrize(
    "uri", ["", "localhost:8080", "ftp://a", "http://", "tcp://a", "http://a:b", "http://a:99999", "http://[::1", "/a"]
)
def test_what_is_no_uri_of_an_application_is_refused(uri: str) -> None:
    with pytest.raises(BadParameter):
        parse_target(uri)


def test_an_application_proves_its_name_unless_told_otherwise() -> None:
    strict, lax = build_context(insecure_skip_verify=False), build_context(insecure_skip_verify=True)
    assert (strict.verify_mode, strict.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (lax.verify_mode, lax.check_hostname) == (ssl.CERT_NONE, False)
    assert {strict.minimum_version, lax.minimum_version} == {ssl.TLSVersion.TLSv1_2}


def lead_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Let every name lead to the addresses; return where connections were tried."""
    tried: list[str] = []

    async def getaddrinfo(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in addresses]

    async def create_connection(_: object, host: str, *__: object, **___: object) -> object:
        tried.append(host)
        if host == addresses[-1]:
            return "connected", None
        raise ConnectionRefusedError

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(loop, "create_connection", create_connection)
    return tried


async def test_each_address_is_tried_until_one_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = lead_to(monkeypatch, "10.0.0.1", "10.0.0.2", "10.0.0.2")
    assert str(await Target("http", "app.internal", 80).open(asyncio.Protocol)) == "connected"
    assert tried == ["10.0.0.1", "10.0.0.2"]


async def test_hostile_68_a_name_that_leads_elsewhere_when_it_is_used_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = Target("http", "app.internal", 80)
    lead_to(monkeypatch, "10.0.0.1")
    await target.open(asyncio.Protocol)
    tried = lead_to(monkeypatch, "10.0.0.1", "169.254.169.254")
    with pytest.raises(AccessDenied):
        await target.open(asyncio.Protocol)
    assert tried == []


async def test_a_target_that_nobody_answers_at_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    lead_to(monkeypatch, "10.0.0.1", "")

    async def getaddrinfo(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 80))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    with pytest.raises(ConnectionFailed, match=r"nothing answers at app\.internal:80"):
        await Target("http", "app.internal", 80).open(asyncio.Protocol)


async def test_a_name_that_is_not_known_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(*_: object, **__: object) -> list[object]:
        raise socket.gaierror

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    with pytest.raises(ConnectionFailed, match=r"app\.internal"):
        await Target("http", "app.internal", 80).open(asyncio.Protocol)
