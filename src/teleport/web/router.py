"""Decides on requests and answers them: limits first, then who may call, then the framing, then the handler."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from http import HTTPStatus

from teleport.clock import Clock
from teleport.errors import LimitExceeded, NotFound, TooLarge, Unauthenticated
from teleport.web.call import JSON, Call, Peer, Reply, RequestHead, Route
from teleport.web.connection import HttpConnection
from teleport.web.connections import Connections
from teleport.web.errors import MalformedRequest
from teleport.web.limits import RateLimiter

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
        self._body_timeout = body_timeout
        self._anonymous_idle = anonymous_idle
        self._authenticated_idle = authenticated_idle
        self._connections = Connections()

    def connect(self, peer: Peer, on_closed: Callable[[], None]) -> HttpConnection:
        """Return the protocol for a new connection whose handshake is done."""
        idle_timeout = self._anonymous_idle if peer.anonymous else self._authenticated_idle
        return self._connections.connect(
            self, peer=peer, idle_timeout=idle_timeout, body_timeout=self._body_timeout, on_closed=on_closed
        )

    async def shutdown(self, grace: timedelta) -> None:
        """Close idle connections, let requests in flight end within the grace, and cut the rest."""
        await self._connections.shutdown(grace)

    def now(self) -> int:
        """Return seconds since 1970."""
        return int(self._clock.now().timestamp())

    def admit(self, head: RequestHead, peer: Peer) -> Route:
        """Return the route of a request, judged by its head and its peer.

        Raises:
            LimitExceeded: too many requests without a certificate from this address.
            NotFound: there is no such path.
            Unauthenticated: the route needs a certificate.
            MalformedRequest, TooLarge: see `check_framing`; or the method is another.
        """
        if peer.anonymous and not self._limiter.charge(peer.remote_addr):
            raise LimitExceeded("too many requests without a certificate", self._limiter.retry_after(peer.remote_addr))
        route = self._routes.get(head.target)
        if route is None:
            raise NotFound("there is no such operation")
        if head.method != route.method:
            status = HTTPStatus.METHOD_NOT_ALLOWED
            raise MalformedRequest(f"{route.path} takes {route.method} only", status, (("Allow", route.method),))
        if peer.anonymous and not route.anonymous:
            raise Unauthenticated("a client certificate of this cluster is needed")
        check_framing(head, route)
        return route

    async def answer(self, route: Route, call: Call) -> Reply:
        """Return what the handler answers."""
        reply = await route.handler(call)
        if reply.free_of_charge and call.peer.anonymous:
            self._limiter.refund(call.peer.remote_addr)
        return reply


def check_framing(head: RequestHead, route: Route) -> None:
    """Refuse a body by what its head says of it.

    A body must state its length: without `Transfer-Encoding` there are no two readings of where a request ends
    (RFC 9112, 11.2), and the limit holds before the first byte is read.

    Raises:
        MalformedRequest: the body is encoded, chunked, or of another type than JSON.
        TooLarge: the body is longer than the route takes.
    """
    fields = head.fields
    if "transfer-encoding" in fields:
        raise MalformedRequest("a body must come with Content-Length; Transfer-Encoding is not accepted")
    if head.content_length > route.max_body:
        raise TooLarge(f"the body is longer than {route.max_body} bytes")
    if fields.get("content-encoding", "identity") != "identity":
        raise MalformedRequest("a body must not be compressed", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    if route.method == "POST" and fields.get("content-type") != JSON:
        media_type = fields.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != JSON:
            raise MalformedRequest(f"a body must be {JSON}", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
