import asyncio

import pytest

from support.fake_proxies import AUTHORITY, FakeProxy, show_host
from support.tunnels import Heard, PipeEnd, settle
from support.virtual_time import run_in_virtual_time
from support.x509 import HOST_ID, OTHER_HOST_ID, build_bot_template, build_host_template, build_user_template
from teleport.api.tunnels import build_control_preface
from teleport.errors import AccessDenied
from teleport.proxy.tunnels.arrival import SILENT_SECONDS, check_agent
from teleport.proxy.tunnels.service import MAX_ARRIVALS
from teleport.resources.role import SystemRole
from teleport.tunnel.preface import render_preface
from teleport.tunnel.session import Session

PROCESS = "0" * 32
REFUSED = {
    "nobody": None,
    "a user": AUTHORITY.issue_der(build_user_template()),
    "a bot": AUTHORITY.issue_der(build_bot_template()),
    "an instance": AUTHORITY.issue_der(build_host_template(SystemRole.INSTANCE, system_roles=[SystemRole.APP])),
    "an auth server": show_host(role=SystemRole.AUTH),
    "a proxy": show_host(role=SystemRole.PROXY),
    "an administrator": show_host(role=SystemRole.ADMIN),
    "a host of another cluster": AUTHORITY.issue_der(
        build_host_template(SystemRole.APP, cluster_name="other.example.com")
    ),
}


async def dial(proxy: FakeProxy, certificate: bytes | None, process: str = PROCESS) -> tuple[PipeEnd, Session, Heard]:
    """Dial as an agent does; the control stream's end keeps what it hears."""
    near = proxy.take(certificate)
    session, control = Session(is_dialer=True), Heard()
    near.connect(session)
    if not near.is_closing():
        await session.open(render_preface(build_control_preface(process)), lambda: control)
    await settle()
    return near, session, control


@pytest.mark.parametrize("who", list(REFUSED))
async def test_a_tunnel_is_for_a_service_of_a_host_and_for_nobody_else(who: str) -> None:
    with pytest.raises(AccessDenied):
        check_agent(REFUSED[who], "example.com")
    proxy = FakeProxy("one")
    proxy.take(REFUSED[who])
    await settle()
    assert (len(proxy.registry), proxy.closed) == (0, 1)


async def test_a_service_of_a_host_has_a_tunnel_when_its_control_stream_is_open() -> None:
    proxy = FakeProxy("one", "two")
    _, session, control = await dial(proxy, show_host())
    found = proxy.registry.find(HOST_ID)
    assert found is not None
    assert control.data == b'{"proxies":["one","two"]}\n'
    assert proxy.registry.find(OTHER_HOST_ID) is None
    assert proxy.registry.find(HOST_ID, SystemRole.DB) is None
    assert proxy.registry.host_ids() == {HOST_ID}
    assert proxy.count("teleport_reverse_tunnels_connected", type="app") == 1
    session.close()
    await settle()
    assert (proxy.registry.find(HOST_ID), proxy.closed) == (None, 1)
    assert proxy.count("teleport_reverse_tunnels_connected", type="app") == 0


async def test_two_services_of_a_host_have_tunnels_of_their_own() -> None:
    proxy = FakeProxy("one")
    await dial(proxy, show_host())
    await dial(proxy, show_host(role=SystemRole.DB))
    assert len(proxy.registry) == 2
    assert proxy.registry.find(HOST_ID) is not proxy.registry.find(HOST_ID, SystemRole.DB)


async def test_the_newest_tunnel_counts_and_what_is_in_flight_in_the_older_one_goes_on() -> None:
    proxy = FakeProxy("one")
    await dial(proxy, show_host())
    older = proxy.registry.find(HOST_ID)
    assert older is not None
    in_flight = Heard()
    await older.open(render_preface({"to": "app"}), lambda: in_flight)
    _, _, control = await dial(proxy, show_host(), "1" * 32)
    assert proxy.registry.find(HOST_ID) not in {older, None}
    assert not older.is_usable
    assert b"goodbye" not in control.data
    assert proxy.count("teleport_reverse_tunnels_connected", type="app") == 1


async def test_hostile_62_a_process_that_comes_back_after_another_one_is_a_conflict(
    caplog: pytest.LogCaptureFixture,
) -> None:
    proxy = FakeProxy("one")
    for process in ("a" * 32, "b" * 32):
        _, _, control = await dial(proxy, show_host(), process)
        assert proxy.count("teleport_reverse_tunnel_conflicts_total") == 0
    await dial(proxy, show_host(), "a" * 32)
    assert proxy.count("teleport_reverse_tunnel_conflicts_total") == 1
    assert control.data.endswith(b'{"goodbye":"replaced"}\n')
    assert f"two processes have the identity of host {HOST_ID}" in caplog.text


async def test_an_agent_may_open_no_other_stream_and_no_second_control_stream() -> None:
    proxy = FakeProxy("one")
    _, session, _ = await dial(proxy, show_host())
    for preface in ({"to": "app"}, {"to": "auth"}, build_control_preface(PROCESS)):
        stranger = Heard()
        await session.open(render_preface(preface), lambda stranger=stranger: stranger)  # type: ignore[misc]  # a protocol each
        await settle()
        assert stranger.events[-1] == "lost"
    assert len(proxy.registry) == 1


async def test_an_agent_that_writes_on_the_control_stream_loses_the_tunnel() -> None:
    proxy = FakeProxy("one")
    _, _, control = await dial(proxy, show_host())
    control.transport.write(b"hello")
    await settle()
    assert (len(proxy.registry), proxy.closed) == (0, 1)


async def test_an_agent_that_ends_the_control_stream_loses_the_tunnel() -> None:
    proxy = FakeProxy("one")
    _, _, control = await dial(proxy, show_host())
    control.transport.close()
    await settle()
    assert len(proxy.registry) == 0


def test_an_agent_that_says_nothing_is_cut_in_time() -> None:
    async def story() -> list[int]:
        proxy = FakeProxy("one")
        near = proxy.take(show_host())
        near.connect(Session(is_dialer=True))
        await asyncio.sleep(SILENT_SECONDS - 0.1)
        closed = [proxy.closed]
        await asyncio.sleep(0.2)
        return [*closed, proxy.closed]

    assert run_in_virtual_time(story()) == [0, 1]


async def test_so_many_connections_of_a_host_may_say_nothing_and_one_more_is_refused() -> None:
    proxy = FakeProxy("one")
    silent = [proxy.take(show_host()) for _ in range(MAX_ARRIVALS)]
    await settle()
    assert proxy.closed == 0
    proxy.take(show_host())
    await settle()
    assert proxy.closed == 1
    await dial(proxy, show_host(OTHER_HOST_ID))
    assert proxy.registry.host_ids() == {OTHER_HOST_ID}
    silent[0].abort()
    await settle()
    await dial(proxy, show_host())
    assert proxy.registry.host_ids() == {HOST_ID, OTHER_HOST_ID}


async def test_a_proxy_that_is_about_to_end_takes_no_tunnels() -> None:
    proxy = FakeProxy("one")
    proxy.tunnels.announce_end()
    proxy.take(show_host())
    await settle()
    assert (len(proxy.registry), proxy.closed) == (0, 1)
