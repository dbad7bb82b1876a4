import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest
from prometheus_client import CollectorRegistry

from support.clock import FakeClock
from support.web_server import RawClient
from teleport.errors import Unavailable
from teleport.web.diagnostics import Diagnostics
from teleport.web.metrics import Metrics
from teleport.web.readiness import Readiness


class DiagnosticsServer:
    """A running diagnostics server and what it tells about."""

    def __init__(self, max_connections: int, port: int = 0) -> None:
        clock = FakeClock()
        registry = CollectorRegistry()
        self.readiness = Readiness(clock)
        self.metrics = Metrics(registry)
        self.server = Diagnostics(
            host="127.0.0.1",
            port=port,
            readiness=self.readiness,
            registry=registry,
            clock=clock,
            max_connections=max_connections,
        )

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[RawClient]:
        client = RawClient(*await asyncio.open_connection("127.0.0.1", self.server.port))
        try:
            yield client
        finally:
            client.abort()

    async def ask(self, path: str) -> tuple[int, bytes]:
        async with self.connect() as client:
            await client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            answer = await client.receive()
            return answer.status, answer.body


@asynccontextmanager
async def run_diagnostics(max_connections: int = 10) -> AsyncIterator[DiagnosticsServer]:
    running = DiagnosticsServer(max_connections)
    await running.server.start()
    try:
        yield running
    finally:
        await running.server.stop()


async def test_a_process_that_runs_is_healthy_whatever_its_state() -> None:
    async with run_diagnostics() as running:
        running.readiness.fail("storage", "disk full")
        assert await running.ask("/healthz") == (200, b'{"status":"ok"}')


async def test_readiness_tells_the_truth_and_the_pid() -> None:
    async with run_diagnostics() as running:
        assert (await running.ask("/readyz"))[0] == 400
        running.readiness.succeed("auth")
        status, body = await running.ask("/readyz")
        assert (status, orjson.loads(body)) == (200, {"status": "ok", "pid": os.getpid()})
        running.readiness.fail("auth", "the store is full")
        status, body = await running.ask("/readyz")
        assert status == 503
        assert "auth: the store is full" in orjson.loads(body)["status"]


async def test_metrics_are_told_as_text() -> None:
    async with run_diagnostics() as running:
        running.metrics.heartbeats.inc()
        status, body = await running.ask("/metrics")
    assert status == 200
    assert b"teleport_heartbeats_total 1.0" in body


async def test_a_metric_that_breaks_costs_one_answer_and_no_connection() -> None:
    async with run_diagnostics() as running, running.connect() as client:
        running.metrics.process_state.set_function(lambda: 1 // 0)
        await client.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.receive()).status == 500
        await client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.receive()).status == 200


@pytest.mark.parametrize("path", ["/", "/debug/pprof", "/readyz/", "/readyz?verbose"])
async def test_there_is_nothing_else(path: str) -> None:
    async with run_diagnostics() as running:
        assert (await running.ask(path))[0] == 404


async def test_a_head_has_no_body() -> None:
    async with run_diagnostics() as running, running.connect() as client:
        await client.send(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await client.wait_closed()
    assert b"Content-Length: 15\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


async def test_nothing_can_be_written() -> None:
    async with run_diagnostics() as running, running.connect() as client:
        answer = await client.post("/healthz", b"{}")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_connections_beyond_the_bound_are_cut() -> None:
    async with run_diagnostics(max_connections=1) as running, running.connect() as first:
        await first.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await first.receive()).status == 200
        async with running.connect() as second:
            assert await second.wait_closed() == b""


async def test_a_port_that_is_taken_is_named() -> None:
    async with run_diagnostics() as running:
        port = running.server.port
        with pytest.raises(Unavailable, match=f"127.0.0.1 port {port}"):
            await DiagnosticsServer(1, port).server.start()
