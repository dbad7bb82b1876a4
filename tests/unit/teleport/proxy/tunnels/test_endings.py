import asyncio
from typing import Any

import pytest

from support.fake_proxies import AUTHORITY, FakeProxy, show_host
from support.tunnels import Heard
from support.virtual_time import run_in_virtual_time
from support.x509 import HOST_ID, NOW, OTHER_HOST_ID, build_authority, build_host_template
from teleport.api.messages import EndedMembershipsRequest, EndedMembershipsResponse, TrustBundle
from teleport.api.operations import ENDED_MEMBERSHIPS
from teleport.api.tunnels import build_control_preface
from teleport.errors import TeleportError, Unavailable
from teleport.proxy.tunnels import endings
from teleport.proxy.tunnels.endings import LOOK_EVERY, Endings
from teleport.resources.authority import AuthorityType
from teleport.resources.role import SystemRole
from teleport.tunnel.preface import render_preface
from teleport.tunnel.session import Session

SOON = LOOK_EVERY.total_seconds() + 1


class FakeHost:
    """The proxy's process: what it trusts, and an auth server that knows which pods have ended."""

    def __init__(self) -> None:
        self.client = self
        self.ended: set[str] = set()
        self.asked: list[tuple[str, ...]] = []
        self.failure: TeleportError | None = None
        self._trusted = [AUTHORITY.pem]
        self._change = asyncio.Event()

    async def call(self, operation: object, request: EndedMembershipsRequest) -> EndedMembershipsResponse:
        assert operation is ENDED_MEMBERSHIPS
        self.asked.append(request.pod_uids)
        if self.failure is not None:
            raise self.failure
        return EndedMembershipsResponse(pod_uids=tuple(uid for uid in request.pod_uids if uid in self.ended))

    def replace_trust(self, *authorities: str) -> None:
        self._trusted = list(authorities)
        self._change.set()
        self._change = asyncio.Event()

    @property
    def trust(self) -> TrustBundle:
        tls = {AuthorityType.HOST: tuple(self._trusted)}
        return TrustBundle(revision="1", cluster_name="example.com", tls=tls, ssh={})

    async def wait_for_change(self) -> None:
        await self._change.wait()


class FixedClock:
    def now(self) -> Any:
        return NOW


async def dial(proxy: FakeProxy, certificate: bytes) -> None:
    near = proxy.take(certificate)
    session = Session(is_dialer=True)
    near.connect(session)
    await session.open(render_preface(build_control_preface("0" * 32)), Heard)
    await asyncio.sleep(0.1)


async def begin(host: FakeHost, proxy: FakeProxy) -> asyncio.Task[None]:
    looking = Endings(host=host, registry=proxy.registry, clock=FixedClock())  # type: ignore[arg-type]  # it asks for no more
    task = asyncio.create_task(looking.run())
    await asyncio.sleep(0.1)
    return task


def test_hostile_65_the_tunnel_of_a_member_whose_pod_has_ended_is_cut_within_seconds() -> None:
    async def story() -> None:
        host, proxy = FakeHost(), FakeProxy("one")
        await dial(proxy, show_host(pod_uid="pod-1"))
        await dial(proxy, show_host(OTHER_HOST_ID, pod_uid="pod-2"))
        task = await begin(host, proxy)
        await asyncio.sleep(SOON)
        assert len(proxy.registry) == 2
        host.ended.add("pod-1")
        await asyncio.sleep(SOON)
        assert proxy.registry.host_ids() == {OTHER_HOST_ID}
        task.cancel()

    run_in_virtual_time(story())


def test_while_auth_does_not_answer_nobody_is_cut_and_afterwards_all_are() -> None:
    async def story() -> None:
        host, proxy = FakeHost(), FakeProxy("one")
        await dial(proxy, show_host(pod_uid="pod-1"))
        task = await begin(host, proxy)
        host.ended.add("pod-1")
        host.failure = Unavailable("auth is away")
        await asyncio.sleep(SOON)
        assert len(proxy.registry) == 1
        host.failure = None
        await asyncio.sleep(SOON)
        assert len(proxy.registry) == 0
        task.cancel()

    run_in_virtual_time(story())


def test_auth_is_not_asked_about_hosts_that_are_bound_to_no_pod() -> None:
    async def story() -> None:
        host, proxy = FakeHost(), FakeProxy("one")
        await dial(proxy, show_host())
        task = await begin(host, proxy)
        await asyncio.sleep(10 * SOON)
        assert host.asked == []
        task.cancel()

    run_in_virtual_time(story())


@pytest.mark.parametrize(("count", "questions"), [(3, [3]), (4, [3, 1])])
def test_auth_is_asked_about_so_many_at_once(count: int, questions: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endings, "ASKED_AT_ONCE", 3)

    async def story() -> None:
        host, proxy = FakeHost(), FakeProxy("one")
        for number in range(count):
            await dial(proxy, show_host(f"{number:08}{HOST_ID[8:]}", pod_uid=f"pod-{number}"))
        task = await begin(host, proxy)
        await asyncio.sleep(SOON)
        assert [len(uids) for uids in host.asked] == questions
        task.cancel()

    run_in_virtual_time(story())


def test_hostile_64_tunnels_of_those_who_are_not_trusted_any_more_are_cut_at_once() -> None:
    async def story() -> None:
        newer = build_authority()
        host, proxy = FakeHost(), FakeProxy("one")
        task = await begin(host, proxy)
        await dial(proxy, show_host())
        await dial(proxy, newer.issue_der(build_host_template(SystemRole.APP, host_id=OTHER_HOST_ID)))
        host.replace_trust(AUTHORITY.pem, newer.pem)
        await asyncio.sleep(0.1)
        assert len(proxy.registry) == 2
        host.replace_trust(newer.pem)
        await asyncio.sleep(0.1)
        assert proxy.registry.host_ids() == {OTHER_HOST_ID}
        task.cancel()

    run_in_virtual_time(story())
