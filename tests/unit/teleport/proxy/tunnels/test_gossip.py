import asyncio

from support.fake_proxies import FakeProxy, LoopClock, show_host
from support.tunnels import Heard
from support.virtual_time import run_in_virtual_time
from teleport.api.messages import ListRequest, ListResponse
from teleport.api.operations import RESOURCE_LIST
from teleport.api.tunnels import Message, MessageReader, Proxies, build_control_preface
from teleport.errors import TeleportError, Unavailable
from teleport.proxy.tunnels.gossip import ASK_EVERY, TELL_EVERY, Gossip
from teleport.tunnel.preface import render_preface
from teleport.tunnel.session import Session

SOON = ASK_EVERY.total_seconds() + 1
MINUTE = TELL_EVERY.total_seconds()


class FakeAuth:
    """Lists proxies, two on a page."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.failure: TeleportError | None = None

    async def call(self, operation: object, request: ListRequest) -> ListResponse:
        assert operation is RESOURCE_LIST
        assert request.kind == "proxy"
        if self.failure is not None:
            raise self.failure
        start = int(request.page_token or 0)
        page = tuple({"metadata": {"name": name}} for name in self.names[start : start + 2])
        return ListResponse(resources=page, next_page_token=str(start + 2) if start + 2 < len(self.names) else "")


async def listen(auth: FakeAuth) -> tuple[Heard, asyncio.Task[None]]:
    """Return what an agent of proxy `one` hears."""
    proxy = FakeProxy("one")
    gossip = Gossip(client=auth, host_id="one", registry=proxy.registry, clock=LoopClock())  # type: ignore[arg-type]  # it asks for no more
    heard = Heard()
    near = proxy.take(show_host())
    session = Session(is_dialer=True)
    near.connect(session)
    await session.open(render_preface(build_control_preface("0" * 32)), lambda: heard)
    await asyncio.sleep(1)
    task = asyncio.create_task(gossip.run())
    await asyncio.sleep(SOON)
    return heard, task


def read(heard: Heard) -> list[Message]:
    messages = MessageReader().feed(heard.data)
    heard.data = b""
    return messages


def test_agents_hear_of_changes_within_seconds_and_of_what_stays_every_minute() -> None:
    async def story() -> None:
        auth = FakeAuth("two", "three", "four")
        heard, task = await listen(auth)
        assert read(heard)[-1] == Proxies(frozenset({"one", "two", "three", "four"}))
        auth.names.remove("two")
        await asyncio.sleep(SOON)
        assert read(heard) == [Proxies(frozenset({"one", "three", "four"}))]
        await asyncio.sleep(2 * MINUTE + 2 * SOON)
        assert read(heard) == [Proxies(frozenset({"one", "three", "four"}))] * 2
        task.cancel()

    run_in_virtual_time(story())


def test_while_auth_does_not_answer_what_was_known_is_told() -> None:
    async def story() -> None:
        auth = FakeAuth("one", "two")
        heard, task = await listen(auth)
        read(heard)
        auth.failure = Unavailable("auth is away")
        await asyncio.sleep(MINUTE + SOON)
        assert read(heard) == [Proxies(frozenset({"one", "two"}))]
        task.cancel()

    run_in_virtual_time(story())
