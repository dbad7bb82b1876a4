"""Pods that are gone, that no rule admits, or whose token somebody else shows; each through the whole join.

`PodJoining.refuse` holds what is expected of every refusal.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from support.auth import ANONYMOUS
from support.pod_joining import (
    ELSEWHERE,
    STATIC,
    PodJoining,
    build_proof,
)
from teleport.api.joined import generate_keys
from teleport.kube.objects import Pod

POD = Pod("web-0", "pod-uid", "web", is_terminating=False)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda api: api.pods.clear(), "pod_gone", id="11-gone"),
        pytest.param(
            lambda api: api.pods.update({"apps/web-0": replace(POD, is_terminating=True)}),
            "pod_terminating",
            id="11-ending",
        ),
        pytest.param(
            lambda api: api.pods.update({"apps/web-0": replace(POD, uid="another")}), "pod_uid_mismatch", id="12-anew"
        ),
    ],
)
async def test_hostile_11_12_a_look_at_the_pod_finds_what_the_last_yes_does_not_know(
    change: Callable[[Any], None], reason: str
) -> None:
    joining = await PodJoining.start(verify_pod=True)
    keys, proof = generate_keys(), build_proof()
    assert (await joining.join(proof, keys=keys)).host_id
    change(joining.api)
    assert await joining.refuse(proof, keys=keys) == reason
    assert len(joining.api.asked) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda api: api.pods.clear(), "pod_gone", id="11"),
        pytest.param(
            lambda api: api.pods.update({"apps/web-0": replace(POD, uid="another")}), "pod_uid_mismatch", id="12"
        ),
        pytest.param(lambda api: api.accounts.clear(), "service_account_gone", id="13-gone"),
        pytest.param(
            lambda api: api.accounts.update({"apps:web": "another"}), "service_account_recreated", id="13-anew"
        ),
    ],
)
async def test_hostile_11_12_13_what_the_api_server_says_is_in_the_audit_log(
    change: Callable[[Any], None], reason: str
) -> None:
    joining = await PodJoining.start()
    change(joining.api)
    assert await joining.refuse(build_proof()) == reason
    message = (await joining.auth.last_event())["message"]
    assert message.startswith("Kubernetes refused the token: [invalid bearer token, ")


@pytest.mark.parametrize(
    ("rule", "namespace"),
    [
        ({"service_account": "ns:web"}, "ns-evil"),
        ({"service_account_namespace": "ns", "service_account_name": "*"}, "ns-evil"),
        ({"service_account_namespace": "ns", "service_account_name": "*"}, "evil-ns"),
        ({"service_account_namespace": "ns?", "service_account_name": "*"}, "ns"),
        ({"service_account_namespace": "ns?", "service_account_name": "*"}, "ns-evil"),
        ({"service_account_namespace": "n.s", "service_account_name": "*"}, "nas"),
        ({"service_account_namespace": "ns**-x", "service_account_name": "*"}, "ns"),
    ],
)
async def test_hostile_15_only_what_a_rule_says_is_admitted(rule: dict[str, str], namespace: str) -> None:
    joining = await PodJoining.start(**STATIC, allow=[rule])
    assert await joining.refuse(build_proof(sub=f"system:serviceaccount:{namespace}:web")) == "no_rule_matched"


async def test_hostile_16_another_key_from_elsewhere_is_a_replay(joining: PodJoining) -> None:
    keys, proof = generate_keys(), build_proof()
    assert (await joining.join(proof, keys=keys)).host_id
    assert await joining.refuse(proof, caller=ELSEWHERE) == "token_replayed"
    event = await joining.auth.last_event()
    assert ANONYMOUS.remote_addr in event["message"]
    assert event["attributes"]["pod"] == "web-0"


async def test_hostile_16_the_same_key_may_ask_again_from_anywhere(joining: PodJoining) -> None:
    keys, proof = generate_keys(), build_proof()
    assert (await joining.join(proof, keys=keys)).host_id
    assert (await joining.join(proof, keys=keys, caller=ELSEWHERE)).host_id
    assert "proof_reused" not in await joining.auth.last_event()


async def test_hostile_16_another_key_from_the_same_address_is_let_in_and_told_of(joining: PodJoining) -> None:
    proof = build_proof()
    assert (await joining.join(proof)).host_id
    assert (await joining.join(proof)).host_id
    assert (await joining.auth.last_event())["proof_reused"] is True


async def test_hostile_16_where_that_is_asked_for_the_same_address_is_a_replay_too() -> None:
    joining = await PodJoining.start(on_token_reuse="refuse")
    proof = build_proof()
    assert (await joining.join(proof)).host_id
    assert await joining.refuse(proof) == "token_replayed"


async def test_hostile_16_of_two_keys_at_once_from_two_places_one_joins(joining: PodJoining) -> None:
    proof = build_proof()
    outcomes = await asyncio.gather(
        *(joining.join(proof, caller=caller) for caller in (ANONYMOUS, ELSEWHERE)), return_exceptions=True
    )
    assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 1
    events = await joining.auth.list_events("instance.join")
    assert sorted(event.get("reason", "success") for event in events) == ["success", "token_replayed"]


async def test_hostile_16_a_token_without_an_id_is_known_by_its_bytes(joining: PodJoining) -> None:
    proof = build_proof(jti=None)
    assert (await joining.join(proof)).host_id
    assert await joining.refuse(proof, caller=ELSEWHERE) == "token_replayed"
    assert (await joining.join(build_proof(jti=None, nbf=None), caller=ELSEWHERE)).host_id
