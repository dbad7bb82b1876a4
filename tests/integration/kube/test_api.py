"""The client of the Kubernetes API against an API server that misbehaves: nobody is ever denied for that."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from support.fake_kube import StandIn, running_stand_in
from support.kube_apiserver import KubeApiServer
from support.tls_certificates import ThrowawayAuthority
from teleport.errors import Unavailable
from teleport.kube import api as api_module
from teleport.kube.api import MAX_ANSWER, Forbidden, KubeApi
from teleport.kube.api_server import ApiServer

REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
PODS = "/api/v1/namespaces/apps/pods/web-0"


@asynccontextmanager
async def running(tmp_path: Path) -> AsyncIterator[tuple[StandIn, KubeApi]]:
    """Run a stand-in and a client of it."""
    (tmp_path / "ca.crt").write_text(ThrowawayAuthority.create().certificate_pem)
    (tmp_path / "token").write_text("first")
    async with running_stand_in() as stand_in:
        client = KubeApi(ApiServer(stand_in.url, tmp_path / "ca.crt", tmp_path / "token"))
        try:
            yield stand_in, client
        finally:
            await client.close()


def reply(body: Any, status: int = 201, **headers: str) -> Callable[[web.BaseRequest], web.StreamResponse]:
    return lambda _: web.json_response(body, status=status, headers=headers)


async def test_an_answer_is_copied_and_what_has_another_type_is_left_out(tmp_path: Path) -> None:
    user = {"username": 7, "groups": ["a", 1], "extra": {"x": ["y"], "z": "no list"}}
    async with running(tmp_path) as (stand_in, client):
        stand_in.answers[REVIEWS] = reply({"status": {"authenticated": "yes", "user": user, "audiences": "a"}})
        status = await client.review_token("token", ["a"])
    assert (status.authenticated, status.username, status.groups, status.audiences) == (False, "", ("a",), ())
    assert status.extra == {"x": ("y",), "z": ()}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reply({"message": "down"}, 500), id="500"),
        pytest.param(reply({"message": "down"}, 503), id="503"),
        pytest.param(reply({}, 302, Location="http://169.254.169.254/"), id="redirect"),
        pytest.param(lambda _: web.Response(text="<html>", content_type="text/html"), id="html"),
        pytest.param(lambda _: web.Response(body=b"[" * 100_000), id="deep"),
        pytest.param(lambda _: web.Response(body=b" " * (MAX_ANSWER + 1)), id="too-large"),
        pytest.param(reply([]), id="no-object"),
        pytest.param(reply({"status": None}), id="no-status"),
    ],
)
async def test_hostile_22_an_answer_that_is_none_denies_nobody(
    tmp_path: Path, answer: Callable[[web.BaseRequest], web.StreamResponse]
) -> None:
    async with running(tmp_path) as (stand_in, client):
        stand_in.answers[REVIEWS] = answer
        with pytest.raises(Unavailable):
            await client.review_token("token", ["a"])
    assert stand_in.asked == [REVIEWS]


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("100000", 30), ("soon", 1), ("-1", 1)])
async def test_hostile_20_retry_after_is_kept_within_bounds(tmp_path: Path, header: str, seconds: int) -> None:
    async with running(tmp_path) as (stand_in, client):
        stand_in.answers[REVIEWS] = reply({"message": "busy"}, 429, **{"Retry-After": header})
        with pytest.raises(Unavailable) as refusal:
            await client.review_token("token", ["a"])
    assert refusal.value.retry_after <= timedelta(seconds=seconds)


async def test_hostile_20_a_server_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "TIMEOUT", timedelta(milliseconds=50))
    async with running(tmp_path) as (stand_in, client):
        stand_in.let_go.clear()
        with pytest.raises(Unavailable, match="in time"):
            await client.review_token("token", ["a"])


async def test_hostile_20_a_server_that_is_not_there_denies_nobody(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        pass
    with pytest.raises(Unavailable, match="cannot reach"):
        await client.review_token("token", ["a"])
    await client.close()


async def test_hostile_23_what_is_not_allowed_is_told_apart(tmp_path: Path) -> None:
    async with running(tmp_path) as (stand_in, client):
        stand_in.answers[REVIEWS] = reply({"message": "tokenreviews is forbidden"}, 403)
        with pytest.raises(Forbidden, match="tokenreviews is forbidden"):
            await client.review_token("token", ["a"])


async def test_hostile_25_a_token_that_is_not_liked_is_read_anew_and_tried_once_more(tmp_path: Path) -> None:
    shown: list[str] = []

    def answer(request: web.BaseRequest) -> web.StreamResponse:
        shown.append(request.headers["Authorization"])
        (tmp_path / "token").write_text("second")
        return web.json_response({"status": {}}, status=401 if len(shown) == 1 else 201)

    async with running(tmp_path) as (stand_in, client):
        stand_in.answers[REVIEWS] = answer
        await client.review_token("token", ["a"])
    assert shown == ["Bearer first", "Bearer second"]


async def test_a_review_without_an_audience_is_never_asked_for(tmp_path: Path) -> None:
    async with running(tmp_path) as (stand_in, client):
        with pytest.raises(Unavailable, match="audience"):
            await client.review_token("token", [])
    assert stand_in.asked == []


async def test_a_pod_that_is_not_there_is_none(tmp_path: Path) -> None:
    async with running(tmp_path) as (stand_in, client):
        assert await client.get_pod("apps", "web-0") is None
        metadata = {"name": "web-0", "uid": "7", "deletionTimestamp": "2026-01-01T00:00:00Z"}
        stand_in.answers[PODS] = reply({"metadata": metadata, "spec": {"serviceAccountName": "web"}}, 200)
        pod = await client.get_pod("apps", "web-0")
    assert pod is not None
    assert (pod.uid, pod.service_account, pod.is_terminating) == ("7", "web", True)


async def test_a_name_cannot_lead_to_another_path(tmp_path: Path) -> None:
    async with running(tmp_path) as (stand_in, client):
        assert await client.get_pod("..", "../../secrets") is None
    assert stand_in.asked == []


async def test_hostile_22_a_server_of_another_authority_is_not_talked_to(
    tmp_path: Path, kubernetes: KubeApiServer
) -> None:
    (tmp_path / "ca.crt").write_text(ThrowawayAuthority.create().certificate_pem)
    (tmp_path / "token").write_text("secret")
    client = KubeApi(ApiServer(kubernetes.url, tmp_path / "ca.crt", tmp_path / "token"))
    with pytest.raises(Unavailable, match="cannot reach"):
        await client.review_token("token", ["a"])
    await client.close()


async def test_the_keys_of_a_real_cluster_are_read(tmp_path: Path, kubernetes: KubeApiServer) -> None:
    (tmp_path / "token").write_text("administrator-of-the-test")
    client = KubeApi(ApiServer(kubernetes.url, kubernetes.ca_file, tmp_path / "token"))
    assert '"keys"' in await client.get_jwks()
    await client.close()
