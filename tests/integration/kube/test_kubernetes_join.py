"""Joining by a ServiceAccount token, judged by a real API server: who is admitted, and each way of not being."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from pydantic import ValidationError

from support.cluster import AgentFactory, AuthServer
from support.jwt_tokens import encode
from support.kube_apiserver import ISSUER, KubeApiServer
from support.processes import wait_until
from support.strangers import Stranger
from support.workload import Workload
from teleport.api.messages import JoinResponse
from teleport.errors import JoinRefused, Unavailable
from teleport.kube.api_server import MAX_TOKEN_BYTES

CLUSTER_ROLE = "pod-reader"


def join(workload: Workload, proof: str, stranger: Stranger | None = None) -> JoinResponse:
    """Join with a proof; without a stranger a new host does it."""
    return asyncio.run((stranger or make_stranger(workload)).join(workload.token_name, proof=proof))


def make_stranger(workload: Workload) -> Stranger:
    """Return a new host."""
    return Stranger(workload.auth.address, workload.auth.admin.host_ca_certificates)


def wait_for_event(workload: Workload, number: int = 1) -> dict[str, Any]:
    """Return what the audit log says of the so-manieth join with the workload's token."""

    def find() -> dict[str, Any] | None:
        events = [
            each for each in workload.auth.read_audit("instance.join") if each.get("token_name") == workload.token_name
        ]
        return events[number - 1] if len(events) >= number else None

    return wait_until(find, "the event is in the audit file")


def reason_of_refusal(workload: Workload, proof: str, stranger: Stranger | None = None, *, number: int = 1) -> str:
    """Join, which must be refused, and return the reason in the audit log; the caller learns no more than a code."""
    with pytest.raises(JoinRefused) as refusal:
        join(workload, proof, stranger)
    assert refusal.value.message == JoinRefused.PUBLIC
    event = wait_for_event(workload, number)
    assert event["success"] is False
    assert proof not in json.dumps(event)
    return str(event["reason"])


def test_a_pod_joins_with_nothing_but_its_token(workload: Workload) -> None:
    workload.admit()
    uid = workload.create_pod()
    response = join(workload, workload.get_token(uid=uid))
    event = wait_for_event(workload)
    assert (event["success"], event["host_id"], event["method"]) == (True, response.host_id, "kubernetes")
    assert event["attributes"] == {
        "type": "in_cluster",
        "namespace": workload.namespace,
        "service_account": "app",
        "pod": "app-0",
        "pod_uid": uid,
        "audiences": [workload.auth.cluster_name],
    }


def test_a_token_for_the_api_server_joins_unless_the_own_audience_is_required(workload: Workload) -> None:
    workload.admit()
    assert join(workload, workload.get_token(ISSUER)).host_id


def test_hostile_08_where_the_own_audience_is_required_the_api_server_s_is_refused(workload: Workload) -> None:
    workload.admit(require_own_audience=True)
    assert reason_of_refusal(workload, workload.get_token(ISSUER)) == "wrong_audience"


def test_hostile_08_a_token_for_somebody_else_is_refused(workload: Workload) -> None:
    workload.admit()
    assert reason_of_refusal(workload, workload.get_token("vault")) == "wrong_audience"


def test_hostile_08_one_audience_among_others_is_enough(workload: Workload) -> None:
    workload.admit()
    assert join(workload, workload.get_token("vault", workload.auth.cluster_name)).host_id


def test_another_namespace_is_refused(workload: Workload) -> None:
    workload.admit({"service_account": "elsewhere:app"})
    assert reason_of_refusal(workload, workload.get_token()) == "no_rule_matched"


@pytest.mark.parametrize(
    ("namespace", "name", "admitted"),
    [("ns-*", "a??", True), ("ns-*", "a?", False), ("n?-*", "*", True), ("s-*", "app", False)],
)
def test_hostile_15_patterns_match_as_a_whole(workload: Workload, namespace: str, name: str, admitted: bool) -> None:
    workload.admit({"service_account_namespace": namespace, "service_account_name": name})
    if admitted:
        assert join(workload, workload.get_token()).host_id
    else:
        assert reason_of_refusal(workload, workload.get_token()) == "no_rule_matched"


def test_hostile_09_a_token_that_is_bound_to_nothing_is_refused(workload: Workload, kubernetes: KubeApiServer) -> None:
    workload.admit()
    token = kubernetes.request_token(workload.namespace, "app", [workload.auth.cluster_name])
    assert reason_of_refusal(workload, token) == "not_pod_bound"


def test_hostile_09_a_token_that_is_bound_to_a_secret_is_refused(workload: Workload, kubernetes: KubeApiServer) -> None:
    workload.admit()
    secrets = f"/api/v1/namespaces/{workload.namespace}/secrets"
    uid = kubernetes.ask("POST", secrets, {"metadata": {"name": "thing"}})["metadata"]["uid"]
    bound = {"kind": "Secret", "apiVersion": "v1", "name": "thing", "uid": uid}
    token = kubernetes.request_token(workload.namespace, "app", [workload.auth.cluster_name], bound)
    assert reason_of_refusal(workload, token) == "not_pod_bound"


