"""The client of the Kubernetes API against an API server that misbehaves: nobody is ever denied for that."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from support.clock import FakeClock
from support.fake_kube import OWN_TOKEN, TOKEN_REVIEWS, FakeKube, build_status, running_fake_kube
from support.tls_certificates import ThrowawayAuthority
from teleport.errors import TeleportError
from teleport.kube.api import KubeApi
from teleport.kube.connection import MAX_ANSWER, TIMEOUT
from teleport.kube.errors import BadAnswer, Forbidden, NoAnswer, Untrusted
from teleport.kube.objects import PODS, Pod
from teleport.kube.reviewer import TokenReviewer

PODS_PATH = "/api/v1/namespaces/apps/pods"
POD = {
    "metadata": {"name": "web-0", "uid": "7", "deletionTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"serviceAccountName": "web"},
    "status": {"phase": "Running"},
}
MEGABYTE = 1024 * 1024


@asynccontextmanager
async def running(
    folder: Path, *, patience: timedelta = TIMEOUT, shown_by: ThrowawayAuthority | None = None
) -> AsyncIterator[tuple[FakeKube, KubeApi]]:
    """Run a stand-in and a client of it."""
    async with running_fake_kube(folder, shown_by) as kube:
        client = KubeApi(kube.server, clock=FakeClock(), timeout=patience)
        try:
            yield kube, client
        finally:
            await client.close()


async def refuse(client: KubeApi) -> NoAnswer:
    """Return what a review is refused by."""
    with pytest.raises(NoAnswer) as refusal:
        await client.review_token("token", ["example.com"])
    return refusal.value


async def test_what_the_api_server_knows_of_a_token_is_copied(tmp_path: Path) -> None:
    async with running(tmp_path) as (kube, client):
        kube.vouch_for("token", build_status("example.com"))
        status = await client.review_token("token", ["example.com", "other"])
        assert (status.authenticated, status.audiences) == (True, ("example.com",))
        assert not (await client.review_token("another", ["example.com"])).authenticated
    (first, _) = kube.received
    assert (first.method, first.path, first.token) == ("POST", TOKEN_REVIEWS, OWN_TOKEN)
    assert first.body["spec"] == {"token": "token", "audiences": ["example.com", "other"]}
    assert first.headers["Accept-Encoding"] == "identity"


async def test_a_review_without_an_audience_is_never_asked_for(tmp_path: Path) -> None:
    async with running(tmp_path) as (kube, client):
        with pytest.raises(BadAnswer):
            await client.review_token("token", [])
    assert kube.received == []


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_hostile_20_a_server_that_cannot_answer_now_may_be_asked_again(tmp_path: Path, status: int) -> None:
    async with running(tmp_path) as (kube, client):
        kube.fail_next(status, retry_after="7")
        error = await refuse(client)
        assert not isinstance(error, BadAnswer)
        assert error.retry_after == timedelta(seconds=7)
        kube.vouch_for("token", build_status())
        assert (await client.review_token("token", ["example.com"])).authenticated


async def test_hostile_20_a_server_that_hangs_is_given_up(tmp_path: Path) -> None:
    async with running(tmp_path, patience=timedelta(milliseconds=50)) as (kube, client):
        kube.hang()
        error = await refuse(client)
    assert "no answer in time" in error.detail
    assert error.message == NoAnswer.PUBLIC


async def test_hostile_20_a_connection_that_breaks_is_no_answer(tmp_path: Path) -> None:
    async with running(tmp_path) as (kube, client):
        kube.break_next()
        assert type(await refuse(client)) is NoAnswer


async def test_hostile_20_a_server_that_is_not_there_is_no_answer(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        pass
    error = await refuse(client)
    await client.close()
    assert type(error) is NoAnswer
    assert "cannot ask" in error.detail
    assert "localhost" not in error.message


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(b"<html>welcome</html>", "text/html", id="html"),
        pytest.param(b"", "application/json", id="empty"),
        pytest.param(b"[" * 100_000, "application/json", id="deep"),
        pytest.param(b"[]", "application/json", id="list"),
        pytest.param(b'{"status": null}', "application/json", id="no-status"),
        pytest.param(b'{"status": {}', "application/json", id="cut"),
        pytest.param(b'{"status": {"error": "\xff"}}', "application/json", id="no-utf8"),
        pytest.param(b" " * (MAX_ANSWER + 1), "application/json", id="too-large"),
        pytest.param(b" " * (50 * MEGABYTE), "application/json", id="50-MB"),
    ],
)
async def test_hostile_22_an_answer_that_is_none_denies_nobody(tmp_path: Path, body: bytes, content_type: str) -> None:
    async with running(tmp_path) as (kube, client):
        kube.send_next(body, content_type)
        error = await refuse(client)
    assert type(error) is BadAnswer
    assert len(kube.received) == 1


async def test_hostile_22_an_answer_as_large_as_allowed_is_read(tmp_path: Path) -> None:
    body = b'{"status": {"error": "no"}}'
    async with running(tmp_path) as (kube, client):
        kube.send_next(body + b" " * (MAX_ANSWER - len(body)))
        assert (await client.review_token("token", ["example.com"])).error == "no"


async def test_hostile_22_a_redirect_is_not_followed(tmp_path: Path) -> None:
    async with running(tmp_path) as (kube, client):
        kube.redirect_next(kube.url + "/elsewhere")
        assert "307" in (await refuse(client)).detail
    assert [each.path for each in kube.received] == [TOKEN_REVIEWS]


async def test_hostile_22_a_server_of_another_authority_is_told_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, shown_by=ThrowawayAuthority.create("another CA")) as (kube, client):
        error = await refuse(client)
    assert isinstance(error, Untrusted)
    assert kube.received == []


async def test_a_cluster_that_has_renewed_its_ca_is_trusted_without_a_restart(tmp_path: Path) -> None:
    renewed = ThrowawayAuthority.create("renewed CA")
    async with running(tmp_path, shown_by=renewed) as (kube, client):
        await refuse(client)
        kube.trust(renewed)
        await refuse(client)
        assert (await client.review_token("token", ["example.com"])).error == "invalid bearer token"


async def test_hostile_23_what_is_not_allowed_is_told_apart(tmp_path: Path) -> None:
    async with running(tmp_path) as (kube, client):
        kube.fail_next(403, message="tokenreviews is forbidden")
        error = await refuse(client)
    assert isinstance(error, Forbidden)
    assert "tokenreviews is forbidden" in error.detail
    assert "tokenreviews" not in error.message


async def test_hostile_25_an_own_token_that_is_not_liked_is_read_anew_and_tried_once_more(tmp_path: Path) -> None:
    async with running(tmp_path) as (kube, client):
        await client.review_token("token", ["example.com"])
        kube.own_tokens = {"renewed"}
        kube.write_own_token("renewed\n")
        await client.review_token("token", ["example.com"])
    assert [each.token for each in kube.received] == [OWN_TOKEN, OWN_TOKEN, "renewed"]


async def test_hostile_25_an_own_token_that_stays_bad_is_tried_twice_and_no_more(tmp_path: Path) -> None:
    async with running(tmp_path) as (kube, client):
        kube.own_tokens = set()
        error = await refuse(client)
        assert "401" in error.detail
        assert OWN_TOKEN not in error.detail
        assert len(kube.received) == 2
        kube.own_tokens = {OWN_TOKEN}
        assert (await client.review_token("token", ["example.com"])).error


async def test_hostile_24_ten_thousand_reviews_are_within_the_limit_on_few_connections(tmp_path: Path) -> None:
    async with running(tmp_path) as (kube, client):
        reviewer = TokenReviewer(api=client, clock=FakeClock(), max_in_flight=8)
        for number in range(300):
            kube.vouch_for(f"token-{number}", build_status(name=f"web-{number}"))
        kube.hang()
        names = [f"web-{number % 300}" for number in range(10_000)]
        asking = [asyncio.create_task(reviewer.review(f"token-{name[4:]}", ["example.com"])) for name in names]
        await kube.wait_until_in_flight(8)
        kube.resume()
        statuses = await asyncio.gather(*asking)
    assert [status.username for status in statuses] == [f"system:serviceaccount:apps:{name}" for name in names]
    assert len(kube.received) == 300
    assert kube.most_in_flight == 8


async def test_a_pod_that_is_not_there_is_none(tmp_path: Path) -> None:
    async with running(tmp_path) as (kube, client):
        assert await client.get_pod("apps", "web-0") is None
        kube.answers[f"{PODS_PATH}/web-0"] = POD
        assert await client.get_pod("apps", "web-0") == Pod("web-0", "7", "web", is_terminating=True, phase="Running")


@pytest.mark.parametrize("name", ["..", "../../secrets", "a/b", "a?b", "a%2fb", "", "A", "a\n"])
async def test_a_name_cannot_lead_to_another_path(tmp_path: Path, name: str) -> None:
    async with running(tmp_path) as (kube, client):
        assert await client.get_pod(name, "web-0") is None
        assert await client.get_pod("apps", name) is None
    assert kube.received == []


async def test_a_list_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teleport.kube.api.MAX_PAGES", 3)
    async with running(tmp_path) as (kube, client):
        kube.answers[PODS_PATH] = {"metadata": {"resourceVersion": "7", "continue": "more"}, "items": [POD]}
        with pytest.raises(BadAnswer):
            await client.list_objects(PODS, "apps")
    assert [each.path for each in kube.received] == [f"{PODS_PATH}?limit=100"] + [
        f"{PODS_PATH}?limit=100&continue=more"
    ] * 2


async def watch(client: KubeApi) -> list[Any]:
    return [change async for change in client.watch_objects(PODS, "apps", "7")]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"no json\n", id="no-json"),
        pytest.param(b" " * (5 * MEGABYTE), id="endless-line"),
        pytest.param(b'{"type": "ADDED", "object": {}}\n', id="no-pod"),
    ],
)
async def test_hostile_22_a_watch_that_tells_nonsense_is_given_up(tmp_path: Path, body: bytes) -> None:
    async with running(tmp_path) as (kube, client):
        kube.send_next(body)
        with pytest.raises(BadAnswer):
            await watch(client)


async def test_a_line_that_was_cut_off_is_no_event(tmp_path: Path) -> None:
    async with running(tmp_path) as (kube, client):
        kube.send_next(b'{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}\n{"type": "ADD')
        assert [change.resource_version for change in await watch(client)] == ["9"]


@pytest.mark.parametrize("status", [401, 403, 410, 429, 500])
async def test_a_watch_that_is_refused_says_why(tmp_path: Path, status: int) -> None:
    async with running(tmp_path) as (kube, client):
        kube.fail_next(status)
        with pytest.raises(TeleportError) as refusal:
            await watch(client)
    assert isinstance(refusal.value, NoAnswer)
