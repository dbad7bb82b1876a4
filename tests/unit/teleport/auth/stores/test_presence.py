from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from support.backend import SteeredBackend
from support.clock import START, FakeClock
from teleport.auth.stores.presence import INSTANCE_LIFE, SERVER_LIFE, PresenceStore
from teleport.backend.protocol import Item
from teleport.errors import NotFound
from teleport.resources.model import Metadata
from teleport.resources.presence import Instance, InstanceSpec, Server, ServerSpec

TICK = timedelta(microseconds=1)


def build_instance(host_id: str = "host") -> Instance:
    return Instance(metadata=Metadata(name=host_id), spec=InstanceSpec(hostname="node", last_seen=START))


def build_servers(*names: str, host_id: str = "host") -> list[Server]:
    return [
        Server(
            kind="app_server",
            metadata=Metadata(name=f"{host_id}/{name}", labels={"env": "test"}),
            spec=ServerSpec(host_id=host_id),
        )
        for name in names
    ]


class InterruptedBackend(SteeredBackend):
    """A store in which something happens between a look and what follows from it."""

    between: Callable[[], Awaitable[None]] | None = None

    async def get(self, key: str) -> Item | None:
        item = await super().get(key)
        between, self.between = self.between, None
        if between is not None:
            await between()
        return item


class Present:
    """A presence store and its clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.backend = InterruptedBackend(clock=self.clock)
        self.store = PresenceStore(backend=self.backend)

    async def announce(self, *names: str, host_id: str = "host", process: str = "") -> None:
        servers = build_servers(*names, host_id=host_id)
        await self.store.announce(build_instance(host_id), servers, self.clock.now(), process=process)

    async def list_names(self, kind: str = "app_server") -> list[str]:
        return [record.name for record in (await self.store.list_page(kind, after="", limit=5000))[0]]


async def test_what_is_announced_is_listed() -> None:
    present = Present()
    await present.announce("grafana", "wiki")
    assert await present.list_names() == ["host/grafana", "host/wiki"]
    assert await present.list_names("instance") == ["host"]
    record = await present.store.get("app_server", "host/wiki")
    assert isinstance(record, Server)
    assert record.all_labels == {"env": "test"}
    assert record.metadata.expires == START + SERVER_LIFE


async def test_what_is_no_longer_announced_vanishes_at_once() -> None:
    present = Present()
    await present.announce("grafana", "wiki")
    await present.announce("wiki", host_id="other")
    await present.announce("wiki")
    assert await present.list_names() == ["host/wiki", "other/wiki"]


async def test_a_host_that_fell_silent_vanishes() -> None:
    present = Present()
    await present.announce("wiki")
    present.clock.advance(SERVER_LIFE)
    assert await present.list_names() == ["host/wiki"]
    present.clock.advance(TICK)
    assert await present.list_names() == []
    with pytest.raises(NotFound):
        await present.store.get("app_server", "host/wiki")
    present.clock.advance(INSTANCE_LIFE - SERVER_LIFE)
    assert await present.list_names("instance") == []


async def test_a_goodbye_removes_everything_of_the_host_and_nothing_of_others() -> None:
    present = Present()
    await present.announce("wiki")
    await present.announce("wiki", host_id="other")
    await present.store.withdraw("host")
    assert await present.list_names() == ["other/wiki"]
    assert await present.list_names("instance") == ["other"]


async def test_a_process_that_announces_itself_while_a_former_one_goes_stays() -> None:
    present = Present()
    await present.announce("wiki", process="former")
    present.backend.between = lambda: present.announce("wiki", process="next")
    await present.store.withdraw_process("host", "former")
    assert await present.list_names() == ["host/wiki"]
    assert await present.list_names("instance") == ["host"]


async def test_a_goodbye_of_nobody_is_no_error() -> None:
    await Present().store.withdraw("host")


async def test_more_records_than_a_commit_takes_are_written_and_withdrawn() -> None:
    present = Present()
    await present.announce(*(f"app-{number}" for number in range(300)))
    assert len(await present.list_names()) == 300
    await present.store.withdraw("host")
    assert await present.backend.range("") == []


async def test_pages_cover_every_record_once() -> None:
    present = Present()
    await present.announce(*(f"app-{number}" for number in range(7)))
    first, mark = await present.store.list_page("app_server", after="", limit=4)
    second, end = await present.store.list_page("app_server", after=mark, limit=4)
    assert (len(first), len(second), end) == (4, 3, "")
    assert len({record.name for record in (*first, *second)}) == 7


async def test_a_record_is_deleted_and_a_missing_one_is_not_found() -> None:
    present = Present()
    await present.announce("wiki")
    await present.store.delete("app_server", "host/wiki")
    with pytest.raises(NotFound):
        await present.store.delete("app_server", "host/wiki")


async def test_an_auth_servers_record_stands_for_itself() -> None:
    present = Present()
    server = Server(kind="auth_server", metadata=Metadata(name="auth"), spec=ServerSpec(host_id="auth"))
    await present.store.put_server(server, START)
    assert await present.list_names("auth_server") == ["auth"]
    assert await present.list_names("instance") == []


async def test_of_a_host_that_has_no_records_nothing_is_written() -> None:
    present = Present()
    await present.announce("wiki")
    await present.store.withdraw("host")
    assert await present.list_names() == await present.list_names("instance") == []
    written = present.backend.calls["commit"]
    await present.store.withdraw("host")
    assert present.backend.calls["commit"] == written
