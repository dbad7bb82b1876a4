"""What a real API server says of every kind of token, and what follows from it."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from support.kube_apiserver import ADMIN_TOKEN, ISSUER, KubeApiServer
from teleport.clock import SystemClock
from teleport.errors import JoinRefused
from teleport.kube.api import KubeApi
from teleport.kube.api_server import ApiServer
from teleport.kube.errors import BadAnswer, Forbidden
from teleport.kube.token_review import CREDENTIAL_ID, BoundServiceAccount, ReviewStatus, parse_status

JOIN = "example.com"
NUMBERS = count()
PATIENCE = 30.0
"""Seconds after which a test gives up waiting; nothing that works comes near it."""
BINDING = "system-auth-delegator-teleport-auth"


@pytest.fixture
async def api(kubernetes: KubeApiServer, tmp_path: Path) -> AsyncIterator[KubeApi]:
    """A client that is known as the ServiceAccount of auth."""
    (tmp_path / "token").write_text(kubernetes.request_token("teleport", "auth", []))
    client = KubeApi(ApiServer(kubernetes.url, kubernetes.ca_file, tmp_path / "token"), clock=SystemClock())
    await wait_for_right(client, allowed=True)
    yield client
    await client.close()


@pytest.fixture
def namespace(kubernetes: KubeApiServer) -> str:
    """A namespace of its own for each test, with the ServiceAccount `app`."""
    name = f"facts-{next(NUMBERS)}"
    kubernetes.create_service_account(name, "app")
    return name


async def judge(api: KubeApi, token: str, *audiences: str) -> BoundServiceAccount:
    asked = audiences or (JOIN,)
    return parse_status(await api.review_token(token, asked), asked)


async def refuse(api: KubeApi, token: str, *audiences: str) -> str:
    """Return why a token is refused."""
    with pytest.raises(JoinRefused) as refusal:
        await judge(api, token, *audiences)
    assert "eyJ" not in refusal.value.detail
    return refusal.value.reason


async def test_a_token_that_is_bound_to_a_pod(kubernetes: KubeApiServer, api: KubeApi, namespace: str) -> None:
    uid = kubernetes.create_pod(namespace, "app-0", "app")
    token = kubernetes.request_pod_token(namespace, "app", "app-0", uid, JOIN)
    account = await judge(api, token)
    assert (account.namespace, account.name, account.pod_name, account.pod_uid) == (namespace, "app", "app-0", uid)
    assert account.audiences == (JOIN,)
    (credential_id,) = (await api.review_token(token, (JOIN,))).extra[CREDENTIAL_ID]
    assert credential_id.startswith("JTI=")
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/app"
    assert kubernetes.ask("GET", path)["metadata"]["uid"] == account.uid
    assert (await judge(api, token, JOIN, ISSUER)).audiences == (JOIN,)
    many = [f"audience-{number}" for number in range(199)]
    assert (await judge(api, token, *many, JOIN)).audiences == (JOIN,)
    assert await refuse(api, token, "other") == "wrong_audience"
    assert await refuse(api, token, ISSUER) == "wrong_audience"


async def test_hostile_08_a_token_for_the_api_server(kubernetes: KubeApiServer, api: KubeApi, namespace: str) -> None:
    uid = kubernetes.create_pod(namespace, "app-0", "app")
    token = kubernetes.request_pod_token(namespace, "app", "app-0", uid)
    assert await refuse(api, token) == "wrong_audience"
    assert (await judge(api, token, JOIN, ISSUER)).audiences == (ISSUER,)


async def test_hostile_09_tokens_that_are_bound_to_no_pod_are_vouched_for_and_refused(
    kubernetes: KubeApiServer, api: KubeApi, namespace: str
) -> None:
    secret = kubernetes.ask("POST", f"/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": "thing"}})
    node = kubernetes.ask("POST", "/api/v1/nodes", {"metadata": {"name": f"node-{namespace}"}})
    bindings: list[dict[str, str] | None] = [None, bind("Secret", secret), bind("Node", node)]
    for bound in bindings:
        token = kubernetes.request_token(namespace, "app", [JOIN], bound)
        assert (await api.review_token(token, [JOIN])).authenticated
        assert await refuse(api, token) == "not_pod_bound"


def bind(kind: str, raw: dict[str, Any]) -> dict[str, str]:
    return {"kind": kind, "apiVersion": "v1", "name": raw["metadata"]["name"], "uid": raw["metadata"]["uid"]}


async def test_hostile_09_a_legacy_token_is_vouched_for_and_refused(
    kubernetes: KubeApiServer, api: KubeApi, namespace: str
) -> None:
    token = kubernetes.create_legacy_token(namespace, "app")
    assert await refuse(api, token) == "wrong_audience"
    assert (await api.review_token(token, [ISSUER])).authenticated
    assert await refuse(api, token, JOIN, ISSUER) == "legacy_token"


async def test_hostile_14_a_user_is_vouched_for_and_refused(api: KubeApi) -> None:
    assert await refuse(api, ADMIN_TOKEN, JOIN, ISSUER) == "not_a_service_account"


async def test_hostile_01_02_what_is_forged_is_refused(kubernetes: KubeApiServer, api: KubeApi, namespace: str) -> None:
    uid = kubernetes.create_pod(namespace, "app-0", "app")
    token = kubernetes.request_pod_token(namespace, "app", "app-0", uid, JOIN)
    header, claims, signature = token.split(".")
    forged = [
        f"{header}.{claims}.{signature[::-1]}",
        f"{encode({'alg': 'none'})}.{claims}.",
        f"{encode({'alg': 'HS256'})}.{claims}.{signature}",
        "no token",
        "a" * 1000,
    ]
    assert {await refuse(api, each) for each in forged} == {"not_authenticated"}


async def test_an_empty_token_is_no_question(api: KubeApi) -> None:
    with pytest.raises(BadAnswer) as refusal:
        await api.review_token("", [JOIN])
    assert "400" in refusal.value.detail


async def test_hostile_11_12_a_pod_that_is_gone_or_was_made_anew(
    kubernetes: KubeApiServer, api: KubeApi, namespace: str
) -> None:
    uid = kubernetes.create_pod(namespace, "app-0", "app")
    tokens = [kubernetes.request_pod_token(namespace, "app", "app-0", uid, JOIN) for _ in range(2)]
    kubernetes.delete_pod(namespace, "app-0")
    assert await settle(api, tokens[0], "pod_gone") == "pod_gone"
    kubernetes.create_pod(namespace, "app-0", "app")
    assert await settle(api, tokens[1], "pod_uid_mismatch") == "pod_uid_mismatch"


async def test_hostile_13_a_service_account_that_is_gone_or_was_made_anew(
    kubernetes: KubeApiServer, api: KubeApi, namespace: str
) -> None:
    uid = kubernetes.create_pod(namespace, "app-0", "app")
    token = kubernetes.request_pod_token(namespace, "app", "app-0", uid, JOIN)
    kubernetes.ask("DELETE", f"/api/v1/namespaces/{namespace}/serviceaccounts/app")
    assert await settle(api, token, "service_account_gone") == "service_account_gone"
    kubernetes.create_service_account(namespace, "app")
    assert await settle(api, token, "service_account_recreated") == "service_account_recreated"


async def settle(api: KubeApi, token: str, reason: str) -> str:
    """Return the reason of a refusal, once the API server's own watches have seen what changed."""
    async with asyncio.timeout(PATIENCE):
        while True:
            seen = reason_of(await api.review_token(token, [JOIN]), [JOIN])
            if seen == reason:
                return seen
            await asyncio.sleep(0.02)


