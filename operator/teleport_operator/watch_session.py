"""The HTTP session of kopf's watches: it heeds whoever sends it away, and readiness learns what is refused."""

import asyncio
import logging
import ssl
from datetime import timedelta
from http import HTTPStatus

from teleport.kube.api_server import ApiServer
from teleport.kube.outgoing import open_socket, parse_retry_after
from teleport.lean_aiohttp import aiohttp
from teleport.version import VERSION
from teleport.web.readiness import Readiness

WATCH = "events"
"""The component of readiness."""
TOLERATED_REFUSALS = 3
"""In a row; an API server that starts anew refuses one thing and another for a moment."""
RETRY_AFTER = "Retry-After"
_SENDS_AWAY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})

logger = logging.getLogger(__name__)


class Attendant:
    """Stands between kopf and its requests, a middleware of aiohttp.

    kopf tries everything again by itself, but heeds no wait that comes with a 503, and breaks on one that is no number.

    Args:
        readiness: told whether the watch works.
    """

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness
        self._refusals = 0
        readiness.expect(WATCH)

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Pass a request on, and return its answer after the wait that it asks for, as a broken connection."""
        response = await handler(request)
        self._note(request, response)
        if response.status in _SENDS_AWAY and RETRY_AFTER in response.headers:
            wait = parse_retry_after(response.headers[RETRY_AFTER])
            response.close()
            await asyncio.sleep(wait.total_seconds())
            raise aiohttp.ClientConnectionError(f"the API server answered {response.status}; {wait} were waited for it")
        return response

    def _note(self, request: aiohttp.ClientRequest, response: aiohttp.ClientResponse) -> None:
        """Let readiness know; only a watch that is answered is worth something, whatever else succeeds."""
        if response.status < HTTPStatus.BAD_REQUEST:
            if "watch" in request.url.query:
                self._refusals = 0
                self._readiness.succeed(WATCH)
            return
        self._refusals += 1
        if self._refusals >= TOLERATED_REFUSALS:
            refusal = f"the API server answers {response.status} to {request.method} {request.url.path}"
            self._readiness.fail(WATCH, refusal)
            if self._refusals == TOLERATED_REFUSALS:
                logger.warning("objects cannot be watched: %s", refusal)


def open_watch_session(server: ApiServer, token: str, attendant: Attendant) -> aiohttp.ClientSession:
    """Return a session to be closed; timeouts are given with each request.

    Args:
        server: whom to trust, and by which certificate we are known there.
        token: by which we are known otherwise, or nothing.
        attendant: sees every request.

    Raises:
        BadAnswer: a file of the server cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_trust(context)
    server.load_certificate(context)
    headers = {"Accept-Encoding": "identity", "User-Agent": f"teleport/{VERSION}"}
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context, limit=0, socket_factory=open_socket),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers | ({"Authorization": f"Bearer {token}"} if token else {}),
        timeout=aiohttp.ClientTimeout(total=timedelta(seconds=30).total_seconds()),
        middlewares=(attendant,),
        auto_decompress=False,
    )
