"""Membership that ends with a pod: who is out, what is left of them, and what does not put anybody out."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from support.auth import HOST_ID, InProcessAuth, to_der
from support.jwt_tokens import build_claims, sign
from support.pod_cluster import ACCOUNT, BOUND, NAMESPACE, POD, PodCluster
from teleport.api.joined import generate_keys
from teleport.api.messages import HeartbeatRequest, HostCertificatesRequest, JoinResponse
from teleport.auth.access import Caller
from teleport.auth.callers import identify
from teleport.auth.pod_index import PodIndex
from teleport.auth.pod_watches import MAX_NAMESPACES, PodWatches
from teleport.auth.roles import RoleTable
from teleport.errors import CompareFailed, JoinRefused, MembershipEnded, NotFound, StorageError, Unavailable
from teleport.kube.access import KubernetesAccess
from teleport.kube.bound_pod import Ending
from teleport.kube.errors import NoAnswer, TooBusy
from teleport.resources.model import Metadata
from teleport.resources.role import SystemRole
from teleport.resources.token import Token, TokenSpec

TOKEN = "pods"
MOMENT = timedelta(milliseconds=1)
PATIENCE = 10.0
"""Seconds after which a test gives up; nothing that works comes near it."""


@dataclass
class Cluster:
    """An auth server in a Kubernetes cluster, in memory."""

    kubernetes: PodCluster = field(default_factory=PodCluster)
    cut: list[str] = field(default_factory=list)
    auth: InProcessAuth = field(init=False)

    async def start(self, **fields: Any) -> None:
        self.auth = await InProcessAuth.start(kubernetes=self.kubernetes, cut=self.cut.append, **fields)

    async def admit(self, *roles: SystemRole, bot_name: str = "", **section: Any) -> None:
        rules = {"allow": [{"service_account": f"{NAMESPACE}:web"}], "bind_to_pod": True, **section}
        spec = TokenSpec(
            roles=roles or (SystemRole.APP,), join_method="kubernetes", kubernetes=rules, bot_name=bot_name
        )
        await self.auth.tokens.upsert(Token(metadata=Metadata(name=TOKEN), spec=spec), Caller(kind="admin"))  # type: ignore[arg-type]  # only its name is used

    async def join(self, **fields: Any) -> JoinResponse:
        return await self.auth.join(TOKEN, proof=sign(build_claims()), join_method="kubernetes", **fields)

    def identify(self, response: JoinResponse) -> Caller:
        der = to_der(response.certificates.tls_certificate)
        return identify(der, "192.0.2.7", authority=self.auth.authority, roles=RoleTable(), clock=self.auth.clock)

    async def list_ends(self) -> list[tuple[str, str]]:
        return [(event["host_id"], event["reason"]) for event in await self.auth.list_events("instance.end")]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.auth.pod_lives.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def is_out(self, response: JoinResponse) -> bool:
        try:
            await self.auth.pod_lives.check(self.identify(response).pod_uid)
        except MembershipEnded:
            return True
        return False

    async def wait_until_out(self, response: JoinResponse) -> None:
        await until(lambda: self.is_out(response))


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110 - nothing tells when background work is done
            await asyncio.sleep(0.001)


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    cluster = Cluster()
    await cluster.start()
    await cluster.admit()
    async with cluster.running():
        yield cluster


ENDINGS: dict[Ending, Callable[[PodCluster], Awaitable[None]]] = {
    Ending.POD_GONE: lambda kubernetes: kubernetes.delete("pods", POD.name),
    Ending.POD_REPLACED: lambda kubernetes: kubernetes.put("pods", replace(POD, uid="another")),
    Ending.POD_FINISHED: lambda kubernetes: kubernetes.evict(),
    Ending.SERVICE_ACCOUNT_GONE: lambda kubernetes: kubernetes.delete("serviceaccounts", ACCOUNT.name),
    Ending.SERVICE_ACCOUNT_REPLACED: lambda kubernetes: kubernetes.put(
        "serviceaccounts", replace(ACCOUNT, uid="another")
    ),
}


@pytest.mark.parametrize("ending", list(Ending))
async def test_each_ending_puts_the_member_out_with_all_that_it_served(cluster: Cluster, ending: Ending) -> None:
    response = await cluster.join()
    caller = cluster.identify(response)
    assert caller.pod_uid == BOUND.uid
    wiki = {"kind": "app_server", "metadata": {"name": "wiki"}, "spec": {}}
    await cluster.auth.heartbeats.announce(HeartbeatRequest(hostname="h", version="1", servers=(wiki,)), caller)
    await cluster.auth.pod_lives.check(caller.pod_uid)
    assert await cluster.auth.pod_lives.list_ended([BOUND.uid, "another"]) == ["another"]

    await ENDINGS[ending](cluster.kubernetes)
    await cluster.wait_until_out(response)

    await until(lambda: was_cut(cluster))
    assert await cluster.auth.pod_lives.list_ended([BOUND.uid, "another"]) == [BOUND.uid, "another"]
    assert await cluster.list_ends() == [(response.host_id, ending)]
    with pytest.raises(NotFound):
        await cluster.auth.stores.presence.get("instance", response.host_id)
    servers, _ = await cluster.auth.stores.presence.list_page("app_server", after="", limit=10)
    assert servers == []


async def was_cut(cluster: Cluster) -> bool:
    return set(cluster.cut) == {BOUND.uid}


async def test_a_heartbeat_that_comes_while_the_member_is_put_out_leaves_nothing(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    response = await cluster.join()
    caller = cluster.identify(response)
    wiki = {"kind": "app_server", "metadata": {"name": "wiki"}, "spec": {}}
    heartbeat = HeartbeatRequest(hostname="h", version="1", servers=(wiki,))
    withdraw = cluster.auth.stores.presence.withdraw
    late = [heartbeat]

    async def be_heard_after(host_id: str) -> None:
        await withdraw(host_id)
        if late:
            await cluster.auth.pod_lives.check(caller.pod_uid)
            await cluster.auth.heartbeats.announce(late.pop(), caller)

    monkeypatch.setattr(cluster.auth.stores.presence, "withdraw", be_heard_after)
    await cluster.kubernetes.delete("pods", POD.name)
    await cluster.wait_until_out(response)

    async def is_forgotten() -> bool:
        servers, _ = await cluster.auth.stores.presence.list_page("app_server", after="", limit=10)
        return not late and not servers

    await until(is_forgotten)
    with pytest.raises(NotFound):
        await cluster.auth.stores.presence.get("instance", response.host_id)


async def test_every_member_of_the_pod_is_out_and_nobody_else(cluster: Cluster) -> None:
    members = [await cluster.join() for _ in range(2)]
    await cluster.admit(bind_to_pod=False)
    free = await cluster.join()
    assert cluster.identify(free).pod_uid == ""
    await cluster.kubernetes.delete("pods", POD.name)
    for member in members:
        await cluster.wait_until_out(member)
    assert {host_id for host_id, _ in await cluster.list_ends()} == {member.host_id for member in members}


async def test_a_pod_that_is_about_to_end_keeps_its_members_and_admits_no_new_ones(cluster: Cluster) -> None:
    member = await cluster.join()
    await cluster.kubernetes.put("pods", replace(POD, is_terminating=True))
    with pytest.raises(JoinRefused) as refusal:
        await cluster.join()
    assert refusal.value.reason == "pod_terminating"
    await cluster.auth.pod_lives.check(cluster.identify(member).pod_uid)
    assert cluster.cut == []


@pytest.mark.parametrize(
    ("steer", "reason"),
    [(lambda k: k.delete("pods", POD.name), "pod_gone"), (lambda k: k.evict(), "pod_finished")],
)
async def test_a_pod_that_has_ended_admits_nobody(
    cluster: Cluster, steer: Callable[[PodCluster], Awaitable[None]], reason: str
) -> None:
    await steer(cluster.kubernetes)
    with pytest.raises(JoinRefused) as refusal:
        await cluster.join()
    assert refusal.value.reason == reason


async def test_who_joins_while_the_pod_ends_is_out_at_once(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pod ends after the judge has looked at it and before its member is known to those who watch."""
    expect = cluster.auth.pod_lives.expect

    async def end_meanwhile(pod: Any) -> None:
        await expect(pod)
        await cluster.kubernetes.delete("pods", POD.name)
        await asyncio.sleep(0.01)

    monkeypatch.setattr(cluster.auth.pod_lives, "expect", end_meanwhile)
    response = await cluster.join()
    await cluster.wait_until_out(response)
    assert await cluster.list_ends() == [(response.host_id, Ending.POD_GONE)]


