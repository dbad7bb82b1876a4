"""A transport over a WebSocket (RFC 6455), for where something between the two sides speaks HTTP only.

Its binary messages are the bytes, their borders mean nothing. Signs of life are the business of what runs inside.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, cast

from websockets.client import ClientProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from teleport.errors import ConnectionFailed, TeleportError

HANDSHAKE_TIMEOUT = timedelta(seconds=10)
CLOSE_TIMEOUT = timedelta(seconds=5)
MAX_PAYLOAD = 64 * 1024
MAX_MESSAGE = MAX_PAYLOAD + 16
"""A message may have a frame's header beside its payload."""
MAX_UNSENT = 8 * 1024 * 1024
"""A peer that asks for answers and lets so much pile up unread is cut."""


class WebSocketTransport(asyncio.Transport):
    """What the protocol inside writes to; its two directions end together, as a WebSocket's do."""

    __slots__ = ("_socket",)

    def __init__(self, socket: "WebSocket") -> None:
        super().__init__()
        self._socket = socket

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's signature
        """Return what the connection outside knows."""
        return self._socket.outer.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand what comes to another protocol."""
        self._socket.protocol = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return who gets what comes."""
        return self._socket.protocol

    def is_closing(self) -> bool:
        """Return whether the WebSocket is closed or about to be."""
        return self._socket.is_closing

    def close(self) -> None:
        """Send what was written and a close frame, and be done."""
        self._socket.close(CloseCode.NORMAL_CLOSURE)

    def abort(self) -> None:
        """Cut the connection."""
        self._socket.abort()

    def is_reading(self) -> bool:
        """Return whether the protocol gets what comes."""
        return self._socket.outer.is_reading()

    def pause_reading(self) -> None:
        """Read nothing more of the connection."""
        self._socket.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._socket.resume_reading()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes, in as many messages as it takes."""
        self._socket.write(data)

    def can_write_eof(self) -> bool:
        """Return that one direction cannot be ended alone."""
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the limits of the connection, which holds the buffer."""
        self._socket.outer.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes have not left yet."""
        return self._socket.outer.get_write_buffer_size()


class WebSocket(asyncio.Protocol):
    """Either side, as the protocol of a connection."""

    def __init__(
        self,
        peer: ClientProtocol | ServerProtocol,
        *,
        protocol_factory: Callable[[], asyncio.Protocol],
        handshake_timeout: timedelta = HANDSHAKE_TIMEOUT,
    ) -> None:
        self._peer = peer
        self._factory = protocol_factory
        self._timeout = handshake_timeout.total_seconds()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: WebSocketTransport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._gone = False
        self._kept: list[bytes] = []
        self._reads = True
        self.outer: asyncio.Transport
        self.protocol: asyncio.Protocol = asyncio.Protocol()
        self.is_closing = False

    async def established(self) -> WebSocketTransport:
        """Return the transport inside when the handshake is done.

        Raises:
            ConnectionFailed: the peer refused, was too slow, or is gone.
        """
        if self._transport is None and not self._gone:
            self._waiter = self._waiter or self._loop.create_future()
            await asyncio.shield(self._waiter)
        if self._transport is None:
            if isinstance(self._error, TeleportError):
                raise self._error
            raise ConnectionFailed("the connection broke within the handshake of the WebSocket") from self._error
        return self._transport

    @abstractmethod
    def begin(self) -> None:
        """Do what this side does first."""

    @abstractmethod
    def take_handshake(self, message: Request | Response) -> None:
        """Judge the peer's part of the handshake."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self.outer = cast("asyncio.Transport", transport)
        self._timer = self._loop.call_later(self._timeout, self._give_up)
        self.begin()
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        self._gone = self.is_closing = True
        self._stop_waiting()
        self._error = self._error or exc
        if self._transport is not None:
            self.protocol.connection_lost(self._error)

    def data_received(self, data: bytes) -> None:
        """Act on what came."""
        self._peer.receive_data(data)
        for event in self._peer.events_received():
            if isinstance(event, Frame):
                self._take_frame(event)
            else:
                self.take_handshake(event)
        self._send()
        failed = self._peer.handshake_exc if self._transport is None else self._peer.parser_exc
        if failed is not None:
            self.fail(f"the peer breaks the protocol of WebSockets: {failed}")
        elif self.outer.get_write_buffer_size() > MAX_UNSENT:
            self._error = ConnectionFailed("the peer asks for more answers than it reads")
            self.abort()
        elif self._peer.close_rcvd is not None:
            self._end_in_peace()

    def eof_received(self) -> bool:
        """Close: there is no half of a WebSocket."""
        return False

    def pause_writing(self) -> None:
        """Pass the pressure on."""
        if self._transport is not None:
            self.protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that it is over."""
        if self._transport is not None:
            self.protocol.resume_writing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes, in as many messages as it takes."""
        if self.is_closing or self._peer.state is not State.OPEN:  # the peer's goodbye may be read before what it sent
            return
        view = memoryview(data)
        for start in range(0, len(view), MAX_PAYLOAD):
            self._peer.send_binary(bytes(view[start : start + MAX_PAYLOAD]))
        self._send()

    def close(self, code: CloseCode) -> None:
        """Send a close frame, and wait a little for the peer's."""
        if self.is_closing:
            return
        self.is_closing = True
        if self._peer.state is State.OPEN:
            self._peer.send_close(code)
            self._send()
            self._reads = True
            self.outer.resume_reading()
        else:
            self.outer.close()
        self._timer = self._loop.call_later(CLOSE_TIMEOUT.total_seconds(), self.outer.abort)

    def abort(self) -> None:
        """Cut the connection."""
        self.is_closing = True
        self.outer.abort()

    def pause_reading(self) -> None:
        """Read nothing more of the connection."""
        self._reads = False
        if not self.is_closing:
            self.outer.pause_reading()

    def resume_reading(self) -> None:
        """Read on, first what is here."""
        if not self._reads:
            self._reads = True
            self._loop.call_soon(self._read_again)

    def fail(self, message: str) -> None:
        """End the connection for a reason that is told here."""
        self._error = self._error or ConnectionFailed(message)
        self.is_closing = True
        self._stop_waiting()
        self._gone = True
        self.outer.close()
        self._timer = self._loop.call_later(CLOSE_TIMEOUT.total_seconds(), self.outer.abort)

    def open_up(self) -> None:
        """Begin with the protocol inside."""
        self._send()
        self._transport = WebSocketTransport(self)
        self._stop_waiting()
        self.protocol = self._factory()
        self.protocol.connection_made(self._transport)

    def _take_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT and not self.is_closing:
            self._error = ConnectionFailed("the peer sends text through a WebSocket of bytes")
            self.close(CloseCode.UNSUPPORTED_DATA)
        elif frame.opcode in {Opcode.BINARY, Opcode.CONT} and not self.is_closing and frame.data:
            if self._reads and not self._kept:
                self.protocol.data_received(bytes(frame.data))
            else:
                self._kept.append(bytes(frame.data))

    def _read_again(self) -> None:
        while self._kept and self._reads and not self.is_closing:
            self.protocol.data_received(self._kept.pop(0))
        if self._reads and not self.is_closing:
            self.outer.resume_reading()

    def _end_in_peace(self) -> None:
        self.is_closing = True
        self.outer.close()

    def _send(self) -> None:
        if self._gone:
            return
        data = b"".join(self._peer.data_to_send())
        if data and not self.outer.is_closing():
            self.outer.write(data)

    def _give_up(self) -> None:
        self.fail(f"the handshake of the WebSocket took longer than {self._timeout:g} seconds")

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class WebSocketClient(WebSocket):
    """The side that asks for the upgrade.

    Args:
        host: what the request's `Host` says.
        path: what it asks for, as `/v1/webapi/connect/tunnel`.
        protocol_factory: makes the protocol inside once the handshake is done.
        headers: what the request has beside its own headers.
        handshake_timeout: how long the handshake may take.
    """

    def __init__(
        self,
        *,
        host: str,
        path: str,
        protocol_factory: Callable[[], asyncio.Protocol],
        headers: Sequence[tuple[str, str]] = (),
        handshake_timeout: timedelta = HANDSHAKE_TIMEOUT,
    ) -> None:
        self._client = ClientProtocol(parse_uri(f"wss://{host}{path}"), max_size=MAX_MESSAGE)
        self._headers = headers
        super().__init__(self._client, protocol_factory=protocol_factory, handshake_timeout=handshake_timeout)

    def begin(self) -> None:
        """Ask for the upgrade."""
        request = self._client.connect()
        for name, value in self._headers:
            request.headers[name] = value
        self._client.send_request(request)

    def take_handshake(self, message: Request | Response) -> None:
        """Begin if the server agreed."""
        if self._client.state is State.OPEN:
            self.open_up()
        elif isinstance(message, Response):
            self.fail(f"the server refuses the WebSocket with status {message.status_code}")


class WebSocketServer(WebSocket):
    """The side that is asked; it takes the request's head as the first bytes.

    Args:
        protocol_factory: makes the protocol inside once the handshake is done.
        handshake_timeout: how long the handshake may take.
    """

    def __init__(
        self, *, protocol_factory: Callable[[], asyncio.Protocol], handshake_timeout: timedelta = HANDSHAKE_TIMEOUT
    ) -> None:
        self._server = ServerProtocol(max_size=MAX_MESSAGE)
        super().__init__(self._server, protocol_factory=protocol_factory, handshake_timeout=handshake_timeout)

    def begin(self) -> None:
        """Wait to be asked."""

    def take_handshake(self, message: Request | Response) -> None:
        """Agree, or refuse what is no request for a WebSocket."""
        if not isinstance(message, Request):
            return
        self._server.send_response(self._server.accept(message))
        if self._server.state is State.OPEN:
            self.open_up()


def render_upgrade(path: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Return the head of a request that was parsed elsewhere, for `WebSocketServer` to read."""
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")
