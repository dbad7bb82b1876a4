import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.web.addresses import network_of, render_peer_address


@pytest.mark.parametrize(
    ("sockaddr", "text"),
    [
        (("192.0.2.7", 4242), "192.0.2.7"),
        (("2001:db8::7", 4242, 0, 0), "2001:db8::7"),
        (("::ffff:192.0.2.7", 4242, 0, 0), "192.0.2.7"),
        (("fe80::1%eth0", 4242, 0, 2), "fe80::1"),
    ],
)
def test_a_peer_address_is_written_one_way(sockaddr: tuple[str | int, ...], text: str) -> None:
    assert render_peer_address(sockaddr) == text


def test_ipv4_addresses_stand_for_themselves() -> None:
    assert network_of("192.0.2.7") != network_of("192.0.2.8")


def test_ipv6_addresses_of_one_64_are_one_network() -> None:
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff:ffff:ffff:ffff")


def test_ipv6_addresses_of_two_64s_are_two_networks() -> None:
    assert network_of("2001:db8:1:2::1") != network_of("2001:db8:1:3::1")


@given(st.ip_addresses())
def test_every_address_has_a_network(address: object) -> None:
    assert network_of(render_peer_address((str(address), 1)))