async def test_services_and_renewed_certificates_of_a_member_are_bound_as_well(cluster: Cluster) -> None:
    caller = cluster.identify(await cluster.join())
    for role in (SystemRole.APP, SystemRole.INSTANCE):
        keys = generate_keys().build_public_keys("host")
        request = HostCertificatesRequest(role=role, keys=keys, node_name="host")
        issued = await cluster.auth.issuing.issue_host(request, caller)
        der = to_der(issued.tls_certificate)
        again = identify(
            der, "192.0.2.7", authority=cluster.auth.authority, roles=RoleTable(), clock=cluster.auth.clock
        )
        assert again.pod_uid == BOUND.uid


async def test_a_bound_host_stays_bound_by_whatever_token_it_joins_once_more(cluster: Cluster) -> None:
    first = await cluster.join()
    await cluster.admit(bind_to_pod=False)
    again = await cluster.join(caller=cluster.identify(first))
    assert (again.host_id, cluster.identify(again).pod_uid) == (first.host_id, BOUND.uid)


async def test_a_bound_host_whose_pod_is_about_to_end_joins_by_no_token(cluster: Cluster) -> None:
    first = await cluster.join()
    await cluster.admit(bind_to_pod=False)
    await cluster.kubernetes.put("pods", replace(POD, is_terminating=True))
    with pytest.raises(JoinRefused) as refusal:
        await cluster.join(caller=cluster.identify(first))
    assert refusal.value.reason == "pod_terminating"


