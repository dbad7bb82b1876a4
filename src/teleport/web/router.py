"""Decides on requests and answers them: limits first, then who may call, then the framing, then the handler."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from http import HTTPStatus

from teleport.clock import Clock
from teleport.errors import LimitExceeded, TeleportError, TooLarge, Unauthenticated
from teleport.web.call import Call, Peer, Reply, RequestHead, Route, Takeover, Upgrade
from teleport.web.connection import HttpConnection
from teleport.web.connections import Connections
from teleport.web.errors import Answered, MalformedRequest
from teleport.web.limits import RateLimiter
from teleport.web.routes import RouteTable
from teleport.web.service import Service
from teleport.web.upgrade import check_websocket, render_switch

ANONYMOUS_IDLE = timedelta(seconds=15)
AUTHENTICATED_IDLE = timedelta(seconds=120)


class Router:
    """A table of routes behind HTTP/1.1 connections.

    Args:
        routes: what can be asked.
        upgrades: where a connection may become a WebSocket's.
        limiter: the rate of requests without a certificate, per address.
        clock: the present.
        body_timeout: how long a body may take to arrive once its head is there.
        anonymous_idle: how long a connection without a certificate may wait for a request.
        authenticated_idle: the same for one with a certificate.
        hosts: told the host that a request names, returns the service that has all connections to that host, or None
            where it is one of ours.
        peer_of: told a request and the connection's other end, returns whose request it is.
    """

    def __init__(
        self,
        *,
        routes: Iterable[Route],
        upgrades: Iterable[Upgrade] = (),
        limiter: RateLimiter,
        clock: Clock,
        body_timeout: timedelta,
        anonymous_idle: timedelta = ANONYMOUS_IDLE,
        authenticated_idle: timedelta = AUTHENTICATED_IDLE,
        hosts: Callable[[str], Service | None] = lambda _: None,
        peer_of: Callable[[RequestHead, Peer], Peer] = lambda _, peer: peer,
    ) -> None:
        self._table = RouteTable(routes)
        self._upgrades = {upgrade.path: upgrade for upgrade in upgrades}
        self._limiter = limiter
        self._clock = clock
        self._body_timeout = body_timeout
        self._anonymous_idle = anonymous_idle
        self._authenticated_idle = authenticated_idle
        self._hosts = hosts
        self._peer_of = peer_of
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

    def admit(self, head: RequestHead, peer: Peer) -> Route | Takeover:
        """Return the route of a request, judged by its head and its peer, or who takes the connection.

        Raises:
            LimitExceeded: too many requests without a certificate from this address.
            NotFound: there is no such path.
            Unauthenticated: the route needs a certificate.
            MalformedRequest, TooLarge: see `check_framing` and `check_websocket`; or the method is another.
        """
        service = self._hosts(head.host)
        if service is not None:
            return Takeover(partial(service.connect, peer))
        peer = self._peer_of(head, peer)
        upgrade = self._upgrades.get(head.path)
        if upgrade is not None:
            return self._admit_upgrade(upgrade, head, peer)
        try:
            route = self._table.find(head)
        except TeleportError:
            self._charge(peer)
            raise
        try:
            if not route.is_unlimited:
                self._charge(peer)
            _check_certificate(peer, anonymous=route.anonymous)
            check_framing(head, route)
        except MalformedRequest:
            raise  # which no browser sends, and which ends the connection
        except TeleportError as error:
            _explain(error, route)
            raise
        return route

    async def answer(self, route: Route, call: Call) -> Reply:
        """Return what the handler answers."""
        call = replace(call, peer=self._peer_of(call.head, call.peer))
        try:
            reply = await route.handler(call)
        except Exception as error:
            _explain(error, route)
            raise
        if reply.free_of_charge and call.peer.anonymous:
            self._limiter.refund(call.peer.remote_addr)
        return reply

    def _admit_upgrade(self, upgrade: Upgrade, head: RequestHead, peer: Peer) -> Takeover:
        self._charge(peer)
        _check_certificate(peer, anonymous=upgrade.anonymous)
        key = check_websocket(head)
        return Takeover(partial(upgrade.connect, head, peer), render_switch(key))

    def _charge(self, peer: Peer) -> None:
        if peer.anonymous and not self._limiter.charge(peer.remote_addr):
            raise LimitExceeded("too many requests without a certificate", self._limiter.retry_after(peer.remote_addr))


def _explain(error: Exception, route: Route) -> None:
    """Let the route say why not, where it has words of its own."""
    if route.explain is not None:
        raise Answered(route.explain(error)) from error


def _check_certificate(peer: Peer, *, anonymous: bool) -> None:
    if peer.anonymous and not anonymous:
        raise Unauthenticated("a client certificate of this cluster is needed")


def check_framing(head: RequestHead, route: Route) -> None:
    """Refuse a body by what its head says of it.

    A body must state its length: without `Transfer-Encoding` there are no two readings of where a request ends
    (RFC 9112, 11.2), and the limit holds before the first byte is read.

    Raises:
        MalformedRequest: the body is encoded, chunked, or of another type than the route takes.
        TooLarge: the body is longer than the route takes.
    """
    fields = head.fields
    if "transfer-encoding" in fields:
        raise MalformedRequest("a body must come with Content-Length; Transfer-Encoding is not accepted")
    if head.content_length > route.max_body:
        raise TooLarge(f"the body is longer than {route.max_body} bytes")
    if fields.get("content-encoding", "identity") != "identity":
        raise MalformedRequest("a body must not be compressed", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    if route.method == "POST" and fields.get("content-type") != route.accepts:
        media_type = fields.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != route.accepts:
            raise MalformedRequest(f"a body must be {route.accepts}", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
