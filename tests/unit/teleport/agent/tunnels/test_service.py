import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from support.clock import FakeClock
from support.fake_proxies import AUTHORITY, FakeProxy, show_host
from support.tunnels import settle
from support.x509 import NOW, build_authority
from teleport.agent.tunnels.place import Place
from teleport.agent.tunnels.pool import Handlers
from teleport.agent.tunnels.service import TunnelService, cut_distrusted, serve_nothing
from teleport.api.host import Host
from teleport.pki.leaf import TrustSet
from teleport.resources.address import Address
from teleport.resources.role import SystemRole
from teleport.tunnel.session import Session
from teleport.web.readiness import Readiness

PLACE = Place(Address("127.0.0.1", 1), is_told=True, is_insecure=False)


@pytest.mark.parametrize(("trusted", "is_cut"), [(AUTHORITY.pem, False), (build_authority().pem, True)])
async def test_tunnels_to_proxies_that_are_not_trusted_any_more_are_cut(trusted: str, *, is_cut: bool) -> None:
    session = Session(is_dialer=True)
    near = FakeProxy("one").take(show_host())
    near.connect(session)
    cut_distrusted([session], TrustSet([trusted]), NOW)
    await settle()
    assert near.is_closing() is is_cut


async def test_a_service_makes_what_takes_streams_for_each_run_and_ends_it_with_the_run() -> None:
    hosts: list[str] = []

    @asynccontextmanager
    async def serve(host: Host) -> AsyncIterator[Handlers]:
        hosts.append(host.host_id)
        try:
            yield {}
        finally:
            hosts.append("ended")

    class JoinedHost:
        host_id = "host-1"
        cluster_name = "example.com"

        async def wait_for_change(self) -> None:
            await asyncio.Event().wait()

        def identity(self, role: SystemRole) -> None:
            assert role is SystemRole.APP
            raise RuntimeError("nobody dials here")

    clock = FakeClock()
    service = TunnelService(PLACE, role=SystemRole.APP, clock=clock, readiness=Readiness(clock), serve=serve)
    with pytest.raises(ExceptionGroup):
        await service.run(JoinedHost())  # type: ignore[arg-type]  # it is asked for no more
    assert hosts == ["host-1", "ended"]


async def test_without_anything_to_take_them_streams_are_refused() -> None:
    async with serve_nothing(None) as handlers:  # type: ignore[arg-type]  # it is not asked
        assert handlers == {}
