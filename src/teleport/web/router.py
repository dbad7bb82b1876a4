"""From a connection's bytes to a handler and back: limits first, then who may call, the body, the handler."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11

from teleport.clock import Clock
from teleport.errors import LimitExceeded, NotFound, TooLarge, Unauthenticated
from teleport.web.call import JSON, Call, Peer, Reply, Route
from teleport.web.connection import HttpConnection, WireResponse
from teleport.web.errors import MalformedRequest, build_error_reply
from teleport.web.limits import RateLimiter

_LOGGER = logging.getLogger(__name__)

ANONYMOUS_IDLE = timedelta(seconds=15)
AUTHENTICATED_IDLE = timedelta(seconds=120)


class Router:
    """A table of routes behind HTTP/1.1 connections.

    Args:
        routes: what can be asked; one route per path.
        limiter: the rate of requests without a certificate, per address.
        clock: the present.
        body_timeout: how long a body may take to arrive once its head is there.
        anonymous_idle: how long a connection without a certificate may wait for a request.
        authenticated_idle: the same for one with a certificate.
    """

    def __init__(
        self,
        *,
        routes: Iterable[Route],
        limiter: RateLimiter,
        clock: Clock,
        body_timeout: timedelta,
        anonymous_idle: timedelta = ANONYMOUS_IDLE,
        authenticated_idle: timedelta = AUTHENTICATED_IDLE,
    ) -> None:
        self._routes = {route.path: route for route in routes}
        self._limiter = limiter
        self._clock = clock
        self._body_timeout = body_timeout.total_seconds()
        self._anonymous_idle = anonymous_idle
        self._authenticated_idle = authenticated_idle
        self._server = web.Server(self._serve)

    def connect(self, peer: Peer, on_closed: Callable[[], None]) -> HttpConnection:
        """Return the protocol for a new connection whose handshake is done."""
        idle_timeout = self._anonymous_idle if peer.anonymous else self._authenticated_idle
        return HttpConnection(self._server, peer=peer, idle_timeout=idle_timeout, on_closed=on_closed)

    async def shutdown(self, grace: timedelta) -> None:
        """Close idle connections, let requests in flight end within the grace, and cut the rest."""
        self._server.pre_shutdown()
        await self._server.shutdown(grace.total_seconds())

    async def _serve(self, request: web.BaseRequest) -> WireResponse:
        connection = request.protocol
        if not isinstance(connection, HttpConnection):
            raise TypeError("a request came in over a foreign connection")
        # After a request whose end is in doubt, or that was not read to its end, the connection is of no more use.
        sound = True
        try:
            reply = await self._answer(request, connection.peer)
        except MalformedRequest as error:
            reply = build_error_reply(error)
            sound = False
        except Exception as error:  # noqa: BLE001 - the border: whatever it is becomes a status
            reply = build_error_reply(error)
        if _LOGGER.isEnabledFor(logging.DEBUG):
            path = request.raw_path if request.raw_path in self._routes else "an unknown path"
            _LOGGER.debug("%s %s %d %s", request.method, path, reply.status, connection.peer.remote_addr)
        keep_alive = sound and request.keep_alive and request.version == HttpVersion11 and request.content.is_eof()
        return WireResponse(reply, keep_alive=keep_alive, now=int(self._clock.now().timestamp()))

    async def _answer(self, request: web.BaseRequest, peer: Peer) -> Reply:
        if not peer.anonymous:
            return await self._dispatch(request, peer)
        address = peer.remote_addr
        if not self._limiter.charge(address):
            raise LimitExceeded("too many requests without a certificate", self._limiter.retry_after(address))
        reply = await self._dispatch(request, peer)
        if reply.free_of_charge:
            self._limiter.refund(address)
        return reply

    async def _dispatch(self, request: web.BaseRequest, peer: Peer) -> Reply:
        route = self._routes.get(request.raw_path)
        if route is None:
            raise NotFound("there is no such operation")
        if request.method != route.method:
            status = HTTPStatus.METHOD_NOT_ALLOWED
            raise MalformedRequest(f"{route.path} takes {route.method} only", status, (("Allow", route.method),))
        if peer.anonymous and not route.anonymous:
            raise Unauthenticated("a client certificate of this cluster is needed")
        check_framing(request, route)
        return await route.handler(Call(peer, await self._read_body(request)))

    async def _read_body(self, request: web.BaseRequest) -> bytes:
        content = request.content
        if content.is_eof():
            return content.read_nowait()
        try:
            async with asyncio.timeout(self._body_timeout):
                return await content.read()
        except TimeoutError as error:
            raise MalformedRequest("the body did not arrive in time", HTTPStatus.REQUEST_TIMEOUT) from error
        except (OSError, web.RequestPayloadError) as error:
            raise MalformedRequest("the body broke off") from error


def check_framing(request: web.BaseRequest, route: Route) -> None:
    """Refuse a body by what its head says of it.

    A body must state its length: without `Transfer-Encoding` there are no two readings of where a request ends
    (RFC 9112, 11.2), and the limit holds before the first byte is read.

    Raises:
        MalformedRequest: the body is encoded, chunked, or of another type than JSON.
        TooLarge: the body is longer than the route takes.
    """
    headers = request.headers
    if hdrs.TRANSFER_ENCODING in headers:
        raise MalformedRequest("a body must come with Content-Length; Transfer-Encoding is not accepted")
    if int(headers.get(hdrs.CONTENT_LENGTH, "0")) > route.max_body:
        raise TooLarge(f"the body is longer than {route.max_body} bytes")
    if headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity":
        raise MalformedRequest("a body must not be compressed", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    if route.method == hdrs.METH_POST and headers.get(hdrs.CONTENT_TYPE) != JSON:
        media_type = headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower()
        if media_type != JSON:
            raise MalformedRequest(f"a body must be {JSON}", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
