import pytest

from teleport.config.names import (
    MAX_ADDRESS,
    MAX_NODENAME,
    parse_address_or_host,
    parse_auth_address,
    parse_diag_address,
    parse_nodename,
    parse_proxy_address,
)
from teleport.errors import BadParameter
from teleport.resources.address import Address


def test_a_missing_port_is_that_of_the_kind() -> None:
    assert parse_auth_address("auth") == Address("auth", 3025)
    assert parse_proxy_address("proxy") == Address("proxy", 3080)
    assert parse_diag_address("127.0.0.1") == Address("127.0.0.1", 3000)


def test_a_host_stays_as_it_was_written() -> None:
    assert parse_address_or_host(" node.example.com:3022 ") == "node.example.com:3022"
    assert parse_address_or_host("::1") == "::1"


@pytest.mark.parametrize("text", ["", "  ", "a b", "https://auth:3025", "auth:port", "auth:70000", "a/b"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadParameter):
        parse_auth_address(text)


def test_a_nodename_has_255_characters_and_not_256() -> None:
    assert parse_nodename("a" * MAX_NODENAME)
    with pytest.raises(BadParameter):
        parse_nodename("a" * (MAX_NODENAME + 1))


@pytest.mark.parametrize("text", ["", "-a", "a b", "a\n", "ä", "a/b", "a."])
def test_what_is_no_nodename_is_refused(text: str) -> None:
    with pytest.raises(BadParameter):
        parse_nodename(text)


def test_an_address_has_300_characters_and_not_301() -> None:
    port = "3025"
    address = "a:" + port.zfill(MAX_ADDRESS - 2)
    assert parse_auth_address(address) == Address("a", 3025)
    with pytest.raises(BadParameter, match="longer than"):
        parse_auth_address("a:" + port.zfill(MAX_ADDRESS - 1))