async def test_a_bot_is_bound_by_its_instance(cluster: Cluster) -> None:
    await cluster.admit(SystemRole.BOT, bot_name="robot")
    response = await cluster.join(role="Bot")
    assert cluster.identify(response).pod_uid == BOUND.uid
    await cluster.kubernetes.delete("pods", POD.name)
    await cluster.wait_until_out(response)
    assert await cluster.list_ends() == [(response.host_id, Ending.POD_GONE)]


async def test_what_ended_while_no_auth_server_ran_is_seen_by_the_next_one() -> None:
    first = Cluster()
    await first.start()
    await first.admit()
    async with first.running():
        response = await first.join()
    await first.kubernetes.delete("pods", POD.name)
    await first.auth.pod_lives.check(BOUND.uid)

    second = Cluster(kubernetes=first.kubernetes)
    await second.start(backend=first.auth.backend)
    async with second.running():
        await until(lambda: was_cut(second))
    with pytest.raises(MembershipEnded):
        await second.auth.pod_lives.check(BOUND.uid)
    assert await second.list_ends() == [(response.host_id, Ending.POD_GONE)]


async def test_what_ends_while_kubernetes_is_silent_is_seen_when_it_answers_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("teleport.auth.pod_watches.RETRY", MOMENT)
    response = await cluster.join()
    cluster.kubernetes.failure = NoAnswer("no answer")
    await cluster.kubernetes.delete("pods", POD.name)
    await asyncio.sleep(0.02)
    await cluster.auth.pod_lives.check(BOUND.uid)  # silence puts nobody out
    cluster.kubernetes.failure = None
    await cluster.wait_until_out(response)


