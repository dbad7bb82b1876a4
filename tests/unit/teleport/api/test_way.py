import pytest

from teleport.api.way import ThroughProxy, choose_way
from teleport.resources.address import Address

AUTH = Address("auth.example.com", 3025)
PROXY = Address("proxy.example.com", 443)


def test_an_auth_server_is_reached_directly() -> None:
    assert choose_way(AUTH, None) == AUTH


@pytest.mark.parametrize("insecure", [True, False])
def test_a_proxy_is_gone_through(insecure: bool) -> None:
    assert choose_way(None, PROXY, is_insecure=insecure) == ThroughProxy(PROXY, is_insecure=insecure)


@pytest.mark.parametrize("port", [443, 3080])
def test_an_auth_server_with_a_proxys_port_may_be_either(port: int) -> None:
    address = Address("auth.example.com", port)
    assert choose_way(address, None) == ThroughProxy(address, may_be_auth=True)


def test_without_any_address_there_is_no_way() -> None:
    assert choose_way(None, None) is None


def test_a_way_is_written_as_people_type_it() -> None:
    assert str(ThroughProxy(PROXY)) == "proxy.example.com:443"
