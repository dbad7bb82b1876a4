import asyncio
import itertools
from pathlib import Path
from typing import Any, cast

import kopf
import pytest

from support.clock import FakeClock
from support.declared import KUBERNETES, build_object
from support.virtual_time import run_in_virtual_time, seconds
from teleport.kube.api_server import ApiServer
from teleport.resources.address import Address
from teleport.web.readiness import Readiness
from teleport_operator.declaration import FINALIZER
from teleport_operator.event_source import LONGEST_BACKOFF, build_registry, build_settings, watch
from teleport_operator.feed import ObjectFeed
from teleport_operator.settings import OperatorSettings


class FakeFeed:
    """Hears of objects."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.gone: list[Any] = []

    def take(self, raw: Any) -> None:
        self.taken.append(raw)

    def take_gone(self, raw: Any) -> None:
        self.gone.append(raw)


def build(feed: FakeFeed, server: ApiServer) -> kopf.OperatorRegistry:
    clock = FakeClock()
    return build_registry(server, cast("ObjectFeed", feed), readiness=Readiness(clock), clock=clock)


def get_handlers(registry: kopf.OperatorRegistry) -> tuple[Any, Any]:
    """Return what logs in and what hands objects on; there is nothing else."""
    (login,) = registry._activities.get_all_handlers()
    (hand_on,) = registry._watching.get_all_handlers()
    return login.fn, hand_on.fn


@pytest.fixture
def server(tmp_path: Path) -> ApiServer:
    token_file = tmp_path / "token"
    token_file.write_text("first")
    return ApiServer("http://192.0.2.1", None, token_file)


def test_kopf_writes_nothing_into_objects() -> None:
    settings = build_settings()
    key = cast("Any", "key")
    body = kopf.Body({"metadata": {"annotations": {}}, "spec": {"a": 1}})
    patch = kopf.Patch()
    storage, progress = settings.persistence.diffbase_storage, settings.persistence.progress_storage
    storage.store(body=body, patch=patch, essence=storage.build(body=body))
    progress.store(key=key, record=cast("Any", {}), body=body, patch=patch)
    progress.touch(body=body, patch=patch, value="now")
    progress.purge(key=key, body=body, patch=patch)
    assert dict(patch) == {}
    assert storage.fetch(body=body) is None
    assert progress.fetch(key=key, body=body) is None


def test_kopf_posts_no_events_and_looks_at_no_definitions() -> None:
    settings = build_settings()
    assert not settings.posting.enabled
    assert settings.scanning.disabled


def test_the_finalizer_that_kopf_takes_away_is_none_of_ours() -> None:
    assert build_settings().persistence.finalizer != FINALIZER


def test_errors_of_the_api_server_never_end_the_process() -> None:
    endless: Any = build_settings().networking.error_backoffs
    backoffs = list(itertools.islice(endless, 1000))
    assert len(backoffs) == 1000
    assert max(backoffs) == LONGEST_BACKOFF.total_seconds()
    assert backoffs == sorted(backoffs)


@pytest.mark.parametrize("kind", [None, "ADDED", "MODIFIED"])
async def test_objects_are_handed_on_without_what_nobody_reads(kind: str | None, server: ApiServer) -> None:
    feed = FakeFeed()
    _, hand_on = get_handlers(build(feed, server))
    await hand_on(event={"type": kind, "object": build_object(KUBERNETES, managedFields=[{}])})
    assert feed.taken == [build_object(KUBERNETES)]
    assert feed.gone == []


async def test_the_end_of_an_object_is_told_as_such(server: ApiServer) -> None:
    feed = FakeFeed()
    _, hand_on = get_handlers(build(feed, server))
    await hand_on(event={"type": "DELETED", "object": build_object(KUBERNETES)})
    assert feed.taken == []
    assert feed.gone == [build_object(KUBERNETES)]


async def read_credentials(connection: kopf.AiohttpSession) -> str | None:
    """Return what a login has got for requests, and let go of it."""
    async with connection.aiohttp_session as session:
        return session.headers.get("Authorization")


async def test_each_login_reads_the_token_anew(server: ApiServer) -> None:
    login, _ = get_handlers(build(FakeFeed(), server))
    assert await read_credentials(await login()) == "Bearer first"
    assert server.token_file is not None
    server.token_file.write_text("second")
    connection = await login()
    assert await read_credentials(connection) == "Bearer second"
    assert connection.server == "http://192.0.2.1"
    assert connection.expiration is not None


async def test_where_somebody_else_says_who_asks_there_is_no_token() -> None:
    login, _ = get_handlers(build(FakeFeed(), ApiServer("http://127.0.0.1:8001", None, None)))
    assert await read_credentials(await login()) is None


def test_a_watch_that_broke_does_not_have_the_process_killed_later() -> None:
    assert build_settings().process.ultimate_exiting_timeout is None


def watch_with(monkeypatch: pytest.MonkeyPatch, ends: list[Exception | None]) -> tuple[list[float], float]:
    """Watch with watches that end as told, the last of them by a signal; return when each began, and the end."""
    began: list[float] = []
    settings = OperatorSettings(auth_server=Address("127.0.0.1", 1), namespace="teleport", namespaces=("teleport",))

    async def tell() -> float:
        stop = asyncio.Event()

        async def spawn(**_: object) -> list[asyncio.Task[None]]:
            began.append(seconds())
            return []

        async def run(_: object, *, ignored: object) -> None:
            assert ignored
            end = ends.pop(0)
            if end is None:
                await stop.wait()
                return
            raise end

        monkeypatch.setattr(kopf, "spawn_tasks", spawn)
        monkeypatch.setattr(kopf, "run_tasks", run)
        asyncio.get_running_loop().call_later(100, stop.set)
        await watch(settings, kopf.OperatorRegistry(), stop)
        return seconds()

    return began, run_in_virtual_time(tell())


def test_whatever_ends_a_watch_another_one_begins_later_each_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Exception] = [ValueError("name-0"), kopf.LoginError("name-0"), RuntimeError("name-0")]
    began, ended = watch_with(monkeypatch, [*errors, None])
    assert began == [0, 1, 2, 4]
    assert ended == 100
    assert "LoginError" in caplog.text
    assert "name-0" not in caplog.text


def test_a_watch_that_ends_for_the_event_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    began, ended = watch_with(monkeypatch, [None])
    assert (began, ended) == ([0], 100)