@pytest.mark.parametrize("error", [StorageError("full"), CompareFailed("moved on")])
async def test_a_store_that_fails_at_first_puts_the_member_out_later(
    cluster: Cluster, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("teleport.auth.pod_watches.RETRY", MOMENT)
    response = await cluster.join()
    commit = cluster.auth.backend.commit
    failures = [error]

    async def fail_once(conditions: Any, writes: Any) -> int:
        if any(write.key.startswith("audit/") for write in writes) and failures:
            raise failures.pop()
        return await commit(conditions, writes)

    monkeypatch.setattr(cluster.auth.backend, "commit", fail_once)
    await cluster.kubernetes.delete("pods", POD.name)
    await cluster.wait_until_out(response)
    assert failures == []
    assert await cluster.list_ends() == [(response.host_id, Ending.POD_GONE)]


@pytest.mark.parametrize("restarts", [2, 3, 5])
async def test_of_a_pod_whose_container_restarts_without_its_state_the_last_members_are_kept(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, restarts: int
) -> None:
    monkeypatch.setattr("teleport.auth.pod_lives.MAX_MEMBERS", 3)
    members = [(await cluster.join()).host_id for _ in range(restarts + 1)]

    async def list_ids() -> set[str]:
        found = await cluster.auth.stores.pod_members.list_of_pod(BOUND.uid, limit=100)
        return {member.member_id for member, _ in found}

    async def is_bounded() -> bool:
        return await list_ids() == set(members[-3:])

    await until(is_bounded)
    assert await cluster.list_ends() == []


async def test_where_pods_cannot_be_watched_nobody_is_bound_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teleport.auth.pod_watches.READY_TIMEOUT", MOMENT)
    cluster = Cluster()
    await cluster.start()
    await cluster.admit()

    async def refuse(*_: Any) -> Any:
        raise NoAnswer("no list")

    monkeypatch.setattr(cluster.kubernetes, "list_objects", refuse)
    async with cluster.running():
        with pytest.raises(Unavailable):
            await cluster.join()
    assert await cluster.auth.stores.pod_members.list_of_pod(BOUND.uid, limit=1) == []


async def test_hostile_20_an_api_server_that_is_too_busy_for_a_watch_is_left_alone_for_as_long_as_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("teleport.auth.pod_watches.RETRY", MOMENT)
    monkeypatch.setattr("teleport.auth.pod_watches.READY_TIMEOUT", 20 * MOMENT)
    cluster = Cluster()
    await cluster.start()
    asked: list[str] = []

    async def send_away(kind: Any, *_: Any) -> Any:
        asked.append(kind.resource)
        raise TooBusy("too many requests", timedelta(hours=1))

    monkeypatch.setattr(cluster.kubernetes, "list_objects", send_away)
    async with cluster.running():
        with pytest.raises(Unavailable):
            await cluster.auth.pod_lives.expect(BOUND)
    assert sorted(asked) == ["pods", "serviceaccounts"]


async def test_no_more_namespaces_are_watched_than_are_allowed() -> None:
    kubernetes = KubernetesAccess(api=PodCluster(), clock=Cluster().kubernetes)  # type: ignore[arg-type]  # nothing asks for the time

    async def ignore(*_: Any) -> None:
        return None

    watches = PodWatches(kubernetes=kubernetes, pods=PodIndex(), on_end=ignore)
    running = asyncio.create_task(watches.run())
    for number in range(MAX_NAMESPACES):
        watches.begin(f"ns-{number}")
    watches.begin("ns-0")
    with pytest.raises(Unavailable):
        watches.begin("one-more")
    watches.end("ns-0")
    watches.begin("one-more")
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_namespace_is_watched_on_only_if_somebody_has_joined_from_there(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    class Watches(PodWatches):
        def end(self, namespace: str) -> None:
            ended.append(namespace)
            super().end(namespace)

    async def ignore(*_: Any) -> None:
        return None

    async def is_ended(namespace: str) -> bool:
        return ended[-1:] == [namespace]

    monkeypatch.setattr("teleport.auth.pod_watches.IDLE", MOMENT)
    kubernetes = KubernetesAccess(api=cluster.kubernetes, clock=cluster.auth.clock)
    pods = PodIndex()
    pods.add(BOUND)
    watches = Watches(kubernetes=kubernetes, pods=pods, on_end=ignore)
    async with asyncio.TaskGroup() as group:
        ending = group.create_task(watches.end_idle())
        for namespace in (NAMESPACE, "refused"):
            await watches.wait_until_ready(namespace)
        await until(lambda: is_ended("refused"))
        pods.remove(BOUND)
        await until(lambda: is_ended(NAMESPACE))
        ending.cancel()
    assert ended == ["refused", NAMESPACE]


async def test_without_a_way_to_kubernetes_nobody_can_be_bound_and_the_bound_stay() -> None:
    auth = await InProcessAuth.start()
    await auth.pod_lives.run()
    with pytest.raises(Unavailable):
        await auth.pod_lives.expect(BOUND)
    with pytest.raises(MembershipEnded):
        await auth.pod_lives.check(HOST_ID)
