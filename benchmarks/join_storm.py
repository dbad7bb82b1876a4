"""Storms: thousands of pods show their tokens at once, and the API server reviews no more than 200 a second.

Every pod comes from an address of its own, on a connection that is open already. A 503 sends it away for as long as
its `Retry-After` says, and up to half as long more. Hosts that have joined before live on meanwhile. A second storm
of as many other pods tells what the first one left behind in memory.
"""

import asyncio
import random
import ssl
import sys
import tempfile
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import uvloop

from api_requests import join as join_host
from harness import CLUSTER_NAME, Server, auth_server, cpu_seconds, pin_load, progress, report, rss_mib
from joins import create_token
from members import Members, Sample, living_members
from pods import admit_pods, build_pod_joins, describe_stand_in, make_up_token
from review_stand_in import running_stand_in
from teleport.api.operations import TRUST
from wire import Connection, build_context, build_request, connect

REVIEWS_A_SECOND = 200
OPENERS = 64
TOUCH_PERIOD = 5.0
"""An auth server closes connections of strangers on which nothing is asked for fifteen seconds."""
CALM = 5.0
"""Seconds for which the hosts are watched before the storm."""
REST = 25.0
"""Seconds after a storm within which the server has given memory back."""
_LOOK = build_request(TRUST, b"")

T = TypeVar("T")


@dataclass(slots=True)
class Pod:
    """One pod: its address, its request, and its connection while that is open."""

    source: str
    request: bytes
    connection: Connection | None = None
    opened: int = 0

    async def ask(self, server: Server, context: ssl.SSLContext, request: bytes) -> tuple[int, bytes]:
        """Ask something, on a new connection if there is none; one that has idled out is made anew."""
        while True:
            try:
                if self.connection is None:
                    self.connection = await connect(server.address, context, self.source)
                    self.opened += 1
                return await self.connection.ask(request)
            except (OSError, asyncio.IncompleteReadError):
                self.connection = None


@dataclass(slots=True)
class Storm:
    """What is seen of it."""

    server: Server
    pods: Sequence[Pod]
    joined: list[float] = field(default_factory=list)
    """Seconds since the beginning at which each was let in."""
    sent_away: int = 0
    rss: list[float] = field(default_factory=list)
    begun: float = 0.0
    context: ssl.SSLContext = field(default_factory=lambda: build_context(None))

    async def open(self) -> None:
        """Open all connections; those that are open are kept from idling."""
        waiting = iter(self.pods)

        async def work() -> None:
            for pod in waiting:
                await pod.ask(self.server, self.context, _LOOK)

        opening = asyncio.gather(*(work() for _ in range(OPENERS)))
        while not (await asyncio.wait([opening], timeout=TOUCH_PERIOD))[0]:
            open_pods = [pod for pod in self.pods if pod.connection is not None]
            await asyncio.gather(*(pod.ask(self.server, self.context, _LOOK) for pod in open_pods))
        await opening

    def close(self) -> None:
        """Close all connections."""
        for pod in self.pods:
            if pod.connection is not None:
                pod.connection.close()

    async def rage(self) -> None:
        """Let all join at once."""
        self.begun = time.monotonic()
        await self._watched(asyncio.gather(*(self._join(pod) for pod in self.pods)))

    async def _watched(self, work: Awaitable[T]) -> T:
        """Look at the server's memory, and say how it goes, until the work is done."""
        task = asyncio.ensure_future(work)
        while not (await asyncio.wait([task], timeout=0.5))[0]:
            self.rss.append(rss_mib(self.server.pid))
            if len(self.rss) % 20 == 0:
                progress(f"{time.monotonic() - self.begun:.0f} s: {len(self.joined)} have joined")
        return await task

    async def _join(self, pod: Pod) -> None:
        while True:
            status, body = await pod.ask(self.server, self.context, pod.request)
            if status == 200:
                self.joined.append(time.monotonic() - self.begun)
                return
            if status != 503:
                raise SystemExit(f"the server answered {status}: {body[:200]!r}")
            self.sent_away += 1
            wait = pod.connection.retry_after if pod.connection is not None else 1
            await asyncio.sleep(wait * (1 + random.random() / 2))  # noqa: S311 - a load


def name_source(number: int) -> str:
    """Return an address of this machine, another one for each number."""
    return f"127.{2 + number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"


def report_times(samples: Sequence[Sample], name: str, *, since: float, until: float, when: str) -> None:
    """Print how long requests of a kind took that were sent within some time."""
    took = sorted(sample.took for sample in samples if sample.name == name and since <= sample.sent < until)
    figures = [took[len(took) * percent // 100] * 1000 for percent in (50, 99)] if took else [0, 0]
    report(f"  {name}s {when}: p50 and p99", f"{figures[0]:.0f} and {figures[1]:.0f} ms")


def build_pods(count: int) -> list[Pod]:
    """Return pods like no others."""
    progress(f"making {count} pods")
    requests = build_pod_joins([make_up_token(CLUSTER_NAME) for _ in range(count)])
    return [Pod(name_source(number), request) for number, request in enumerate(requests)]


async def pass_storm(server: Server, pods: Sequence[Pod], members: Members) -> None:
    """Let a storm pass, and print how it went."""
    storm = Storm(server, pods)
    progress("opening connections")
    free = rss_mib(server.pid)
    await storm.open()
    calm = time.monotonic()
    await asyncio.sleep(min(CALM, len(pods) / 100))
    before, cpu = rss_mib(server.pid), cpu_seconds(server.pid)
    await storm.rage()
    end, cpu = time.monotonic(), cpu_seconds(server.pid) - cpu
    storm.close()
    await asyncio.sleep(min(REST, len(pods) / 100))
    report(f"storm of {len(pods)} pods, {REVIEWS_A_SECOND} reviews/s", f"{storm.joined[-1]:.0f} s")
    report("  at the best, by reviews alone", f"{len(pods) / REVIEWS_A_SECOND:.0f} s")
    report("  half of them joined within", f"{storm.joined[len(pods) // 2]:.0f} s")
    report("  answered 503 with Retry-After on the way", f"{storm.sent_away}")
    report("  server CPU a join, all attempts included", f"{cpu / len(pods) * 1000:.2f} ms")
    after = rss_mib(server.pid)
    report("  memory before connections, with them", f"{free:.0f}, {before:.0f} MiB")
    report("  memory at most, after", f"{max(storm.rss, default=0):.0f}, {after:.0f} MiB")
    samples = await asyncio.to_thread(members.look)
    for name in ("heartbeat", "renewal"):
        report_times(samples, name, since=calm, until=storm.begun, when="before")
        report_times(samples, name, since=storm.begun, until=end, when="during the storm")


async def main(count: int) -> None:
    """Print how two storms pass."""
    pin_load()
    with tempfile.TemporaryDirectory(prefix="storm-bench-") as path:
        folder = Path(path)
        storms = [build_pods(count) for _ in range(2)]
        with (
            running_stand_in(folder, rate=REVIEWS_A_SECOND) as stand_in,
            auth_server(describe_stand_in(stand_in, folder).auth_service, limits={}) as server,
        ):
            await admit_pods(server)
            await create_token(server)
            with living_members(server.address, await join_host(server)) as members:
                for pods in storms:
                    await pass_storm(server, pods, members)
            reviewed, refused = stand_in.count()
    report("reviews made, and sent away by the API server", f"{reviewed} and {refused}")


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
