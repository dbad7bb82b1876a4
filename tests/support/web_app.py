"""An application as people use them, beside a test that waits for a browser: a page whose script opens a WebSocket."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from support.app_chain import run_app

PAGE = """<!doctype html>
<html lang="en"><title>Application</title><h1 id="path"></h1><p id="said">nothing yet</p>
<script>
document.getElementById("path").textContent = location.pathname + location.search;
const socket = new WebSocket("wss://" + location.host + "/socket");
socket.onopen = () => socket.send("hello");
socket.onmessage = (message) => { document.getElementById("said").textContent = message.data; };
</script></html>
"""


async def _show(request: web.Request) -> web.StreamResponse:
    if request.path != "/socket":
        return web.Response(text=PAGE, content_type="text/html")
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(f"heard {message.data}")
    return socket


@contextmanager
def serve_page() -> Iterator[int]:
    """Run the application in a thread of its own and yield its port."""
    ports: list[int] = []
    is_running, is_over = threading.Event(), threading.Event()

    async def run() -> None:
        async with run_app(web.get("/{tail:.*}", _show)) as port:
            ports.append(port)
            is_running.set()
            await asyncio.to_thread(is_over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert is_running.wait(10)
        yield ports[0]
    finally:
        is_over.set()
        thread.join()