def test_hostile_09_a_token_that_is_bound_to_a_node_is_refused(workload: Workload, kubernetes: KubeApiServer) -> None:
    workload.admit()
    name = f"node-{workload.namespace}"
    uid = kubernetes.ask("POST", "/api/v1/nodes", {"metadata": {"name": name}})["metadata"]["uid"]
    bound = {"kind": "Node", "apiVersion": "v1", "name": name, "uid": uid}
    token = kubernetes.request_token(workload.namespace, "app", [workload.auth.cluster_name], bound)
    assert reason_of_refusal(workload, token) == "not_pod_bound"
    assert f"to node {name!r}" in wait_for_event(workload)["message"]


def test_hostile_09_a_legacy_token_is_refused(workload: Workload, kubernetes: KubeApiServer) -> None:
    workload.admit()
    token = kubernetes.create_legacy_token(workload.namespace, "app")
    assert reason_of_refusal(workload, token) == "legacy_token"


def test_hostile_06_an_expired_token_is_refused(workload: Workload) -> None:
    workload.admit()
    now = int(time.time())
    token = workload.get_changed_token(iat=now - 700, nbf=now - 700, exp=now - 100)
    assert reason_of_refusal(workload, token) == "token_expired"


def test_hostile_06_a_token_of_the_future_is_refused(workload: Workload) -> None:
    workload.admit()
    token = workload.get_changed_token(nbf=int(time.time()) + 100)
    assert reason_of_refusal(workload, token) == "token_not_yet_valid"


def test_hostile_07_a_token_of_another_issuer_is_refused(workload: Workload) -> None:
    workload.admit()
    assert reason_of_refusal(workload, workload.get_changed_token(iss=ISSUER + "/")) == "not_authenticated"


def test_hostile_14_a_user_s_token_is_refused(workload: Workload) -> None:
    workload.admit()
    assert reason_of_refusal(workload, "administrator-of-the-test") == "token_malformed"


def test_hostile_11_the_token_of_a_deleted_pod_is_refused(workload: Workload, kubernetes: KubeApiServer) -> None:
    workload.admit()
    token = workload.get_token()
    kubernetes.delete_pod(workload.namespace, "app-0")
    assert reason_of_refusal(workload, token) == "pod_gone"


def test_hostile_12_the_token_of_a_pod_that_was_made_anew_is_refused(
    workload: Workload, kubernetes: KubeApiServer
) -> None:
    workload.admit()
    token = workload.get_token()
    kubernetes.delete_pod(workload.namespace, "app-0")
    workload.create_pod()
    assert reason_of_refusal(workload, token) == "pod_uid_mismatch"


def test_hostile_11_a_look_at_the_pod_finds_what_the_api_server_still_remembers(
    workload: Workload, kubernetes: KubeApiServer
) -> None:
    kubernetes.create_cluster_role(CLUSTER_ROLE, "pods", "get")
    kubernetes.bind(CLUSTER_ROLE, "teleport", "auth")
    workload.admit(verify_pod=True)
    token, stranger = workload.get_token(), make_stranger(workload)
    assert join(workload, token, stranger).host_id
    kubernetes.delete_pod(workload.namespace, "app-0")
    assert reason_of_refusal(workload, token, stranger, number=2) == "pod_gone"


def test_hostile_13_the_token_of_a_service_account_that_was_made_anew_is_refused(
    workload: Workload, kubernetes: KubeApiServer
) -> None:
    workload.admit()
    token = workload.get_token()
    kubernetes.ask("DELETE", f"/api/v1/namespaces/{workload.namespace}/serviceaccounts/app")
    assert reason_of_refusal(workload, token) == "service_account_gone"
    kubernetes.create_service_account(workload.namespace, "app")
    another = workload.get_token(pod="app-1")
    assert join(workload, another).host_id
    numbers = count(3)
    wait_until(
        lambda: reason_of_refusal(workload, token, number=next(numbers)) == "service_account_recreated",
        "the API server has seen the new ServiceAccount",
    )


def tamper(token: str, **header: str) -> str:
    """Return the token with another header, or with its signature changed if no header is given."""
    parts = token.split(".")
    if header:
        raw = json.dumps({"typ": "JWT", **header}).encode()
        parts[0] = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    else:
        parts[2] = parts[2][:10] + ("A" if parts[2][10] != "A" else "B") + parts[2][11:]
    return ".".join(parts)


def test_hostile_01_a_forged_signature_is_refused(workload: Workload) -> None:
    workload.admit()
    assert reason_of_refusal(workload, tamper(workload.get_token())) == "not_authenticated"


