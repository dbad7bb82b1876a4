import pytest

from teleport.auth.addresses import build_names, find_local_host, find_outward_host
from teleport.config.settings import AuthSettings, Settings
from teleport.resources.address import Address


def test_the_server_is_known_by_its_public_addresses_and_from_this_host() -> None:
    public = (Address("auth.example.com", 3025), Address("192.0.2.7", 443), Address("auth.example.com", 443))
    settings = Settings(nodename="auth", auth=AuthSettings(enabled=True, public_addrs=public))
    assert build_names(settings) == ("auth.example.com", "192.0.2.7", "localhost", "127.0.0.1", "::1")


def test_the_address_that_it_listens_on_is_a_name_unless_it_is_all_of_them() -> None:
    auth = AuthSettings(enabled=True, listen_addr=Address("192.0.2.7", 3025))
    assert build_names(Settings(nodename="auth", auth=auth))[0] == "192.0.2.7"


@pytest.mark.parametrize(
    ("listened_on", "reached_at"),
    [("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("192.0.2.7", "192.0.2.7"), ("127.0.0.1", "127.0.0.1")],
)
def test_the_agent_beside_it_reaches_it(listened_on: str, reached_at: str) -> None:
    assert find_local_host(listened_on) == reached_at


def test_an_address_that_was_chosen_is_the_one_that_is_shown() -> None:
    assert find_outward_host("192.0.2.7") == "192.0.2.7"
