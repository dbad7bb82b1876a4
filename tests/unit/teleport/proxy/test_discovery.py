import orjson
import pytest

from support.auth import InProcessAuth
from teleport.config.settings import ProxySettings
from teleport.errors import BadParameter
from teleport.pki.jwks import parse_jwks
from teleport.proxy.discovery import offer_discovery
from teleport.resources.address import Address
from teleport.version import VERSION
from teleport.web.call import Call, Peer, Reply, RequestHead
from teleport.web.routes import RouteTable

SETTINGS = ProxySettings(web_listen_addr=Address("0.0.0.0", 443), public_addrs=(Address("proxy.example.com", 443),))


async def ask(target: str, settings: ProxySettings = SETTINGS) -> Reply:
    auth = await InProcessAuth.start()
    offer = offer_discovery(settings, cluster_name="example.com", trust=lambda: auth.authority.trust_bundle)
    head = RequestHead("GET", target, {})
    return await RouteTable(offer.routes).find(head).handler(Call(Peer("192.0.2.7"), b"", head))


@pytest.mark.parametrize("prefix", ["", "/v1"])
async def test_find_says_how_to_reach_the_cluster_with_and_without_a_version(prefix: str) -> None:
    found = orjson.loads((await ask(f"{prefix}/webapi/find")).body)
    assert (found["server_version"], found["cluster_name"]) == (VERSION, "example.com")
    assert found["min_client_version"] == "0.0.0"
    assert found["proxy"]["tls_routing_enabled"] is True
    assert found["proxy"]["ssh"]["public_addr"] == "proxy.example.com:443"
    assert found["proxy"]["ssh"]["web_listen_addr"] == "0.0.0.0:443"
    assert "auth" not in found


async def test_a_proxy_without_a_public_address_names_none() -> None:
    assert orjson.loads((await ask("/webapi/find", ProxySettings())).body)["proxy"]["ssh"]["public_addr"] == ""


async def test_find_says_where_tunnels_lead_to_only_if_that_is_another_address() -> None:
    settings = ProxySettings(tunnel_public_addrs=(Address("tunnel.example.com", 3024),))
    told = [orjson.loads((await ask("/webapi/find", known)).body)["proxy"]["ssh"] for known in (SETTINGS, settings)]
    assert [ssh["ssh_tunnel_public_addr"] for ssh in told] == ["", "tunnel.example.com:3024"]


async def test_ping_adds_how_people_log_in() -> None:
    answer = orjson.loads((await ask("/v1/webapi/ping")).body)
    assert (answer["auth"]["type"], answer["server_version"]) == ("local", VERSION)


async def test_there_are_no_connectors_and_the_answer_repeats_nothing() -> None:
    with pytest.raises(BadParameter) as refusal:
        await ask("/webapi/ping/github-x")
    assert "github-x" not in refusal.value.message


async def test_the_keys_of_the_clusters_tokens_are_published() -> None:
    reply = await ask("/.well-known/jwks.json")
    (key,) = parse_jwks(reply.body.decode()).keys
    assert key.algorithm == "ES256"
    assert key.key_id
    assert b'"d"' not in reply.body


async def test_only_find_is_for_everybody_as_often_as_they_like() -> None:
    auth = await InProcessAuth.start()
    offer = offer_discovery(SETTINGS, cluster_name="x", trust=lambda: auth.authority.trust_bundle)
    assert {route.path for route in offer.routes if route.is_unlimited} == {"/webapi/find", "/v1/webapi/find"}
