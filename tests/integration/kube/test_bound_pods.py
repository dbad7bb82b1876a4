"""Membership bound to a pod's life: a real API server, a real auth server, and what is left after each kind of end."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.cluster import AgentFactory, AuthServer
from support.kube_apiserver import KubeApiServer
from support.processes import Processes, wait_until
from support.public_proxy import PublicProxy
from support.strangers import Stranger
from support.workload import Workload
from teleport.api.client import build_identity_context, open_client
from teleport.api.identity import Identity
from teleport.api.messages import Empty, HeartbeatRequest
from teleport.api.operations import HEARTBEAT, PING
from teleport.api.trust import KnownAuthority
from teleport.errors import ConnectionFailed, JoinRefused, MembershipEnded, Unavailable

ROLE = "pod-watcher"
POD = "app-0"
WIKI = {"kind": "app_server", "metadata": {"name": "wiki"}, "spec": {"hostname": "pod"}}


@pytest.fixture(scope="module", autouse=True)
def _may_watch(kubernetes: KubeApiServer) -> None:
    kubernetes.create_cluster_role(ROLE, "pods,serviceaccounts", "get,list,watch")
    kubernetes.bind(ROLE, "teleport", "auth")


def make_stranger(workload: Workload) -> Stranger:
    return Stranger(workload.auth.address, workload.auth.admin.host_ca_certificates)


class Member:
    """A host that has joined from the workload's pod."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.stranger = make_stranger(workload)
        self.token = workload.get_token()
        response = asyncio.run(self.stranger.join(workload.token_name, proof=self.token))
        self.host_id = response.host_id
        self.identity: Identity = self.stranger.identity(response)
        asyncio.run(self.announce())

    async def announce(self) -> None:
        request = HeartbeatRequest(hostname="pod", version="1", servers=(WIKI,))
        async with open_client(self.workload.auth.address, self.trust) as client:
            await client.call(HEARTBEAT, request)

    @property
    def trust(self) -> KnownAuthority:
        return KnownAuthority(build_identity_context(self.identity))

    def wait_until_out(self) -> str:
        """Wait until the certificate counts for nothing, and return why."""

        def find() -> str | None:
            ends = [each for each in self.workload.auth.read_audit("instance.end") if each["host_id"] == self.host_id]
            return str(ends[0]["reason"]) if ends else None

        reason = wait_until(find, "the member is out")
        with pytest.raises(MembershipEnded):
            asyncio.run(self.announce())
        with pytest.raises(MembershipEnded):  # nor does the old certificate help to join again
            asyncio.run(self.stranger.join(self.workload.token_name, proof=self.token, known=self.identity))
        assert self.host_id not in self.list_records()
        return reason

    def list_records(self) -> set[str]:
        auth = self.workload.auth
        instances = {each["metadata"]["name"] for each in auth.list_resources("instance")}
        return instances | {each["spec"]["host_id"] for each in auth.list_resources("app_server")}


@pytest.fixture
def member(workload: Workload) -> Member:
    workload.admit(bind_to_pod=True)
    member = Member(workload)
    assert member.host_id in member.list_records()
    return member


def recreate(kubernetes: KubeApiServer, namespace: str) -> None:
    kubernetes.delete_pod(namespace, POD)
    kubernetes.create_pod(namespace, POD, "app")


ENDINGS: dict[str, Callable[[KubeApiServer, str], None]] = {
    "pod_gone": lambda kubernetes, namespace: kubernetes.delete_pod(namespace, POD),
    "pod_finished": lambda kubernetes, namespace: kubernetes.set_phase(namespace, POD, "Failed"),
    "service_account_gone": lambda kubernetes, namespace: kubernetes.delete_service_account(namespace, "app"),
}


@pytest.mark.parametrize("reason", list(ENDINGS))
def test_hostile_11_a_member_is_out_when_its_pod_ends(member: Member, kubernetes: KubeApiServer, reason: str) -> None:
    ENDINGS[reason](kubernetes, member.workload.namespace)
    assert member.wait_until_out() == reason


def test_hostile_12_a_member_is_out_when_its_pod_is_made_anew(member: Member, kubernetes: KubeApiServer) -> None:
    recreate(kubernetes, member.workload.namespace)
    assert member.wait_until_out() in {"pod_gone", "pod_uid_mismatch"}


