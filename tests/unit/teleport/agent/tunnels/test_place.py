import random
from dataclasses import replace

import pytest

from teleport.agent.tunnels.place import Endpoints, Place, choose_place, parse_description, resolve
from teleport.config.settings import ProxySettings, ServiceSettings, Settings
from teleport.errors import BadParameter, ConnectionFailed
from teleport.resources.address import Address
from teleport.resources.role import SystemRole

PROXY = Address("proxy.example.com", 443)
SETTINGS = Settings(nodename="host", proxy_server=PROXY)


def test_tunnels_lead_to_the_proxy_that_is_configured() -> None:
    assert choose_place(SETTINGS, {}) == Place(PROXY, is_told=False, is_insecure=False)


def test_the_environment_overrides_what_is_configured_and_nobody_is_asked() -> None:
    place = choose_place(SETTINGS, {"TELEPORT_TUNNEL_PUBLIC_ADDR": "tunnel.example.com:3024"})
    assert place == Place(Address("tunnel.example.com", 3024), is_told=True, is_insecure=False)


def test_an_address_in_the_environment_that_is_none_is_named() -> None:
    with pytest.raises(BadParameter, match="TELEPORT_TUNNEL_PUBLIC_ADDR"):
        choose_place(SETTINGS, {"TELEPORT_TUNNEL_PUBLIC_ADDR": "https://tunnel"})


def test_an_agent_that_knows_auth_alone_has_no_tunnels() -> None:
    assert choose_place(replace(SETTINGS, proxy_server=None, auth_server=Address("auth", 3025)), {}) is None


def test_an_agent_beside_a_proxy_dials_that() -> None:
    settings = Settings(
        nodename="host",
        services=(ServiceSettings(SystemRole.PROXY),),
        proxy=ProxySettings(web_listen_addr=Address("0.0.0.0", 3080)),
    )
    assert choose_place(settings, {}) == Place(Address("127.0.0.1", 3080), is_told=True, is_insecure=False)


def test_a_proxy_says_where_tunnels_lead_to_or_it_is_the_proxy_itself() -> None:
    said = b'{"proxy": {"ssh": {"ssh_tunnel_public_addr": "tunnel.example.com:3024"}}, "edition": "community"}'
    assert parse_description(said, PROXY) == Address("tunnel.example.com", 3024)
    assert parse_description(b'{"proxy": {"ssh": {"ssh_tunnel_public_addr": ""}}}', PROXY) == PROXY
    assert parse_description(b"{}", PROXY) == PROXY


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"<html>", b'{"proxy": 1}', b'{"proxy": {"ssh": {"ssh_tunnel_public_addr": "a b"}}}']
)
def test_what_is_no_description_is_refused(body: bytes) -> None:
    with pytest.raises(ConnectionFailed, match="does not say"):
        parse_description(body, PROXY)


def test_of_several_addresses_one_without_a_tunnel_and_without_failures_is_dialled() -> None:
    endpoints = Endpoints(random.Random(1))  # noqa: S311 - no secret
    endpoints.tunnels["192.0.2.1"] = 1
    endpoints.failures["192.0.2.2"] = 1
    assert {endpoints.choose(["192.0.2.1", "192.0.2.2", "192.0.2.3"]) for _ in range(20)} == {"192.0.2.3"}
    endpoints.failures["192.0.2.3"] = 1
    chosen = {endpoints.choose(["192.0.2.1", "192.0.2.2", "192.0.2.3"]) for _ in range(50)}
    assert chosen == {"192.0.2.1", "192.0.2.2", "192.0.2.3"}


async def test_an_address_that_is_a_number_needs_no_name() -> None:
    assert await resolve(Address("127.0.0.1", 443)) == ["127.0.0.1"]
