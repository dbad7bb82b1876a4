"""A proxy before a real API server, which gives its clients the bad days that a healthy one does not have.

It shows the API server's own certificate, so that clients need not know that it is there.
"""

import asyncio
import re
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from support.kube_apiserver import KubeApiServer
from support.processes import PATIENCE

_NOT_PASSED_ON = ("Host", "Transfer-Encoding", "Content-Length")
_OLD = "resourceVersion=1&"
_EXPIRED = b'"code":410'


@dataclass(slots=True)
class KubeProxy:
    """A running proxy; its hands may be moved at any time, from the thread of the test."""

    kubernetes: KubeApiServer
    url: str = ""
    watches: int = 0
    """How many the API server has begun to answer, those that it ended at once included."""
    expired: int = 0
    """How many watches the API server refused for beginning too long ago."""
    broken: int = 0
    """How many watches heard of an error."""
    sent_away: int = 0
    """How many requests were told to come back later."""
    impatient: int = 0
    """How many came back earlier than that."""
    _lets_watch: bool = True
    _outdates: bool = False
    _next_event: bytes = b""
    _refusal: tuple[str, int] = ("", 0)
    _away: tuple[str, int, int] | None = None
    _back_at: dict[tuple[str, ...], float] = field(default_factory=dict)
    _open: dict[asyncio.Transport, asyncio.Task[None]] = field(default_factory=dict)
    """The connections of watches, and who answers there: nobody tells them that the other end is gone."""
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    @contextmanager
    def without_watches(self) -> Iterator[None]:
        """Cut all watches, and let none begin for the time of a block."""
        self._lets_watch = False
        self.cut_watches()
        try:
            yield
        finally:
            self._lets_watch = True

    def cut_watches(self) -> None:
        """Break the connections of all watches."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(PATIENCE)

    def outdate_next_watch(self) -> None:
        """Let the next watch ask for what was at the beginning of all, which the API server has long forgotten."""
        self._outdates = True

    def end_next_watch(self, code: int) -> None:
        """Let the next watch hear of an error and nothing else, as from an API server that lost its store."""
        status = f'{{"kind":"Status","apiVersion":"v1","status":"Failure","code":{code},"message":"broken"}}'
        self._next_event = f'{{"type":"ERROR","object":{status}}}\n'.encode()

    @contextmanager
    def sending_away(self, method: str, status: int, seconds: int) -> Iterator[None]:
        """Tell everybody who comes with this method to come back later, for the time of a block."""
        self._away = (method, status, seconds)
        try:
            yield
        finally:
            self._away = None

    def refuse(self, path: str, status: int) -> None:
        """Answer requests for this very path with a status from now on; an empty one is nobody's."""
        self._refusal = (path, status)

    def _send_away(self, request: web.BaseRequest) -> web.Response | None:
        who = (request.method, request.path, request.query.get("watch", ""), request.headers.get("Accept", ""))
        now = time.monotonic()
        self.impatient += now < self._back_at.pop(who, 0)
        if self._away is None or self._away[0] != request.method:
            return None
        _, status, seconds = self._away
        self.sent_away += 1
        self._back_at[who] = now + seconds
        return web.Response(status=status, headers={"Retry-After": str(seconds)})

    async def _cut(self) -> None:
        for transport, answering in self._open.items():
            transport.abort()
            answering.cancel()

    async def _answer(self, request: web.BaseRequest, session: aiohttp.ClientSession) -> web.StreamResponse:
        path = request.path_qs
        if (sent_away := self._send_away(request)) is not None:
            return sent_away
        if request.path == self._refusal[0]:
            return web.Response(status=self._refusal[1])
        if "watch=true" not in path:
            return await self._pass_on(request, path, session)
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        if not self._lets_watch:
            transport.abort()
        if self._next_event:
            event, self._next_event = self._next_event, b""
            self.broken += 1
            return web.Response(body=event, content_type="application/json")
        if self._outdates:
            self._outdates = False
            path = re.sub(r"resourceVersion=[0-9]+&?", "", path).replace("?", f"?{_OLD}")
        answering = asyncio.current_task()
        assert answering is not None
        self._open[transport] = answering
        try:
            return await self._pass_on(request, path, session)
        finally:
            self._open.pop(transport, None)

    async def _pass_on(self, request: web.BaseRequest, path: str, session: aiohttp.ClientSession) -> web.StreamResponse:
        headers = {key: text for key, text in request.headers.items() if key not in _NOT_PASSED_ON}
        body = await request.read()
        async with session.request(
            request.method, self.kubernetes.url + path, headers=headers, data=body or None
        ) as found:
            self.watches += "watch=true" in path
            passed = {key: text for key, text in found.headers.items() if key not in _NOT_PASSED_ON}
            response = web.StreamResponse(status=found.status, headers=passed)
            await response.prepare(request)
            async for chunk in found.content.iter_any():
                self.expired += _EXPIRED in chunk and "watch=true" in path
                await response.write(chunk)
            await response.write_eof()
            return response

    async def _serve(self, started: threading.Event, stop: asyncio.Event) -> None:
        trust = ssl.create_default_context(cafile=str(self.kubernetes.ca_file))
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=0), auto_decompress=False, timeout=aiohttp.ClientTimeout()
        ) as session:

            async def answer(request: web.BaseRequest) -> web.StreamResponse:
                return await self._answer(request, session)

            runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
            await runner.setup()
            shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            shown.load_cert_chain(self.kubernetes.ca_file, self.kubernetes.ca_file.with_suffix(".key"))
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=shown).start()
            self.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
            started.set()
            try:
                await stop.wait()
            finally:
                await runner.cleanup()
        await _finish_all()


async def _finish_all() -> None:
    """End whoever still answers a client that is gone, and let their connections be closed."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    await asyncio.sleep(0.1)  # transports are closed a little later than they are told


@contextmanager
def running_proxy(kubernetes: KubeApiServer) -> Iterator[KubeProxy]:
    """Run a proxy, in a thread of its own, for the time of a block."""
    proxy = KubeProxy(kubernetes)
    started, stop = threading.Event(), asyncio.Event()
    thread = threading.Thread(target=proxy._loop.run_until_complete, args=(proxy._serve(started, stop),))
    thread.start()
    try:
        assert started.wait(PATIENCE)
        yield proxy
    finally:
        proxy._loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)
        proxy._loop.close()
