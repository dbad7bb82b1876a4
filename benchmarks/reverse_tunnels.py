"""A proxy with thousands of idle tunnels, and all agents coming back after it was killed and started anew."""

import asyncio
import json
import logging
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import uvloop

from harness import (
    BIN,
    CLUSTER_NAME,
    PATIENT,
    Server,
    auth_server,
    cpu_seconds,
    free_port,
    pinned_process,
    progress,
    report,
    rss_mib,
    wait_for_port,
)
from teleport.agent.tunnels.dialing import Dialer
from teleport.agent.tunnels.place import Place, TunnelAddress
from teleport.agent.tunnels.pool import TunnelPool
from teleport.api.client import open_client
from teleport.api.identity import Identity
from teleport.api.joined import build_joined, generate_keys
from teleport.api.messages import JoinRequest
from teleport.api.operations import JOIN
from teleport.api.trust import PinnedConnection
from teleport.clock import SystemClock
from teleport.pki.pins import ca_pin
from teleport.resources.address import Address
from teleport.resources.role import SystemRole

TOKEN = "benchmark-token-of-32-characters"  # noqa: S105 - lets nobody in anywhere else
WARM_UP = 100
WORKERS = 16
SETTLE_SECONDS = 20
"""Longer than the time in which both ends ask each other for a sign of life."""
PATIENCE_SECONDS = 240
START_SECONDS = 20
GAUGE = "teleport_reverse_tunnels_connected"


@dataclass(frozen=True)
class Proxy:
    """A running proxy."""

    pid: int
    address: Address
    diag: str

    async def count(self) -> int:
        """Return how many tunnels it has."""
        page = await asyncio.to_thread(self._fetch)
        return int(sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(GAUGE)))

    async def wait_for(self, count: int) -> None:
        """Return when it has so many."""
        end = time.monotonic() + PATIENCE_SECONDS
        while await self.count() < count:
            if time.monotonic() > end:
                raise SystemExit(f"{await self.count()} of {count} tunnels came about")
            await asyncio.sleep(0.25)

    def _fetch(self) -> str:
        with urlopen(f"http://{self.diag}/metrics") as answer:
            return str(answer.read(), "utf-8")


@contextmanager
def running_proxy(auth: Server, folder: Path, port: int) -> Iterator[Proxy]:
    """Run a proxy for the time of a block; at first it joins."""
    diag = f"127.0.0.1:{free_port()}"
    config = {
        "version": "v3",
        "teleport": {
            "nodename": "proxy",
            "data_dir": str(folder),
            "diag_addr": diag,
            "auth_server": str(auth.address),
            "ca_pin": ca_pin(auth.admin.host_ca_certificates[0]),
            "join_params": {"method": "token", "token_name": TOKEN},
            "connection_limits": PATIENT,
        },
        "auth_service": {"enabled": "no"},
        "ssh_service": {"enabled": "no"},
        "proxy_service": {"enabled": "yes", "web_listen_addr": f"127.0.0.1:{port}"},
    }
    folder.mkdir(exist_ok=True)
    path, log = folder / "teleport.yaml", folder / "log"
    path.write_text(json.dumps(config), encoding="utf-8")
    with pinned_process([str(BIN / "teleport"), "start", "-c", str(path)], log) as process:
        wait_for_port(port, process, log)
        yield Proxy(process.pid, Address("127.0.0.1", port), diag)


async def join(auth: Server) -> Identity:
    """Join one host as a service that has applications."""
    keys = generate_keys()
    request = JoinRequest(
        token_name=TOKEN, node_name="bench", role=SystemRole.APP, keys=keys.build_public_keys("bench")
    )
    async with open_client(auth.address, PinnedConnection(())) as client:
        return build_joined(keys, await client.call(JOIN, request)).identity(SystemRole.APP)


def build_pool(identity: Identity, address: Address) -> TunnelPool:
    """Return the tunnels of one agent."""
    clock = SystemClock()

    def build_dialer(public: Address) -> Dialer:
        return Dialer(public=public, identity=lambda: identity, cluster_name=CLUSTER_NAME, is_insecure=False)

    return TunnelPool(
        address=TunnelAddress(Place(address, is_told=True, is_insecure=False), clock),
        build_dialer=build_dialer,
        handlers={},
        report=lambda _: None,
        clock=clock,
        chance=random.Random(),  # noqa: S311 - jitter, no secret
    )


async def start(pool: TunnelPool) -> None:
    """Start one agent among many, each at a moment of its own."""
    await asyncio.sleep(random.uniform(0, START_SECONDS))  # noqa: S311 - no secret
    await pool.run()


async def join_all(auth: Server, count: int) -> list[Identity]:
    """Join hosts, some at a time."""
    identities: list[Identity] = []

    async def work() -> None:
        while len(identities) < count:
            identities.append(await join(auth))

    await asyncio.gather(*(work() for _ in range(WORKERS)))
    return identities[:count]


async def main(count: int) -> None:
    """Print what an idle tunnel costs, and how long it takes until all agents are back."""
    with auth_server({"tokens": [f"proxy,app:{TOKEN}"]}) as auth:
        progress(f"{count} hosts join")
        identities = await join_all(auth, count)
        folder, port = auth.folder.parent / "proxy", free_port()
        address = Address("127.0.0.1", port)
        pools = [build_pool(identity, address) for identity in identities]
        tasks: list[asyncio.Task[None]] = []
        with running_proxy(auth, folder, port) as proxy:
            tasks += [asyncio.create_task(pool.run()) for pool in pools[:WARM_UP]]
            await proxy.wait_for(WARM_UP)
            before = rss_mib(proxy.pid)
            tasks += [asyncio.create_task(start(pool)) for pool in pools[WARM_UP:]]
            await proxy.wait_for(count)
            await asyncio.sleep(SETTLE_SECONDS)
            each = (rss_mib(proxy.pid) - before) / (count - WARM_UP) * 1024
            report(f"memory of an idle tunnel in the proxy, of {count}", f"{each:.1f} KiB")
            cpu = cpu_seconds(proxy.pid)
            await asyncio.sleep(SETTLE_SECONDS)
            idle = (cpu_seconds(proxy.pid) - cpu) / SETTLE_SECONDS
            report("  proxy CPU while they are idle", f"{idle:.1%} of a core")
        with running_proxy(auth, folder, port) as proxy:
            proxy_cpu, auth_cpu, begun = cpu_seconds(proxy.pid), cpu_seconds(auth.pid), time.monotonic()
            await proxy.wait_for(count)
            took = time.monotonic() - begun
            report(f"{count} agents back after a proxy's restart", f"{took:.1f} s")
            report("  proxy CPU each", f"{(cpu_seconds(proxy.pid) - proxy_cpu) / count * 1000:.2f} ms")
            report("  auth CPU meanwhile", f"{(cpu_seconds(auth.pid) - auth_cpu) / took:.1%} of a core")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # uvloop tells of dials that break off
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
