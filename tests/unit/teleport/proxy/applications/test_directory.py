from datetime import timedelta
from typing import Any, cast

import pytest

from support.clock import FakeClock
from teleport.api.client import Client
from teleport.api.people import AppInfo, AppNamesRequest, AppNamesResponse
from teleport.config.settings import ProxySettings
from teleport.errors import ConnectionFailed
from teleport.proxy.applications.directory import PAUSE, AppDirectory, build_hosts
from teleport.resources.address import Address

FRONT = "front.example.com"


class Auth:
    """Says which applications there are."""

    def __init__(self, **apps: tuple[str, ...]) -> None:
        self.apps = apps
        self.asked: list[str] = []
        self.is_down = False

    async def call(self, _: Any, request: AppNamesRequest) -> AppNamesResponse:
        self.asked.append(request.revision)
        if self.is_down:
            raise ConnectionFailed("away")
        revision = str(self.apps)[:64]
        return AppNamesResponse(revision=revision, apps=None if revision == request.revision else self.apps)


def build(auth: Auth, clock: FakeClock, *public: str) -> AppDirectory:
    addresses = tuple(Address(host, 443) for host in public or (FRONT,))
    settings = ProxySettings(public_addrs=addresses)
    return AppDirectory(settings, nodename="Node-1", client=cast("Client", auth), clock=clock)


async def test_the_name_below_a_public_host_is_an_applications() -> None:
    directory = build(Auth(grafana=()), FakeClock())
    assert directory.is_apps_host(f"grafana.{FRONT}")
    assert await directory.look_up(f"grafana.{FRONT}") == "grafana"
    assert await directory.look_up(f"a.grafana.{FRONT}") is None
    assert not directory.is_apps_host(f"a.grafana.{FRONT}")


async def test_every_public_host_has_applications_below_it() -> None:
    directory = build(Auth(grafana=()), FakeClock(), FRONT, "teleport.example.org")
    assert await directory.look_up("grafana.teleport.example.org") == "grafana"
    assert directory.host_of(build_app("grafana")) == f"grafana.{FRONT}"


async def test_an_application_may_have_a_host_of_its_own() -> None:
    directory = build(Auth(grafana=("graphs.example.net:443", "Graphs.example.org")), FakeClock())
    assert await directory.look_up("graphs.example.net") == "grafana"
    assert await directory.look_up("graphs.example.org") == "grafana"
    assert directory.is_apps_host("graphs.example.net")
    assert directory.host_of(build_app("grafana", "Graphs.example.net:443")) == "graphs.example.net"


@pytest.mark.parametrize(
    "host", [FRONT, "node-1", "localhost", "teleport.cluster.local", "192.0.2.1", "2001:db8::1", "unknown.example"]
)
async def test_hostile_69_no_agent_gets_a_host_of_the_proxy(host: str) -> None:
    directory = build(Auth(evil=(host,)), FakeClock())
    await directory.look_up(f"evil.{FRONT}")
    assert directory.is_apps_host(host) is (host == "unknown.example")


async def test_a_name_below_a_public_host_belongs_to_the_application_of_that_name() -> None:
    directory = build(Auth(evil=(f"grafana.{FRONT}",), grafana=()), FakeClock())
    assert await directory.look_up(f"grafana.{FRONT}") == "grafana"


def test_of_two_applications_with_one_address_the_first_by_name_has_it() -> None:
    assert build_hosts({"b": ("x.example",), "a": ("x.example",)}) == {"x.example": "a"}


async def test_unknown_names_ask_auth_once_in_a_while() -> None:
    auth, clock = Auth(), FakeClock()
    directory = build(auth, clock)
    for _ in range(3):
        assert await directory.look_up(f"wiki.{FRONT}") is None
    assert len(auth.asked) == 1
    auth.apps = {"wiki": ()}
    clock.advance(PAUSE - timedelta(milliseconds=1))
    assert await directory.look_up(f"wiki.{FRONT}") is None
    clock.advance(timedelta(milliseconds=1))
    assert await directory.look_up(f"wiki.{FRONT}") == "wiki"


async def test_what_is_known_stays_known_while_auth_is_away() -> None:
    auth, clock = Auth(grafana=()), FakeClock()
    directory = build(auth, clock)
    await directory.look_up(f"grafana.{FRONT}")
    auth.is_down = True
    clock.advance(timedelta(hours=1))
    assert await directory.look_up(f"wiki.{FRONT}") is None
    assert directory.find(f"grafana.{FRONT}") == "grafana"


async def test_nothing_is_told_twice() -> None:
    auth, clock = Auth(grafana=()), FakeClock()
    directory = build(auth, clock)
    await directory.look_up(f"grafana.{FRONT}")
    clock.advance(PAUSE)
    await directory.look_up(f"wiki.{FRONT}")
    assert auth.asked[0] == ""
    assert auth.asked[1]
    assert directory.find(f"grafana.{FRONT}") == "grafana"


def test_a_port_other_than_443_is_part_of_every_origin() -> None:
    settings = ProxySettings(public_addrs=(Address(FRONT, 3080),))
    directory = AppDirectory(settings, nodename="n", client=cast("Client", Auth()), clock=FakeClock())
    assert directory.proxy_origin == f"https://{FRONT}:3080"
    assert directory.origin_of("x.example") == "https://x.example:3080"


def build_app(name: str, public_addr: str = "") -> AppInfo:
    return AppInfo(name=name, description="", uri="http://x", public_addr=public_addr, protocol="", labels={})
