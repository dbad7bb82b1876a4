"""One HTTP/1.1 connection: aiohttp's protocol with our bounds, our refusals and little work a request."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from teleport.web.call import Peer, Reply
from teleport.web.errors import MalformedRequest, build_error_reply

_LOGGER = logging.getLogger(__name__)

WRITE_TIMEOUT = timedelta(seconds=10)
"""For so long a peer may leave an answer unread before the connection is cut."""

_BOUNDS: dict[str, Any] = {
    "max_line_size": 4096,
    "max_field_size": 8192,
    "max_headers": 64,
    "auto_decompress": False,
    "tcp_keepalive": False,
    "access_log": None,
    "lingering_time": 1.0,
}
"""`lingering_time`: seconds in which the rest of a refused body is thrown away, so that the peer gets to see why."""


class HttpConnection(web.RequestHandler):
    """A connection with its peer.

    Args:
        server: whose handler answers.
        peer: who is at the other end.
        idle_timeout: how long the connection may wait for a complete request head, the first one included.
        on_closed: is called once, when the connection is gone.
    """

    __slots__ = ("_on_closed", "peer")

    def __init__(
        self,
        server: web.Server,
        *,
        peer: Peer,
        idle_timeout: timedelta,
        on_closed: Callable[[], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(server, loop=loop, keepalive_timeout=idle_timeout.total_seconds(), **_BOUNDS)
        self.peer = peer
        self._on_closed = on_closed

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self._on_closed()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's signature; the text may repeat what the peer sent
    ) -> web.StreamResponse:
        """Refuse what aiohttp could not parse, or what escaped the handler, and close the connection."""
        _LOGGER.debug("refused %s from %s", type(exc).__name__, self.peer.remote_addr)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has already begun")
        error: Exception = MalformedRequest("the request is not well-formed HTTP/1.1")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            error = exc if isinstance(exc, Exception) else TimeoutError()
        return WireResponse(build_error_reply(error), keep_alive=False, now=0)


class WireResponse(web.StreamResponse):
    """A reply that is one write: head and body are joined before they leave, and name no server.

    Args:
        reply: what is answered.
        keep_alive: whether the connection lives on.
        now: seconds since 1970, for the head.
        head_only: the answer to HEAD, which tells the body's length and leaves it out.
    """

    def __init__(self, reply: Reply, *, keep_alive: bool, now: int, head_only: bool = False) -> None:
        super().__init__(status=reply.status)
        head = render_head(reply, keep_alive=keep_alive, now=now)
        self._wire = head if head_only else head + reply.body
        self._stays = keep_alive
        self._request: web.BaseRequest | None = None

    @property
    def keep_alive(self) -> bool | None:
        """Return whether the connection lives on."""
        return self._stays

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Remember where to write."""
        self._request = request
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002 - aiohttp's signature
        """Write everything; a peer that does not read is cut after a while.

        Raises:
            ConnectionResetError: the peer is gone, or was cut.
        """
        request = self._request
        if request is None or request.transport is None or request.transport.is_closing():
            raise ConnectionResetError("the peer is gone")
        transport = request.transport
        transport.write(self._wire)
        # aiohttp keeps the last response until the next request, which on an idle connection may be long.
        self._wire = b""
        self._request = None
        if not request.protocol.writing_paused:
            return
        try:
            async with asyncio.timeout(WRITE_TIMEOUT.total_seconds()):
                await request.writer.drain()
        except TimeoutError as error:
            transport.abort()
            raise ConnectionResetError("the peer does not read") from error


def render_head(reply: Reply, *, keep_alive: bool, now: int) -> bytes:
    """Write the status line and the headers."""
    lines = _render_fixed_part(reply.status, reply.content_type, keep_alive)
    extra = "".join(f"{name}: {value}\r\n" for name, value in reply.headers)
    return f"{lines}{_render_date(now)}{extra}Content-Length: {len(reply.body)}\r\n\r\n".encode("ascii")


@lru_cache(maxsize=128)
def _render_fixed_part(status: int, content_type: str, keep_alive: bool) -> str:  # noqa: FBT001 - a cache key
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        f"Content-Type: {content_type}\r\n"
        "Cache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n"
    ) + ("" if keep_alive else "Connection: close\r\n")


@lru_cache(maxsize=2)
def _render_date(now: int) -> str:
    return f"Date: {formatdate(now, usegmt=True)}\r\n"
