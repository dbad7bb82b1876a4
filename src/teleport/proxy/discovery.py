"""What strangers may know of the cluster: how to reach it, its version, and the keys of its JSON web tokens."""

from collections.abc import Callable
from http import HTTPStatus

import orjson

from teleport.api.messages import TrustBundle
from teleport.config.settings import ProxySettings
from teleport.errors import BadParameter
from teleport.pki.jwks import render_jwks
from teleport.proxy.offer import Offer, with_and_without_version
from teleport.resources.authority import AuthorityType
from teleport.version import VERSION, find_oldest_client
from teleport.web.call import Call, Handler, Reply, Route

JWKS_PATH = "/.well-known/jwks.json"
_JWKS_AGE = "public, max-age=300"


def offer_discovery(settings: ProxySettings, *, cluster_name: str, trust: Callable[[], TrustBundle]) -> Offer:
    """Return the pages by which agents and people find their way; what never changes is rendered once.

    Args:
        settings: of the proxy.
        cluster_name: of its cluster.
        trust: returns what the cluster trusts at present.
    """
    found = build_description(settings, cluster_name=cluster_name)
    find, ping = Reply(HTTPStatus.OK, orjson.dumps(found)), Reply(HTTPStatus.OK, orjson.dumps(found | _build_login()))

    async def answer_find(_: Call) -> Reply:
        return find

    async def answer_ping(_: Call) -> Reply:
        return ping

    async def refuse_connector(_: Call) -> Reply:
        raise BadParameter("there is no such connector: local users are the only ones who log in here")

    async def answer_keys(_: Call) -> Reply:
        keys = render_jwks(trust().jwt.get(AuthorityType.JWT, ()))
        return Reply(HTTPStatus.OK, keys, cache_control=_JWKS_AGE)

    pages = (
        _build_page("/webapi/find", answer_find, is_unlimited=True),
        _build_page("/webapi/ping", answer_ping),
        _build_page("/webapi/ping/*", refuse_connector),
    )
    versioned = tuple(route for page in pages for route in with_and_without_version(page))
    return Offer(routes=(*versioned, _build_page(JWKS_PATH, answer_keys)))


def build_description(settings: ProxySettings, *, cluster_name: str) -> dict[str, object]:
    """Return what `/webapi/find` says, in the original's fields as far as they mean something here.

    Args:
        settings: of the proxy.
        cluster_name: of its cluster.
    """
    listen_addr = str(settings.web_listen_addr)
    public_addr = str(settings.public_addrs[0]) if settings.public_addrs else ""
    return {
        "proxy": {
            "kube": {"enabled": False},
            "ssh": {
                "listen_addr": listen_addr,
                "tunnel_listen_addr": listen_addr,
                "web_listen_addr": listen_addr,
                "public_addr": public_addr,
                "ssh_public_addr": "",
                "ssh_tunnel_public_addr": str(settings.tunnel_public_addrs[0]) if settings.tunnel_public_addrs else "",
            },
            "db": {},
            "tls_routing_enabled": True,
        },
        "server_version": VERSION,
        "min_client_version": find_oldest_client(VERSION),
        "cluster_name": cluster_name,
        "automatic_upgrades": False,
        "auto_update": {"agent_version": VERSION, "agent_auto_update": False, "tools_version": VERSION},
        "edition": "community",
        "fips": False,
    }


def _build_login() -> dict[str, object]:
    """Return how people log in, which `/webapi/ping` says in addition."""
    return {
        "auth": {
            "type": "local",
            "second_factor": "otp",
            "preferred_local_mfa": "otp",
            "allow_passwordless": False,
            "allow_headless": False,
            "local": {"name": ""},
            "private_key_policy": "none",
            "device_trust": {"disabled": True},
            "has_motd": False,
        }
    }


def _build_page(path: str, handler: Handler, *, is_unlimited: bool = False) -> Route:
    return Route(path, "GET", handler, anonymous=True, max_body=0, is_page=True, is_unlimited=is_unlimited)
