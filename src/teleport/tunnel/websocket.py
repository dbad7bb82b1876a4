"""A transport over a WebSocket (RFC 6455), for where something between the two sides speaks HTTP only.

Its binary messages are the bytes, their borders mean nothing. Signs of life are the business of what runs inside.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from websockets.client import ClientProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from teleport.errors import ConnectionFailed
from teleport.tunnel.layer import HANDSHAKE_TIMEOUT, Layer

CLOSE_TIMEOUT = timedelta(seconds=5)
MAX_PAYLOAD = 64 * 1024
MAX_MESSAGE = MAX_PAYLOAD + 16
"""A message may have a frame's header beside its payload."""
MAX_UNSENT = 8 * 1024 * 1024
"""A peer that asks for answers and lets so much pile up unread is cut."""


class WebSocket(Layer):
    """Either side, as the protocol of a connection; its two directions end together.

    Args:
        peer: keeps the rules of RFC 6455 for this side.
        protocol_factory: makes the protocol inside once the handshake is done.
        handshake_timeout: how long the handshake may take.
    """

    def __init__(
        self,
        peer: ClientProtocol | ServerProtocol,
        *,
        protocol_factory: Callable[[], asyncio.Protocol],
        handshake_timeout: timedelta = HANDSHAKE_TIMEOUT,
    ) -> None:
        super().__init__(
            "the handshake of the WebSocket",
            protocol_factory=protocol_factory,
            handshake_timeout=handshake_timeout,
            close_timeout=CLOSE_TIMEOUT,
        )
        self._peer = peer
        self._kept: list[bytes] = []

    @abstractmethod
    def take_handshake(self, message: Request | Response) -> None:
        """Judge the peer's part of the handshake."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        super().connection_made(transport)
        self._send()

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
            self.fail(ConnectionFailed(f"the peer breaks the protocol of WebSockets: {failed}"))
        elif self.outer.get_write_buffer_size() > MAX_UNSENT:
            self._error = ConnectionFailed("the peer asks for more answers than it reads")
            self.abort()
        elif self._peer.close_rcvd is not None:
            self._end_in_peace()

    def eof_received(self) -> bool:
        """Close: there is no half of a WebSocket."""
        return False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes, in as many messages as it takes."""
        if self.is_closing or self._peer.state is not State.OPEN:  # the peer's goodbye may be read before what it sent
            return
        view = memoryview(data)
        for start in range(0, len(view), MAX_PAYLOAD):
            self._peer.send_binary(bytes(view[start : start + MAX_PAYLOAD]))
        self._send()

    def close(self, code: CloseCode = CloseCode.NORMAL_CLOSURE) -> None:
        """Send a close frame, and wait a little for the peer's."""
        if self.is_closing:
            return
        self.is_closing = True
        if self._peer.state is State.OPEN:
            self._peer.send_close(code)
            self._send()
            self.is_reading = True
            self.outer.resume_reading()
        else:
            self.outer.close()
        self._cut_later()

    def open_up(self) -> None:
        """Begin with the protocol inside, once the handshake's answer is on its way."""
        self._send()
        super().open_up()

    def read_kept(self) -> None:
        """Give the protocol inside the messages that have come, as far as it reads."""
        while self._kept and self.is_reading and not self.is_closing:
            self.protocol.data_received(self._kept.pop(0))

    def _take_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT and not self.is_closing:
            self._error = ConnectionFailed("the peer sends text through a WebSocket of bytes")
            self.close(CloseCode.UNSUPPORTED_DATA)
        elif frame.opcode in {Opcode.BINARY, Opcode.CONT} and not self.is_closing and frame.data:
            if self.is_reading and not self._kept:
                self.protocol.data_received(bytes(frame.data))
            else:
                self._kept.append(bytes(frame.data))

    def _end_in_peace(self) -> None:
        self.is_closing = True
        self.outer.close()

    def _send(self) -> None:
        if self._gone:
            return
        data = b"".join(self._peer.data_to_send())
        if data and not self.outer.is_closing():
            self.outer.write(data)


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
            self.fail(ConnectionFailed(f"the server refuses the WebSocket with status {message.status_code}"))


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
