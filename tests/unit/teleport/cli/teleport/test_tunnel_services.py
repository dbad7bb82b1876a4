import pytest

from support.clock import FakeClock
from teleport.cli.teleport.tunnel_services import build_tunnel_services
from teleport.config.settings import ServiceSettings, Settings
from teleport.resources.address import Address
from teleport.resources.role import SystemRole
from teleport.web.readiness import Readiness

PROXY = Address("proxy.example.com", 443)
AUTH = Address("auth.example.com", 3025)


def find_roles(settings: Settings, **environment: str) -> list[SystemRole]:
    clock = FakeClock()
    services = build_tunnel_services(settings, environment, readiness=Readiness(clock), clock=clock)
    return [service.role for service in services]


def build_settings(role: SystemRole, *, proxy: Address | None = None, auth: Address | None = None) -> Settings:
    return Settings(nodename="host", services=(ServiceSettings(role),), proxy_server=proxy, auth_server=auth)


def test_applications_have_tunnels_where_a_proxy_is_known() -> None:
    assert find_roles(build_settings(SystemRole.APP, proxy=PROXY)) == [SystemRole.APP]
    environment = {"TELEPORT_TUNNEL_PUBLIC_ADDR": "proxy.example.com:443"}
    assert find_roles(build_settings(SystemRole.APP, auth=AUTH), **environment) == [SystemRole.APP]


def test_an_agent_that_knows_auth_alone_says_that_its_applications_cannot_be_reached(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert find_roles(build_settings(SystemRole.APP, auth=AUTH)) == []
    assert "set teleport.proxy_server" in caplog.text


def test_services_that_are_not_reached_have_no_tunnels(caplog: pytest.LogCaptureFixture) -> None:
    assert find_roles(build_settings(SystemRole.NODE, proxy=PROXY)) == []
    assert caplog.text == ""
