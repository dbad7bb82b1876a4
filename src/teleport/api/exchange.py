"""A client's end of one HTTP/1.1 connection: requests one after another, over whatever transport there is."""

import asyncio
from collections.abc import Mapping
from typing import cast

from httptools import HttpParserError, HttpResponseParser

from teleport.api.channel import MAX_ANSWER_BYTES, Answer
from teleport.errors import ConnectionFailed

MAX_HEAD_BYTES = 64 * 1024


class Exchange(asyncio.Protocol):
    """A connection that can be asked.

    Args:
        server: the address of the other end, for the Host header and for messages.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._incoming: _Incoming | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._keeps_alive = True

    @property
    def is_usable(self) -> bool:
        """Return whether another request may go out."""
        return self._transport is not None and self._keeps_alive and not self._transport.is_closing()

    async def ask(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Send a request and return its answer; who is cancelled meanwhile cuts the connection.

        Raises:
            ConnectionFailed: the connection is gone, or what came is no answer.
        """
        if self._transport is None or self._answer is not None:
            raise ConnectionFailed(f"the connection to {self._server} cannot be asked at present")
        self._incoming = _Incoming()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(_render(method, path, {"Host": self._server, **headers}, body))
        try:
            return await self._answer
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            self._answer = self._incoming = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read an answer; what nobody has asked for ends the connection."""
        if self._incoming is None or self._answer is None or self._answer.done():
            self.abort()
            return
        try:
            self._incoming.feed(data)
        except HttpParserError:
            self._fail("what it answered is not HTTP")
        else:
            self._look_at(self._incoming)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request that is waiting."""
        self._fail(str(exc) if exc is not None else "it closed the connection (a certificate that it does not trust?)")
        self._transport = None

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _look_at(self, incoming: "_Incoming") -> None:
        if incoming.is_too_large:
            self._fail(f"its answer is larger than {MAX_ANSWER_BYTES} bytes")
        elif incoming.answer is not None and self._answer is not None:
            self._keeps_alive = incoming.keeps_alive
            self._answer.set_result(incoming.answer)

    def _fail(self, why: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionFailed(f"cannot talk to {self._server}: {why}"))
        self.abort()


class _Incoming:
    """Reads one answer; llhttp calls the methods whose names begin with `on_`."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._bytes = 0
        self._body = bytearray()
        self._retry_after = ""
        self.answer: Answer | None = None
        self.keeps_alive = False
        self.is_too_large = False

    def feed(self, data: bytes) -> None:
        """Read on.

        Raises:
            HttpParserError: it is not HTTP.
        """
        self._bytes += len(data)
        self.is_too_large = self._bytes > MAX_HEAD_BYTES + MAX_ANSWER_BYTES
        if not self.is_too_large:
            self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self._retry_after = value.decode("latin-1")

    def on_body(self, part: bytes) -> None:
        self._body += part

    def on_message_complete(self) -> None:
        if self.answer is None:
            self.keeps_alive = self._parser.should_keep_alive()
            self.answer = Answer(self._parser.get_status_code(), bytes(self._body), self._retry_after)


def _render(method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + (body or b"")
