"""Health, readiness and metrics over plain HTTP, for the machine's own watchers."""

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import cast

import orjson
from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from teleport.clock import Clock
from teleport.errors import NotFound, Unavailable
from teleport.web.call import Peer, Reply
from teleport.web.connection import HttpConnection, WireResponse
from teleport.web.errors import MalformedRequest, build_error_reply
from teleport.web.readiness import Readiness

MAX_CONNECTIONS = 64
IDLE_TIMEOUT = timedelta(seconds=15)
_Page = Callable[[], Reply]
_METHODS = (hdrs.METH_GET, hdrs.METH_HEAD)


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
        self._http = web.Server(self._serve)
        self._pages: dict[str, _Page] = {
            "/healthz": self._render_health,
            "/readyz": self._render_readiness,
            "/metrics": self._render_metrics,
        }

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
        self._http.pre_shutdown()
        await self._http.shutdown(0)

    def _connect(self) -> asyncio.Protocol:
        if self._open >= self._max_connections:
            return _Refusal()
        self._open += 1
        return HttpConnection(
            self._http, peer=Peer("a diagnostics client"), idle_timeout=IDLE_TIMEOUT, on_closed=self._forget
        )

    def _forget(self) -> None:
        self._open -= 1

    async def _serve(self, request: web.BaseRequest) -> WireResponse:
        try:
            reply = self._answer(request)
        except (NotFound, MalformedRequest) as error:
            reply = build_error_reply(error)
        return WireResponse(
            reply,
            keep_alive=request.keep_alive and request.content.is_eof(),
            now=int(self._clock.now().timestamp()),
            head_only=request.method == hdrs.METH_HEAD,
        )

    def _answer(self, request: web.BaseRequest) -> Reply:
        render = self._pages.get(request.raw_path)
        if render is None:
            raise NotFound("there is no such page; there are /healthz, /readyz and /metrics")
        if request.method not in _METHODS:
            allow = (("Allow", ", ".join(_METHODS)),)
            raise MalformedRequest("this page can only be read", HTTPStatus.METHOD_NOT_ALLOWED, allow)
        return render()

    def _render_health(self) -> Reply:
        return Reply(HTTPStatus.OK, orjson.dumps({"status": "ok"}))

    def _render_readiness(self) -> Reply:
        report = self._readiness.report()
        return Reply(report.status, orjson.dumps({"status": report.text, "pid": os.getpid()}))

    def _render_metrics(self) -> Reply:
        return Reply(HTTPStatus.OK, generate_latest(self._registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


class _Refusal(asyncio.Protocol):
    """Cuts a connection that is one too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).abort()
