import pytest

from teleport.web.call import Peer, RequestHead
from teleport.web.forwarded import resolve_peer

BALANCER = Peer("10.0.0.1", b"certificate")


def resolve(text: str | None, *, trusted: bool = True) -> str:
    head = RequestHead("GET", "/", {} if text is None else {"x-forwarded-for": text})
    peer = resolve_peer(head, BALANCER, trusted=trusted)
    assert peer.certificate_der == b"certificate"
    return peer.remote_addr


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        (" 192.0.2.7 ", "192.0.2.7"),
        ("2001:DB8::7", "2001:db8::7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
    ],
)
def test_the_one_address_of_a_trusted_balancer_counts(text: str, address: str) -> None:
    assert resolve(text) == address


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "192.0.2.7, 192.0.2.8",
        "192.0.2.7,",
        "unknown",
        "192.0.2.7:4711",
        "fe80::1%eth0",
        "[2001:db8::7]",
        "192.0.2.300",
        "1" * 100_000,
    ],
)
def test_hostile_51_anything_but_one_address_is_ignored(text: str | None) -> None:
    assert resolve(text) == BALANCER.remote_addr


def test_hostile_51_without_a_trusted_balancer_the_header_is_ignored() -> None:
    assert resolve("192.0.2.7", trusted=False) == BALANCER.remote_addr
