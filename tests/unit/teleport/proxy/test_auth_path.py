import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from support.clock import FakeClock
from support.tunnels import Heard, PipeEnd, build_pipe, settle
from teleport.errors import TeleportError, Unavailable
from teleport.proxy.auth_link import AuthLink
from teleport.proxy.auth_path import AuthPath
from teleport.tunnel.stream import Stream
from teleport.web.call import NO_HEAD, Peer
from teleport.web.limits import RateLimiter

ADDRESS = "192.0.2.1"


class Rate:
    """A rate for tests: so many, and never one more."""

    period = timedelta(hours=1)
    average = 1

    def __init__(self, burst: int) -> None:
        self.burst = burst


class FakeLink(AuthLink):
    """Opens streams to an auth server that is in the test."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, PipeEnd]] = []
        self.auths: list[Heard] = []
        self.failure: TeleportError | None = None

    async def open(self, remote_addr: str, protocol_factory: Callable[[], asyncio.Protocol]) -> Stream:
        if self.failure is not None:
            raise self.failure
        near, far = build_pipe()
        auth = Heard(echoes=True)
        far.connect(auth)
        near.connect(protocol_factory())
        self.opened.append((remote_addr, far))
        self.auths.append(auth)
        return near  # type: ignore[return-value]  # nobody looks at it


class Proxy:
    """A path to auth, and clients of it."""

    def __init__(self, burst: int = 100) -> None:
        self.link = FakeLink()
        self.path = AuthPath(self.link, RateLimiter(Rate(burst), FakeClock()))
        self.closed = 0

    def _count(self) -> None:
        self.closed += 1

    async def connect(self, address: str = ADDRESS) -> tuple[PipeEnd, Heard]:
        near, far = build_pipe()
        heard = Heard()
        near.connect(heard)
        far.connect(self.path.connect(Peer(address), self._count))
        await settle()
        return near, heard

    async def connect_websocket(self) -> tuple[PipeEnd, Heard]:
        near, far = build_pipe()
        heard = Heard()
        near.connect(heard)
        far.connect(self.path.connect_websocket(NO_HEAD, Peer(ADDRESS), self._count))
        await settle()
        return near, heard


async def test_bytes_pass_both_ways_and_the_address_is_told() -> None:
    proxy = Proxy()
    client, heard = await proxy.connect()
    client.write(b"\x16\x03\x01 whatever it is")
    await settle()
    assert heard.data == b"\x16\x03\x01 whatever it is"
    assert proxy.link.opened[0][0] == ADDRESS


async def test_bytes_that_come_before_auth_is_reached_are_not_lost() -> None:
    proxy = Proxy()
    near, far = build_pipe()
    heard = Heard()
    near.connect(heard)
    far.connect(proxy.path.connect(Peer(ADDRESS), lambda: None))
    near.write(b"early")
    await settle()
    assert heard.data == b"early"


async def test_when_one_end_goes_so_does_the_other() -> None:
    proxy = Proxy()
    client, _ = await proxy.connect()
    client.close()
    await settle()
    assert "lost" in proxy.link.auths[0].events
    _, heard = await proxy.connect()
    proxy.link.opened[1][1].close()
    await settle()
    assert "lost" in heard.events
    assert proxy.closed == 2


async def test_while_auth_is_away_clients_are_cut_at_once() -> None:
    proxy = Proxy()
    proxy.link.failure = Unavailable("auth is not reached at present")
    _, heard = await proxy.connect()
    assert "lost" in heard.events
    assert proxy.closed == 1


async def test_an_address_may_connect_so_often_and_not_once_more() -> None:
    proxy = Proxy(burst=3)
    for _ in range(3):
        _, heard = await proxy.connect()
        assert "lost" not in heard.events
    _, heard = await proxy.connect()
    assert "lost" in heard.events
    assert len(proxy.link.opened) == 3
    _, heard = await proxy.connect("192.0.2.2")
    assert "lost" not in heard.events


async def test_a_websocket_carries_the_same_bytes() -> None:
    proxy = Proxy(burst=0 + 1)
    client, heard = await proxy.connect_websocket()
    client.write(b"\x82\x85\x00\x00\x00\x00hello")  # a binary message under a mask of noughts (RFC 6455, 5.2)
    await settle()
    assert heard.data == b"\x82\x05hello"
    assert proxy.link.opened[0][0] == ADDRESS


@pytest.mark.parametrize("frame", [b"\x81\x85\x00\x00\x00\x00hello", b"\x82\x05hello", b"\xf2\x80\x00\x00\x00\x00"])
async def test_a_websocket_that_breaks_the_rules_reaches_nobody(frame: bytes) -> None:
    proxy = Proxy()
    client, _ = await proxy.connect_websocket()
    client.write(frame)
    client.write(b"\x82\x85\x00\x00\x00\x00hello")
    await settle()
    assert proxy.link.auths[0].data == b""


async def test_a_proxy_that_stops_cuts_what_is_quiet() -> None:
    proxy = Proxy()
    heards = [(await proxy.connect())[1] for _ in range(3)]
    await proxy.path.shutdown(timedelta(seconds=30))
    await settle()
    assert all("lost" in heard.events for heard in heards)
    assert proxy.closed == 3


async def test_a_proxy_that_stops_lets_an_answer_arrive_that_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teleport.proxy.auth_path.QUIET", timedelta(milliseconds=20))
    proxy = Proxy()
    _, heard = await proxy.connect()
    stopping = asyncio.create_task(proxy.path.shutdown(timedelta(seconds=30)))
    for _ in range(5):
        proxy.link.opened[0][1].write(b"part ")
        await asyncio.sleep(0.005)
    await stopping
    await settle()
    assert heard.data == b"part " * 5
    assert "lost" in heard.events


async def test_a_proxy_that_nobody_uses_stops_at_once() -> None:
    await Proxy().path.shutdown(timedelta(seconds=30))
