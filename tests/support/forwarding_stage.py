"""A forwarded connection between a client and applications that the test plays, without a socket."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from support.clock import FakeClock
from support.fake_transport import FakeTransport
from teleport.errors import ConnectionFailed
from teleport.web.call import Peer, Reply
from teleport.web.forwarding.connection import ForwardingConnection
from teleport.web.forwarding.destination import Chooser, Destination, Upstream
from teleport.web.forwarding.head import RequestHead
from teleport.web.forwarding.limits import ForwardingLimits
from teleport.web.forwarding.plan import HeaderPlan

PLAN = HeaderPlan()
LIMITS = ForwardingLimits()
PEER = Peer("192.0.2.7")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Wire(FakeTransport):
    """A transport whose other end is the test; what is closed is gone a moment later, as with real ones."""

    def __init__(self, *, half_close: bool = True) -> None:
        super().__init__()
        self.half_close = half_close
        self.ended = False

    @property
    def gone(self) -> bool:
        """Return whether the connection is closed."""
        return self._closing

    def say(self, data: bytes) -> None:
        """Let the other end send."""
        if data and not self._closing:
            assert self._protocol is not None
            self._protocol.data_received(data)

    def end(self) -> None:
        """Let the other end send nothing more."""
        assert self._protocol is not None
        if not self._protocol.eof_received():
            self.close()

    def break_off(self) -> None:
        """Let the connection be reset."""
        assert self._protocol is not None
        self._closing = True
        self._protocol.connection_lost(ConnectionResetError())

    def can_write_eof(self) -> bool:
        return self.half_close

    def write_eof(self) -> None:
        assert self.half_close
        self.ended = True

    def close(self) -> None:
        if not self._closing:
            super().close()
            self._go()

    def abort(self) -> None:
        gone, self.aborted = self._closing, True
        super().abort()
        if not gone:
            self._go()

    def _go(self) -> None:
        assert self._protocol is not None
        with suppress(RuntimeError):
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)


class Stage:
    """A client, the connection under test, and the applications behind it."""

    def __init__(
        self,
        *,
        chooser: Chooser | None = None,
        plan: HeaderPlan = PLAN,
        limits: ForwardingLimits = LIMITS,
        ways: tuple[str, ...] = ("app",),
        half_close: bool = True,
    ) -> None:
        self.apps: list[Wire] = []
        """The connections to applications, in the order in which they were opened."""
        self.opened: list[str] = []
        self.dead: set[str] = set()
        """Ways that cannot be opened."""
        self.heads: list[RequestHead] = []
        self.closed = 0
        self.destination = Destination(tuple(Upstream(way, self._opener(way)) for way in ways), plan)
        self.client = Wire(half_close=half_close)
        self.connection = ForwardingConnection(
            chooser or self._choose, peer=PEER, limits=limits, clock=FakeClock(), on_closed=self._count
        )
        self.client.connect(self.connection)

    @property
    def app(self) -> Wire:
        """Return the newest connection to an application."""
        return self.apps[-1]

    @property
    def received(self) -> bytes:
        """Return all that applications got, connection after connection."""
        return b"".join(app.written for app in self.apps)

    async def ask(self, *pieces: bytes) -> None:
        """Let the client send, and everything happen that follows of itself."""
        for piece in pieces:
            self.client.say(piece)
            await settle()

    async def answer(self, *pieces: bytes) -> None:
        """Let the newest application send."""
        for piece in pieces:
            self.app.say(piece)
            await settle()

    def take_answer(self) -> bytes:
        """Return what the client got since the last time."""
        written, self.client.written = self.client.written, b""
        return written

    def _choose(self, head: RequestHead, _: Peer) -> Destination | Reply:
        self.heads.append(head)
        return self.destination

    def _opener(self, way: str) -> Callable[[Callable[[], asyncio.Protocol]], Awaitable[object]]:
        async def connect(factory: Callable[[], asyncio.Protocol]) -> object:
            await asyncio.sleep(0)
            self.opened.append(way)
            if way in self.dead:
                raise ConnectionFailed("nobody listens")
            wire = Wire()
            wire.connect(factory())
            self.apps.append(wire)
            return wire

        return connect

    def _count(self) -> None:
        self.closed += 1


async def settle() -> None:
    """Let everything happen that needs no further event."""
    for _ in range(6):
        await asyncio.sleep(0)


def get(target: str = "/", *lines: str, host: str = "app.example.com", method: str = "GET") -> bytes:
    """Write a request without a body."""
    return "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode()


def post(body: bytes, *lines: str, target: str = "/") -> bytes:
    """Write a request with a body of a stated length."""
    return get(target, f"Content-Length: {len(body)}", *lines, method="POST") + body


def split_head(message: bytes) -> tuple[list[bytes], bytes]:
    """Return the lines of a message's head, and what comes after it."""
    head, _, rest = message.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), rest