def sign_with_public_key(token: str, key_file: Path) -> str:
    """Return the token with an HS256 signature whose secret is what everybody may know."""
    key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signed = tamper(token, alg="HS256").rpartition(".")[0]
    return f"{signed}.{encode(hmac.new(public, signed.encode(), hashlib.sha256).digest())}"


def test_hostile_02_the_public_key_is_no_secret_to_sign_with(workload: Workload, kubernetes: KubeApiServer) -> None:
    workload.admit()
    assert reason_of_refusal(workload, sign_with_public_key(workload.get_token(), kubernetes.signing_key)) == (
        "token_algorithm"
    )


@pytest.mark.parametrize("algorithm", ["none", "HS256", "rs256", "RS512"])
def test_hostile_02_another_algorithm_is_refused_before_anybody_is_asked(workload: Workload, algorithm: str) -> None:
    workload.admit()
    asked = workload.auth.count("teleport_kubernetes_token_review_seconds_count")
    assert reason_of_refusal(workload, tamper(workload.get_token(), alg=algorithm)) == "token_algorithm"
    assert workload.auth.count("teleport_kubernetes_token_review_seconds_count") == asked


def test_hostile_16_a_token_that_another_key_has_shown_is_refused_where_that_is_asked_for(workload: Workload) -> None:
    workload.admit(on_token_reuse="refuse")
    token = workload.get_token()
    stranger = make_stranger(workload)
    assert join(workload, token, stranger).host_id
    assert join(workload, token, stranger).host_id
    assert reason_of_refusal(workload, token, number=3) == "token_replayed"


def test_hostile_16_a_container_that_lost_its_key_joins_again_and_that_is_recorded(workload: Workload) -> None:
    workload.admit()
    token = workload.get_token()
    join(workload, token)
    join(workload, token)
    assert wait_for_event(workload, 2)["proof_reused"] is True


def test_hostile_10_a_token_that_lives_longer_than_allowed_is_refused(workload: Workload) -> None:
    workload.admit(max_token_ttl="9m59s")
    assert reason_of_refusal(workload, workload.get_token()) == "token_ttl_too_long"


def test_hostile_17_a_token_of_a_megabyte_is_refused_before_anybody_is_asked(workload: Workload) -> None:
    workload.admit()
    with pytest.raises(ValidationError, match="proof"):
        join(workload, "a" * (MAX_TOKEN_BYTES * 5))
    assert reason_of_refusal(workload, "a" * (MAX_TOKEN_BYTES + 1)) == "token_malformed"


@pytest.fixture
def without_the_right(kubernetes: KubeApiServer) -> Iterator[None]:
    kubernetes.unbind("system-auth-delegator-teleport-auth")
    yield
    kubernetes.bind("system:auth-delegator", "teleport", "auth")


@pytest.mark.usefixtures("without_the_right")
def test_hostile_23_without_the_right_to_ask_nobody_is_denied_and_readiness_tells(
    workload: Workload, kubernetes: KubeApiServer
) -> None:
    workload.admit()
    token = workload.get_token()
    wait_until(lambda: cannot_join(workload, token), "the right is gone")
    wait_for_reason(workload, "kubernetes_forbidden")
    assert workload.auth.count("teleport_joins_total", {"reason": "kubernetes_forbidden"})
    status, body = workload.auth.process.fetch("/readyz")
    assert status == 503
    assert "system:auth-delegator" in body
    kubernetes.bind("system:auth-delegator", "teleport", "auth")
    wait_until(lambda: not cannot_join(workload, token), "the right is back")


def wait_for_reason(workload: Workload, reason: str) -> dict[str, Any]:
    """Return the event that tells of an attempt with the workload's token that failed for this reason."""

    def find() -> dict[str, Any] | None:
        events = workload.auth.read_audit("instance.join")
        mine = [each for each in events if each.get("token_name") == workload.token_name]
        return next((each for each in mine if each.get("reason") == reason), None)

    return wait_until(find, f"{reason} is in the audit file")


def cannot_join(workload: Workload, token: str) -> bool:
    """Return whether auth cannot decide at present."""
    try:
        join(workload, token)
    except Unavailable:
        return True
    return False


def test_an_agent_joins_as_a_pod_does(workload: Workload, make_agent: AgentFactory, tmp_path: Path) -> None:
    workload.admit()
    token_file = tmp_path / "pod-token"
    token_file.write_text(workload.get_token() + "\n")
    agent = make_agent(workload.auth, name=f"pod-{workload.namespace}")
    workload.start_agent(agent, token_file)
    assert token_file.read_text().strip() not in (agent.folder / "agent.log").read_text()


def test_no_token_is_in_any_log(auth: AuthServer) -> None:
    written = (auth.folder / "auth.log").read_text() + (auth.data_dir / "audit.jsonl").read_text()
    assert "eyJ" not in written
