"""The client against a real API server: what it reads and writes, and what becomes of it in an outage."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from support.kube_apiserver import ADMIN_TOKEN, ISSUER, KubeApiServer
from teleport.clock import SystemClock
from teleport.errors import CompareFailed
from teleport.kube.api import KubeApi
from teleport.kube.api_server import ApiServer
from teleport.kube.errors import BadAnswer, Forbidden, NoAnswer
from teleport.kube.objects import PODS, Change, ObjectChange, Pod
from teleport.kube.secret_apply import SecretApply
from teleport.pki.jwks import parse_jwks

NUMBERS = count()
SHORT = timedelta(milliseconds=300)
PATIENCE = 30.0
"""Seconds after which a test gives up waiting; nothing that works comes near it."""


@pytest.fixture
async def admin(kubernetes: KubeApiServer, tmp_path: Path) -> AsyncIterator[KubeApi]:
    """A client that may do everything."""
    (tmp_path / "token").write_text(ADMIN_TOKEN)
    server = ApiServer(kubernetes.url, kubernetes.ca_file, tmp_path / "token")
    client = KubeApi(server, clock=SystemClock())
    yield client
    await client.close()


@pytest.fixture
def namespace(kubernetes: KubeApiServer) -> str:
    """A namespace of its own for each test, with the ServiceAccount `app`."""
    name = f"real-{next(NUMBERS)}"
    kubernetes.create_service_account(name, "app")
    return name


async def test_the_version_the_issuer_and_the_keys_of_the_cluster(admin: KubeApi) -> None:
    assert (await admin.get_version()).is_supported
    assert await admin.get_issuer() == ISSUER
    assert parse_jwks(await admin.get_jwks()).keys


async def test_any_service_account_may_read_the_keys_and_the_version(
    kubernetes: KubeApiServer, namespace: str, tmp_path: Path
) -> None:
    (tmp_path / "account").write_text(kubernetes.request_token(namespace, "app", []))
    server = ApiServer(kubernetes.url, kubernetes.ca_file, tmp_path / "account")
    client = KubeApi(server, clock=SystemClock())
    try:
        assert parse_jwks(await client.get_jwks()).keys
        assert (await client.get_version()).is_supported
        assert not (await client.review_own_access("get", "", "pods", namespace=namespace)).allowed
        with pytest.raises(Forbidden) as refusal:
            await client.get_pod(namespace, "app-0")
        assert f"system:serviceaccount:{namespace}:app" in refusal.value.detail
    finally:
        await client.close()


async def test_a_pod_and_its_service_account_are_read(
    kubernetes: KubeApiServer, admin: KubeApi, namespace: str
) -> None:
    uid = kubernetes.create_pod(namespace, "app-0", "app")
    pod = await admin.get_pod(namespace, "app-0")
    assert pod is not None
    assert (pod.uid, pod.service_account, pod.phase, pod.is_terminating) == (uid, "app", "Pending", False)
    assert await admin.get_pod(namespace, "app-1") is None
    assert await admin.get_service_account(namespace, "app") is not None
    assert await admin.get_service_account(namespace, "other") is None


async def test_all_pods_are_listed_page_by_page(
    kubernetes: KubeApiServer, admin: KubeApi, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("teleport.kube.api.PAGE_SIZE", 2)
    uids = {kubernetes.create_pod(namespace, f"app-{number}", "app") for number in range(5)}
    assert {pod.uid for pod in (await admin.list_objects(PODS, namespace)).objects} == uids


async def test_a_watch_tells_what_becomes_of_the_pods(
    kubernetes: KubeApiServer, admin: KubeApi, namespace: str
) -> None:
    start = (await admin.list_objects(PODS, namespace)).resource_version
    uid = kubernetes.create_pod(namespace, "app-0", "app")
    kubernetes.delete_pod(namespace, "app-0")
    changes: list[ObjectChange[Pod]] = []
    async with asyncio.timeout(PATIENCE), aclosing(admin.watch_objects(PODS, namespace, start)) as watch:
        async for change in watch:
            changes.append(change)
            if change.change is Change.DELETED:
                break
    assert (changes[0].change, changes[-1].change) == (Change.ADDED, Change.DELETED)
    assert {change.object.uid for change in changes if change.object is not None} == {uid}


async def test_a_secret_is_written_and_read(admin: KubeApi, namespace: str) -> None:
    assert await admin.get_secret(namespace, "state") is None
    first = SecretApply(namespace, "state", {"id": b"\x00\xff", "old": b"1"}, annotations={"a": "b"})
    written = await admin.apply_secret(first, field_manager="agent-0")
    second = SecretApply(namespace, "state", {"id": b"new"}, resource_version=written.resource_version)
    await admin.apply_secret(second, field_manager="agent-0")
    found = await admin.get_secret(namespace, "state")
    assert found is not None
    assert found.data == {"id": b"new"}


async def test_a_secret_that_changed_meanwhile_is_not_written(admin: KubeApi, namespace: str) -> None:
    first = await admin.apply_secret(SecretApply(namespace, "state", {"id": b"1"}), field_manager="agent-0")
    await admin.apply_secret(SecretApply(namespace, "state", {"id": b"2"}), field_manager="agent-0")
    stale = SecretApply(namespace, "state", {"id": b"3"}, resource_version=first.resource_version)
    with pytest.raises(CompareFailed):
        await admin.apply_secret(stale, field_manager="agent-0")
    with pytest.raises(CompareFailed):
        await admin.apply_secret(SecretApply(namespace, "state", {"id": b"4"}), field_manager="agent-1")
    found = await admin.get_secret(namespace, "state")
    assert found is not None
    assert found.data == {"id": b"2"}


async def test_of_two_creations_of_a_secret_one_is_refused(admin: KubeApi, namespace: str) -> None:
    await admin.create_secret(SecretApply(namespace, "state", {"id": b"1"}), field_manager="agent-0")
    with pytest.raises(CompareFailed):
        await admin.create_secret(SecretApply(namespace, "state", {"id": b"2"}), field_manager="agent-0")
    found = await admin.get_secret(namespace, "state")
    assert found is not None
    assert found.data == {"id": b"1"}


async def test_a_forced_apply_takes_fields_over_and_overwrites_no_later_version(admin: KubeApi, namespace: str) -> None:
    first = await admin.create_secret(SecretApply(namespace, "state", {"id": b"1"}), field_manager="restore")
    change = SecretApply(namespace, "state", {"id": b"2"}, resource_version=first.resource_version)
    with pytest.raises(CompareFailed):
        await admin.apply_secret(change, field_manager="agent-0")
    assert (await admin.apply_secret(change, field_manager="agent-0", force=True)).data == {"id": b"2"}
    with pytest.raises(CompareFailed):
        await admin.apply_secret(change, field_manager="agent-0", force=True)


async def test_hostile_25_an_own_token_that_is_not_good_any_more_is_replaced_without_a_restart(
    kubernetes: KubeApiServer, tmp_path: Path
) -> None:
    path = tmp_path / "own"
    path.write_text("expired")
    client = KubeApi(ApiServer(kubernetes.url, kubernetes.ca_file, path), clock=SystemClock())
    try:
        with pytest.raises(BadAnswer) as refusal:
            await client.get_version()
        assert "401" in refusal.value.detail
        path.write_text(ADMIN_TOKEN)
        assert (await client.get_version()).is_supported
    finally:
        await client.close()


async def test_hostile_20_a_server_that_hangs_stops_or_starts_again_needs_no_new_client(
    kubernetes: KubeApiServer, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(ADMIN_TOKEN)
    server = ApiServer(kubernetes.url, kubernetes.ca_file, tmp_path / "token")
    client = KubeApi(server, clock=SystemClock(), timeout=SHORT)
    try:
        await answered(client)
        with kubernetes.frozen():
            with pytest.raises(NoAnswer) as hung:
                await client.get_version()
            assert "no answer in time" in hung.value.detail
        await answered(client)
        kubernetes.stop()
        with pytest.raises(NoAnswer) as stopped:
            await client.get_version()
        assert not isinstance(stopped.value, BadAnswer)
        kubernetes.start()
        await answered(client)
    finally:
        await client.close()


async def answered(client: KubeApi) -> None:
    """Ask until there is an answer."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await client.get_version()
            except NoAnswer:
                await asyncio.sleep(0.05)
            else:
                return
