"""Joins while the Kubernetes API does not answer: nobody is denied, and whoever has joined does not notice."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.cluster import PATIENT, AuthFactory, AuthServer
from support.fake_kube import FakeKube, build_status, running_fake_kube
from support.jwt_tokens import build_claims, sign
from support.kube_apiserver import KubeApiServer
from support.processes import Processes, wait_until
from support.strangers import Stranger
from support.workload import Workload
from teleport.api.client import connect
from teleport.api.messages import HeartbeatRequest, ResourceRequest
from teleport.api.operations import HEARTBEAT, RESOURCE_CREATE
from teleport.errors import JoinRefused, Unavailable
from teleport.kube.errors import BadAnswer, NoAnswer
from teleport.version import VERSION

TOKEN = "kubernetes-token"
RULE = {"service_account": "apps:web"}
SPEC = {"roles": ["App"], "join_method": "kubernetes", "kubernetes": {"allow": [RULE]}}


def make_stranger(auth: AuthServer) -> Stranger:
    """Return a new host."""
    return Stranger(auth.address, auth.admin.host_ca_certificates)


def wait_for_event(auth: AuthServer, reason: str) -> dict[str, Any]:
    """Return the first event of a join that failed for this reason."""

    def find() -> dict[str, Any] | None:
        events = auth.read_audit("instance.join")
        return next((event for event in events if event.get("reason") == reason), None)

    return wait_until(find, f"{reason} is in the audit file")


class Fleet:
    """A host that has joined, another that wants to, and an auth server that judges by keys alone."""

    def __init__(self, workload: Workload, by_keys: Workload) -> None:
        self._workload = workload
        self._by_keys = by_keys
        uid = workload.create_pod()
        self.proofs = [workload.get_token(uid=uid) for _ in range(3)]
        self._host = make_stranger(workload.auth)
        self._identity = self._host.identity(asyncio.run(self._host.join(workload.token_name, proof=self.proofs[0])))
        asyncio.run(make_stranger(by_keys.auth).join(by_keys.token_name, proof=self.proofs[0]))

    async def live_through_an_outage(self, proof: str) -> Unavailable:
        """Let everybody do what it can do without the API server; return how the join failed that needs it."""
        join = asyncio.create_task(make_stranger(self._workload.auth).join(self._workload.token_name, proof=proof))
        async with connect(self._workload.auth.address, self._identity) as client:
            await client.call(HEARTBEAT, HeartbeatRequest(hostname="host", version=VERSION, servers=()))
        await make_stranger(self._by_keys.auth).join(self._by_keys.token_name, proof=proof)
        assert not join.done()
        with pytest.raises(Unavailable) as failure:
            await join
        return failure.value

    def join(self, proof: str) -> bool:
        """Join when all is well again."""
        return bool(
            asyncio.run(make_stranger(self._workload.auth).join(self._workload.token_name, proof=proof)).host_id
        )


@pytest.fixture
def fleet(kubernetes: KubeApiServer, workload: Workload, processes: Processes, tmp_path: Path) -> Fleet:
    settings = {**workload.auth.auth_service["kubernetes"], "verification": "jwks"}
    auth = AuthServer(processes, tmp_path / "by-keys", auth_service={"kubernetes": settings}, teleport=PATIENT).start()
    by_keys = Workload(kubernetes, auth, workload.namespace.removeprefix("ns-"))
    for each in (workload, by_keys):
        each.admit()
    return Fleet(workload, by_keys)


@contextmanager
def stopped(kubernetes: KubeApiServer) -> Iterator[None]:
    """Let the API server be down for the time of a block."""
    kubernetes.stop()
    try:
        yield
    finally:
        kubernetes.start()


def test_hostile_20_an_api_server_that_hangs_or_is_down_denies_nobody_and_disturbs_nobody_else(
    kubernetes: KubeApiServer, workload: Workload, fleet: Fleet
) -> None:
    with kubernetes.frozen():
        hung = asyncio.run(fleet.live_through_an_outage(fleet.proofs[1]))
    assert hung.message == NoAnswer.PUBLIC
    event = wait_for_event(workload.auth, "kubernetes_no_answer")
    assert (event["success"], event["token_name"], event["attempts"]) == (False, workload.token_name, 1)
    assert fleet.join(fleet.proofs[1])
    with stopped(kubernetes):
        down = asyncio.run(fleet.live_through_an_outage(fleet.proofs[2]))
    assert down.message == NoAnswer.PUBLIC
    assert fleet.join(fleet.proofs[2])


@pytest.fixture
async def kube(tmp_path: Path) -> AsyncIterator[FakeKube]:
    """An API server that misbehaves on demand, and knows auth."""
    async with running_fake_kube(tmp_path) as server:
        own = build_proof(aud=["https://kubernetes.default.svc"], sub="system:serviceaccount:teleport:auth")
        server.own_tokens = {own}
        server.write_own_token(own)
        yield server


@pytest.fixture
async def auth_of(kube: FakeKube, make_auth: AuthFactory) -> AuthServer:
    """An auth server that asks it."""
    server = kube.server
    settings = {"api_server": server.url, "ca_file": str(server.ca_file), "token_file": str(server.token_file)}
    auth = make_auth(auth_service={"kubernetes": settings}, teleport=PATIENT).start()
    document = {"kind": "token", "version": "v2", "metadata": {"name": TOKEN}, "spec": SPEC}
    await auth.call(RESOURCE_CREATE, ResourceRequest(resource=document))
    return auth


def build_proof(**changes: Any) -> str:
    """Return a token that is good now."""
    now = int(time.time())
    return sign(build_claims(**{"iat": now - 60, "nbf": now - 60, "exp": now + 600, **changes}))


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_hostile_20_what_the_api_server_asks_for_is_passed_on(
    kube: FakeKube, auth_of: AuthServer, status: int
) -> None:
    proof = build_proof()
    kube.vouch_for(proof, build_status(auth_of.cluster_name))
    kube.fail_next(status, retry_after="30", message=f"busy with {proof}")
    with pytest.raises(Unavailable) as failure:
        await make_stranger(auth_of).join(TOKEN, proof=proof)
    assert failure.value.message == NoAnswer.PUBLIC
    assert failure.value.retry_after.total_seconds() == 30
    event = wait_for_event(auth_of, "kubernetes_no_answer")
    assert event["message"] == f"the Kubernetes API answered {status}: busy with (token)"


async def test_hostile_20_an_api_server_that_sends_everybody_away_is_left_alone(
    kube: FakeKube, auth_of: AuthServer
) -> None:
    proof = build_proof()
    kube.vouch_for(proof, build_status(auth_of.cluster_name))
    kube.fail_next(429, retry_after="30")
    for _ in range(2):
        with pytest.raises(Unavailable) as failure:
            await make_stranger(auth_of).join(TOKEN, proof=proof)
        assert 0 < failure.value.retry_after.total_seconds() <= 30
    assert len(kube.received) == 1


async def test_hostile_20_a_conflict_about_a_review_is_an_answer_of_no_use(kube: FakeKube, auth_of: AuthServer) -> None:
    proof = build_proof()
    kube.vouch_for(proof, build_status(auth_of.cluster_name))
    kube.fail_next(409)
    with pytest.raises(Unavailable):
        await make_stranger(auth_of).join(TOKEN, proof=proof)
    assert len(kube.received) == 1
    assert wait_for_event(auth_of, "kubernetes_bad_answer")["message"] == "Kubernetes refuses the change: no"


async def test_hostile_20_a_failure_that_passes_is_not_noticed(kube: FakeKube, auth_of: AuthServer) -> None:
    proof = build_proof()
    kube.vouch_for(proof, build_status(auth_of.cluster_name))
    kube.fail_next(500)
    assert (await make_stranger(auth_of).join(TOKEN, proof=proof)).host_id


async def test_hostile_22_an_answer_that_is_of_no_use_denies_nobody(kube: FakeKube, auth_of: AuthServer) -> None:
    proof = build_proof()
    kube.vouch_for(proof, build_status(auth_of.cluster_name))
    nameless = b'{"status": {"authenticated": true, "user": {"username": ""}, "audiences": ["example.com"]}}'
    for body in (b"<html>", b" " * 50_000_000, nameless):
        kube.send_next(body)
        with pytest.raises(Unavailable) as failure:
            await make_stranger(auth_of).join(TOKEN, proof=proof)
        assert failure.value.message == BadAnswer.PUBLIC
    kube.redirect_next(kube.url + "/elsewhere")
    with pytest.raises(Unavailable):
        await make_stranger(auth_of).join(TOKEN, proof=proof)
    assert "/elsewhere" not in {each.path for each in kube.received}
    assert wait_for_event(auth_of, "kubernetes_bad_answer")["attempts"] == 1
    assert (await make_stranger(auth_of).join(TOKEN, proof=proof)).host_id


async def test_hostile_22_extra_that_is_missing_is_a_token_that_is_bound_to_nothing(
    kube: FakeKube, auth_of: AuthServer
) -> None:
    proof, status = build_proof(), build_status(auth_of.cluster_name)
    status["user"].pop("extra")
    kube.vouch_for(proof, status)
    with pytest.raises(JoinRefused):
        await make_stranger(auth_of).join(TOKEN, proof=proof)
    assert wait_for_event(auth_of, "legacy_token")["success"] is False


async def test_hostile_25_auth_s_own_token_that_was_replaced_needs_no_restart(
    kube: FakeKube, auth_of: AuthServer
) -> None:
    proofs = [build_proof(jti=str(number)) for number in range(3)]
    for proof in proofs:
        kube.vouch_for(proof, build_status(auth_of.cluster_name))
    assert (await make_stranger(auth_of).join(TOKEN, proof=proofs[0])).host_id
    renewed = build_proof(aud=["https://kubernetes.default.svc"], jti="renewed")
    kube.own_tokens = {renewed}
    with pytest.raises(Unavailable):
        await make_stranger(auth_of).join(TOKEN, proof=proofs[1])
    assert "401" in wait_for_event(auth_of, "kubernetes_bad_answer")["message"]
    kube.write_own_token(renewed)
    assert (await make_stranger(auth_of).join(TOKEN, proof=proofs[2])).host_id