def reason_of(status: ReviewStatus, audiences: Sequence[str]) -> str:
    try:
        parse_status(status, audiences)
    except JoinRefused as refusal:
        return refusal.reason
    return ""


async def test_hostile_23_the_right_to_review_is_taken_away_and_given_back(
    kubernetes: KubeApiServer, api: KubeApi
) -> None:
    kubernetes.unbind(BINDING)
    try:
        refusal = await wait_for_right(api, allowed=False)
        assert refusal is not None
        assert 'User "system:serviceaccount:teleport:auth" cannot create resource "tokenreviews"' in refusal.detail
        assert not (await api.review_own_access("create", "authentication.k8s.io", "tokenreviews")).allowed
    finally:
        kubernetes.bind("system:auth-delegator", "teleport", "auth")
    await wait_for_right(api, allowed=True)
    assert (await api.review_own_access("create", "authentication.k8s.io", "tokenreviews")).allowed


async def wait_for_right(api: KubeApi, *, allowed: bool) -> Forbidden | None:
    """Ask until the API server has seen a change of rights; it watches them, and is late by moments."""
    async with asyncio.timeout(PATIENCE):
        while True:
            refusal = await try_review(api)
            if (refusal is None) is allowed:
                return refusal
            await asyncio.sleep(0.02)


async def try_review(api: KubeApi) -> Forbidden | None:
    try:
        await api.review_token("no token", [JOIN])
    except Forbidden as error:
        return error
    return None


def encode(part: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
