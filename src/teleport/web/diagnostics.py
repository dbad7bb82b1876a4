"""Health, readiness and metrics over plain HTTP, for the machine's own watchers."""

import asyncio
import os
from datetime import timedelta
from http import HTTPStatus
from typing import cast

import orjson
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from teleport.clock import Clock
from teleport.errors import NotFound, Unavailable
from teleport.web.call import Call, Peer, Reply, RequestHead, Route
from teleport.web.connections import Connections
from teleport.web.errors import MalformedRequest
from teleport.web.readiness import Readiness

MAX_CONNECTIONS = 64
IDLE_TIMEOUT = timedelta(seconds=15)
BODY_TIMEOUT = timedelta(seconds=1)
_METHODS = ("GET", "HEAD")


class Diagnostics:
    """A server for `/healthz`, `/readyz` and `/metrics`; it answers nothing else and reads no bodies.

    Args:
        host: where to listen; there is no TLS and no authentication, so that it should not be a public address.
        port: the TCP port; nought lets the system choose.
        readiness: what `/readyz` tells.
        registry: what `/metrics` tells.
        clock: the present.
        max_connections: further connections are cut.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        readiness: Readiness,
        registry: CollectorRegistry,
        clock: Clock,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._host = host
        self._port = port
        self._readiness = readiness
        self._registry = registry
        self._clock = clock
        self._max_connections = max_connections
        self._open = 0
        self._server: asyncio.Server | None = None
        self._connections = Connections()
        pages = {"/healthz": self._tell_health, "/readyz": self._tell_readiness, "/metrics": self._tell_metrics}
        self._routes = {path: Route(path, "GET", page, anonymous=True, max_body=0) for path, page in pages.items()}

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        return self._port

    async def start(self) -> None:
        """Listen.

        Raises:
            Unavailable: the address cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._connect, self._host, self._port, backlog=MAX_CONNECTIONS)
        except OSError as error:
            raise Unavailable(f"cannot listen on {self._host} port {self._port}: {error.strerror}") from error
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything at once; nobody loses more than a probe."""
        if self._server is not None:
            self._server.close()
        await self._connections.shutdown(timedelta())

    def now(self) -> int:
        """Return seconds since 1970."""
        return int(self._clock.now().timestamp())

    def admit(self, head: RequestHead, peer: Peer) -> Route:  # noqa: ARG002 - everybody is served alike
        """Return the page that is asked for.

        Raises:
            NotFound: there is no such page.
            MalformedRequest: a page can only be read, and a request for one has no body.
        """
        route = self._routes.get(head.target)
        if route is None:
            raise NotFound("there is no such page; there are /healthz, /readyz and /metrics")
        if head.method not in _METHODS:
            allow = (("Allow", ", ".join(_METHODS)),)
            raise MalformedRequest("this page can only be read", HTTPStatus.METHOD_NOT_ALLOWED, allow)
        if head.content_length or "transfer-encoding" in head.fields:
            raise MalformedRequest("a page is asked for without a body")
        return route

    async def answer(self, route: Route, call: Call) -> Reply:
        """Return the page."""
        return await route.handler(call)

    def _connect(self) -> asyncio.Protocol:
        if self._open >= self._max_connections:
            return _Refusal()
        self._open += 1
        return self._connections.connect(
            self,
            peer=Peer("a diagnostics client"),
            idle_timeout=IDLE_TIMEOUT,
            body_timeout=BODY_TIMEOUT,
            on_closed=self._forget,
        )

    def _forget(self) -> None:
        self._open -= 1

    async def _tell_health(self, _: Call) -> Reply:
        return Reply(HTTPStatus.OK, orjson.dumps({"status": "ok"}))

    async def _tell_readiness(self, _: Call) -> Reply:
        report = self._readiness.report()
        return Reply(report.status, orjson.dumps({"status": report.text, "pid": os.getpid()}))

    async def _tell_metrics(self, _: Call) -> Reply:
        return Reply(HTTPStatus.OK, generate_latest(self._registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


class _Refusal(asyncio.Protocol):
    """Cuts a connection that is one too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).abort()
