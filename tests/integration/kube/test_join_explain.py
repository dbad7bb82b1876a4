"""`tctl join explain` about tokens that a real API server issued: it says what becomes of the join."""

import asyncio
import json
from typing import Any

import pytest
import yaml

from support.kube_apiserver import ISSUER, KubeApiServer
from support.strangers import Stranger
from support.workload import Workload
from teleport.api.messages import JoinResponse
from teleport.errors import JoinRefused


def explain(workload: Workload, token: str, *arguments: str) -> dict[str, Any]:
    """Return what is said of the workload's token resource."""
    flags = ("--token-file=-", f"--token={workload.token_name}", "--format=json", *arguments)
    done = workload.auth.run_tctl("join", "explain", *flags, stdin=token)
    assert token not in done.stdout + done.stderr
    (said,) = json.loads(done.stdout)["tokens"]
    assert done.returncode == (0 if said["admits"] else 1)
    return dict(said)


def reasons(said: dict[str, Any]) -> list[str]:
    return [finding["reason"] for finding in said["findings"]]


def join(workload: Workload, token: str) -> JoinResponse:
    stranger = Stranger(workload.auth.address, workload.auth.admin.host_ca_certificates)
    return asyncio.run(stranger.join(workload.token_name, proof=token))


def test_who_is_said_to_be_admitted_joins(workload: Workload) -> None:
    workload.admit()
    token = workload.get_token()
    said = explain(workload, token, "--role=app")
    assert (said["admits"], said["rule"], said["findings"]) == (True, 1, [])
    assert workload.auth.tctl("tokens", "uses", workload.token_name, "--format=json") == "[]\n"
    assert join(workload, token).host_id


def test_the_audience_of_the_api_server_is_recognised(workload: Workload) -> None:
    workload.admit()
    token = workload.get_token(ISSUER)
    assert f"{ISSUER!r} is the API server's own audience" in explain(workload, token)["conditions"]
    assert join(workload, token).host_id


def test_every_reason_of_an_unbound_token_of_another_account_is_told(
    workload: Workload, kubernetes: KubeApiServer
) -> None:
    workload.admit({"service_account": "elsewhere:app"}, max_token_ttl="5m")
    token = kubernetes.request_token(workload.namespace, "app", ["vault"])
    said = explain(workload, token, "--role=proxy")
    assert reasons(said)[1:] == ["wrong_audience", "not_pod_bound", "token_ttl_too_long", "no_rule_matched"]


def test_who_is_said_to_be_refused_is_refused_and_the_offered_rule_admits(workload: Workload) -> None:
    workload.admit({"service_account": "elsewhere:app"})
    token = workload.get_token()
    (finding,) = explain(workload, token)["findings"]
    with pytest.raises(JoinRefused):
        join(workload, token)
    workload.auth.tctl("rm", f"token/{workload.token_name}")
    workload.admit(*yaml.safe_load(finding["yaml"])["allow"])
    assert join(workload, token).host_id