def test_hostile_11_an_open_connection_is_cut(member: Member, kubernetes: KubeApiServer) -> None:
    async def lose_connection() -> None:
        async with open_client(member.workload.auth.address, member.trust) as client:
            await client.call(PING, Empty())
            kubernetes.delete_pod(member.workload.namespace, POD)
            while True:
                await client.call(PING, Empty())
                await asyncio.sleep(0.01)

    with pytest.raises((MembershipEnded, ConnectionFailed)):
        asyncio.run(lose_connection())


def test_hostile_11_a_connection_through_a_proxy_is_cut_too(
    member: Member, kubernetes: KubeApiServer, processes: Processes, tmp_path: Path
) -> None:
    front = PublicProxy(processes, tmp_path / "public", member.workload.auth).start()

    async def lose_connection() -> None:
        async with open_client(front.way, member.trust) as client:
            await client.call(PING, Empty())
            kubernetes.delete_pod(member.workload.namespace, POD)
            while True:
                await client.call(PING, Empty())
                await asyncio.sleep(0.01)

    with pytest.raises((MembershipEnded, ConnectionFailed)):
        asyncio.run(lose_connection())
    with pytest.raises(MembershipEnded):
        asyncio.run(front.call(PING, Empty(), member.identity))


def test_hostile_11_from_its_deletion_timestamp_on_a_pod_admits_nobody_and_keeps_whom_it_has(
    member: Member, kubernetes: KubeApiServer
) -> None:
    kubernetes.begin_deletion(member.workload.namespace, POD)
    with pytest.raises(JoinRefused):
        asyncio.run(member.stranger.join(member.workload.token_name, proof=member.token))
    auth = member.workload.auth
    wait_until(lambda: "pod_terminating" in [each.get("reason") for each in auth.read_audit()] or None, "it is audited")
    asyncio.run(member.announce())


def test_what_ends_while_auth_is_down_is_seen_when_it_starts(member: Member, kubernetes: KubeApiServer) -> None:
    auth: AuthServer = member.workload.auth
    auth.process.kill()
    kubernetes.delete_pod(member.workload.namespace, POD)
    auth.start()
    assert member.wait_until_out() == "pod_gone"


def test_what_ends_while_the_api_server_is_down_is_seen_when_it_is_back(
    member: Member, kubernetes: KubeApiServer
) -> None:
    with stopped(kubernetes):
        asyncio.run(member.announce())  # silence puts nobody out
    kubernetes.delete_pod(member.workload.namespace, POD)
    assert member.wait_until_out() == "pod_gone"


@contextmanager
def stopped(kubernetes: KubeApiServer) -> Iterator[None]:
    kubernetes.stop()
    try:
        yield
    finally:
        kubernetes.start()


def test_where_auth_may_not_watch_joins_wait_until_the_right_is_granted(
    workload: Workload, kubernetes: KubeApiServer
) -> None:
    kubernetes.unbind(kubernetes.bind(ROLE, "teleport", "auth"))
    workload.admit(bind_to_pod=True)
    stranger, token = make_stranger(workload), workload.get_token()

    def try_to_join() -> bool | None:
        try:
            return bool(asyncio.run(stranger.join(workload.token_name, proof=token)).host_id)
        except Unavailable:
            return None

    try:
        assert try_to_join() is None
        assert "--resource=pods,serviceaccounts" in workload.auth.process.log
    finally:
        kubernetes.bind(ROLE, "teleport", "auth")
    assert wait_until(try_to_join, "it joins when the right is there")


def test_an_agent_in_a_new_pod_of_the_same_name_joins_anew(
    workload: Workload, kubernetes: KubeApiServer, make_agent: AgentFactory, tmp_path: Path
) -> None:
    """Its state outlives the pod, as that of a StatefulSet's replica does."""
    workload.admit(bind_to_pod=True)
    token_file = tmp_path / "pod-token"
    token_file.write_text(workload.get_token())
    agent = make_agent(workload.auth, name=f"pod-{workload.namespace}")
    workload.start_agent(agent, token_file)
    first = agent.host_id
    kubernetes.delete_pod(workload.namespace, POD)
    token_file.write_text(workload.get_token())

    def list_owners() -> set[str]:
        records = workload.auth.list_resources("app_server")
        return {each["spec"]["host_id"] for each in records if each["spec"]["hostname"] == agent.name}

    def find_new_owner() -> str | None:
        owners = list_owners()
        return owners.pop() if len(owners) == 1 and first not in owners else None

    assert wait_until(find_new_owner, "it has joined anew") == agent.host_id
    agent.wait_until_ready()
