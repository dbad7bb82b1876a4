"""A stand-in for an HTTP server that a test steers: it answers what it is told, or misbehaves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

Answer = Callable[[web.BaseRequest], web.StreamResponse]


class StandIn:
    """Answers by path; what is not planned is 404."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.let_go = asyncio.Event()
        self.let_go.set()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer as planned, when it is let."""
        self.asked.append(request.path)
        await self.let_go.wait()
        plan = self.answers.get(request.path)
        return plan(request) if plan is not None else web.json_response({"message": "not here"}, status=404)


@asynccontextmanager
async def running_stand_in() -> AsyncIterator[StandIn]:
    """Run a stand-in on this machine for the time of a block."""
    stand_in = StandIn()
    server = web.Server(stand_in.answer)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    stand_in.url = f"http://{host}:{port}"
    try:
        yield stand_in
    finally:
        stand_in.let_go.set()
        await runner.cleanup()
