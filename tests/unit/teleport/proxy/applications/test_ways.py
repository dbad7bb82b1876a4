import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from support.clock import FakeClock
from support.tunnels import Heard, build_tunnel, settle
from teleport.errors import ConnectionFailed, TooLarge
from teleport.proxy.applications.ways import AVOIDED, Ways
from teleport.tunnel.errors import TunnelClosed, TunnelOverloaded
from teleport.tunnel.preface import PrefaceProtocol, render_preface
from teleport.tunnel.session import Session
from teleport.tunnel.stream import Stream


class Agent(asyncio.Protocol):
    """Answers a stream's preface as it is told."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, Stream)
        transport.write(self.answer)
        if not self.answer:
            transport.abort()


class Stage:
    """A proxy with tunnels to agents."""

    def __init__(self, **answers: dict[str, Any]) -> None:
        self.clock = FakeClock()
        self.prefaces: list[dict[str, Any]] = []
        self.tunnels: dict[str, Session] = {name: self._build(answer) for name, answer in answers.items()}
        self.ways = Ways(self.tunnels.get, clock=self.clock)
        self.answers = answers

    def _build(self, answer: dict[str, Any]) -> Session:
        def choose(document: dict[str, Any], _: Stream) -> asyncio.Protocol:
            self.prefaces.append(document)
            return Agent(render_preface(answer) + b"hello" if answer else b"")

        return build_tunnel(lambda _: PrefaceProtocol(choose))[0]

    async def open(self, host_id: str) -> Heard:
        heard = Heard()
        (way,) = self.ways.list_upstreams("app", [host_id], remote_addr="192.0.2.1")
        await way.open(lambda: heard)
        await settle()
        return heard

    def order(self) -> list[str]:
        ways = self.ways.list_upstreams("app", ["a", "b", "c"], remote_addr="")
        return [way.key for way in ways]


async def test_a_stream_is_handed_over_when_the_agent_has_agreed() -> None:
    stage = Stage(a={"ok": True})
    heard = await stage.open("a")
    assert (heard.events[0], heard.data) == ("made", b"hello")
    assert stage.prefaces == [{"to": "app", "app": "app", "remote_addr": "192.0.2.1"}]


@pytest.mark.parametrize("answer", [{"error": "down\n"}, {"ok": "yes"}, {"ok": 1}, {"other": True}])
async def test_a_refusal_says_why_and_hands_nothing_over(answer: dict[str, Any]) -> None:
    stage = Stage(a=answer)
    with pytest.raises(ConnectionFailed, match="the agent cannot reach the application") as caught:
        await stage.open("a")
    assert "\n" not in caught.value.message


async def test_a_stream_that_is_cut_instead_is_a_failure() -> None:
    stage = Stage(a={})
    with pytest.raises((TunnelClosed, TunnelOverloaded)):
        await stage.open("a")


async def test_an_agent_without_a_tunnel_is_named() -> None:
    with pytest.raises(ConnectionFailed, match="no tunnel to agent z"):
        await Stage().open("z")


async def test_those_without_a_tunnel_and_those_that_failed_come_last() -> None:
    stage = Stage(a={"error": "down"}, b={"ok": True})
    with suppress(ConnectionFailed):
        await stage.open("a")
    assert all(stage.order() == ["b/app", "a/app", "c/app"] for _ in range(20))
    stage.clock.advance(AVOIDED)
    assert {stage.order()[0] for _ in range(50)} == {"a/app", "b/app"}


async def test_a_way_that_opens_again_is_as_good_as_any() -> None:
    stage = Stage(a={"error": "down"}, b={"ok": True})
    with suppress(ConnectionFailed):
        await stage.open("a")
    stage.tunnels["a"] = Stage(a={"ok": True}).tunnels["a"]
    stage.clock.advance(timedelta(seconds=1))
    await stage.open("a")
    assert {stage.order()[0] for _ in range(50)} == {"a/app", "b/app"}


async def test_whether_there_is_any_way_is_known_beforehand() -> None:
    stage = Stage(a={"ok": True})
    assert stage.ways.has_any(["z", "a"])
    assert not stage.ways.has_any(["z"])
    stage.tunnels["a"].go_away()
    assert not stage.ways.has_any(["a"])


def test_an_assertion_that_is_too_long_is_refused_before_anything_is_opened() -> None:
    ways = Ways(lambda _: None, clock=FakeClock())
    with pytest.raises(TooLarge):
        ways.list_upstreams("app", ["a"], remote_addr="", assertion="x" * 4096)
