import asyncio
import ssl
from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest

from support.fake_transport import FakeTransport
from teleport.api import proxied
from teleport.api.channel import Answer
from teleport.api.proxied import MAX_CONNECTIONS, ProxiedChannel, UncertainChannel
from teleport.api.trust import KnownAuthority, ServerTrust
from teleport.api.way import ThroughProxy
from teleport.errors import ConnectionFailed, TeleportError, TrustError
from teleport.resources.address import Address

WAY = ThroughProxy(Address("proxy.example.com", 443))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Server(FakeTransport):
    """A connection to a server that answers everything, as soon as it is let."""

    def __init__(self, gate: asyncio.Event) -> None:
        super().__init__()
        self.gate = gate

    def write(self, data: bytes | bytearray | memoryview) -> None:
        super().write(data)
        asyncio.get_running_loop().create_task(self._answer())

    async def _answer(self) -> None:
        await self.gate.wait()
        self.protocol.data_received(OK)


class World:
    """Dials without a network, and counts."""

    def __init__(self) -> None:
        self.servers: list[Server] = []
        self.failure: TeleportError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.trust = KnownAuthority(ssl.create_default_context())
        self.channel = ProxiedChannel(WAY, self.trust)

    async def dial(self, way: ThroughProxy, trust: ServerTrust, factory: Callable[[], asyncio.Protocol]) -> None:
        assert (way, trust) == (WAY, self.trust)
        if self.failure is not None:
            raise self.failure
        server = Server(self.gate)
        self.servers.append(server)
        server.connect(factory())

    async def ask(self) -> Answer:
        return await self.channel.send("GET", "/", headers={}, body=None)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(proxied, "dial_auth", world.dial)
    return world


async def test_requests_one_after_another_share_one_connection(world: World) -> None:
    for _ in range(5):
        assert (await world.ask()).status == 200
    assert len(world.servers) == 1


async def test_a_crowd_gets_few_connections_and_leaves_one(world: World) -> None:
    world.gate.clear()
    asking = [asyncio.create_task(world.ask()) for _ in range(3 * MAX_CONNECTIONS)]
    await asyncio.sleep(0.01)
    assert len(world.servers) == MAX_CONNECTIONS
    world.gate.set()
    await asyncio.gather(*asking)
    assert [server.is_closing() for server in world.servers].count(False) == 1


async def test_a_connection_that_was_lost_meanwhile_is_replaced(world: World) -> None:
    await world.ask()
    world.servers[0].lose()
    assert (await world.ask()).status == 200
    assert len(world.servers) == 2


async def test_who_trusts_or_shows_something_else_now_connects_anew(world: World) -> None:
    await world.ask()
    world.trust.replace(ssl.create_default_context())
    await world.ask()
    assert [server.is_closing() for server in world.servers] == [True, False]


async def test_a_failure_to_connect_is_told_and_the_next_attempt_is_free(world: World) -> None:
    world.failure = ConnectionFailed("no way")
    for _ in range(2 * MAX_CONNECTIONS):
        with pytest.raises(ConnectionFailed, match="no way"):
            await world.ask()
    world.failure = None
    assert (await world.ask()).status == 200


async def test_a_server_that_does_not_answer_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxied, "REQUEST_TIMEOUT", timedelta(milliseconds=30))
    world.gate.clear()
    with pytest.raises(ConnectionFailed, match="no answer in time"):
        await world.ask()
    assert world.servers[0].aborted


async def test_what_is_kept_is_closed_in_the_end(world: World) -> None:
    await world.ask()
    world.channel.close()
    assert world.servers[0].is_closing()


class Direct:
    """A direct channel that works, or does not."""

    def __init__(self, failure: TeleportError | None = None) -> None:
        self.failure = failure
        self.asked = 0

    async def send(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None) -> Answer:
        assert (method, path, headers, body) == ("GET", "/", {}, None)
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return Answer(200, b"direct")


async def ask(channel: UncertainChannel) -> bytes:
    return (await channel.send("GET", "/", headers={}, body=None)).body


async def test_an_address_that_is_a_proxys_is_never_asked_directly(world: World) -> None:
    direct = Direct()
    channel = UncertainChannel(world.channel, direct)
    assert await ask(channel) == b""
    assert await ask(channel) == b""
    assert (direct.asked, len(world.servers)) == (0, 1)


@pytest.mark.parametrize("failure", [TrustError("not its certificate"), ConnectionFailed("no proxy")])
async def test_an_address_that_is_auths_own_is_asked_directly_from_then_on(
    world: World, failure: TeleportError
) -> None:
    world.failure = failure
    channel = UncertainChannel(world.channel, Direct())
    assert await ask(channel) == b"direct"
    world.failure = None
    assert await ask(channel) == b"direct"
    assert world.servers == []


async def test_an_address_that_is_neither_is_told_twice_and_tried_anew(world: World) -> None:
    world.failure = TrustError("not its certificate")
    direct = Direct(ConnectionFailed("refused"))
    channel = UncertainChannel(world.channel, direct)
    with pytest.raises(ConnectionFailed, match="as a proxy: not its certificate; as an auth server: refused"):
        await ask(channel)
    world.failure = None
    assert await ask(channel) == b""
