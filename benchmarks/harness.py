"""Starts an auth server pinned to one core for a benchmark, loads it from another, and reads what that cost."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from teleport.api.identity import Identity, load_identity
from teleport.resources.address import Address

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]
CLUSTER_NAME = "bench.example.com"
BIN = Path(sys.executable).parent
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_START_TIMEOUT = 20

T = TypeVar("T")
Section = dict[str, Any]

_UNLIMITED = {"period": "1s", "average": 100_000, "burst": 100_000}
PATIENT: Section = {"max_connections": 20_000, "refused_joins": _UNLIMITED, "rates": [_UNLIMITED]}
"""Limits that no load reaches, where they are not what is measured."""


@dataclass(frozen=True)
class Server:
    """A running auth server."""

    pid: int
    address: Address
    folder: Path

    @property
    def admin(self) -> Identity:
        """Return the administrator's identity."""
        return load_identity(self.folder / "admin.identity")


@dataclass(frozen=True)
class Cost:
    """What some work cost."""

    count: int
    seconds: float
    cpu_seconds: float
    times: Sequence[float] = field(default=(), repr=False)
    """Seconds that each took, in ascending order."""

    @property
    def rate(self) -> float:
        """Return how many a second."""
        return self.count / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Return milliseconds of the server's processor time for each."""
        return self.cpu_seconds / self.count * 1000

    def quantile_ms(self, percent: int) -> float:
        """Return within how many milliseconds so many in a hundred were done."""
        return self.times[min(len(self.times) - 1, len(self.times) * percent // 100)] * 1000


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used so far, all threads, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss_mib(pid: int) -> float:
    """Return a process's resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE / 2**20


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def pinned_process(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server on its own core for the time of a block."""
    with log.open("wb") as output:
        process = subprocess.Popen(["taskset", "-c", str(SERVER_CORE), *command], stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def pin_load() -> None:
    """Keep this process, which makes the load, off the server's core."""
    os.sched_setaffinity(0, {LOAD_CORE})


def build_config(folder: Path, port: int, auth_service: Section, limits: Section) -> Section:
    """Return the configuration of an auth server and nothing else."""
    return {
        "version": "v3",
        "teleport": {"nodename": "bench", "data_dir": str(folder), "connection_limits": limits},
        "auth_service": {
            "enabled": "yes",
            "cluster_name": CLUSTER_NAME,
            "listen_addr": f"127.0.0.1:{port}",
            **auth_service,
        },
        "ssh_service": {"enabled": "no"},
        "proxy_service": {"enabled": "no"},
    }


@contextmanager
def auth_server(auth_service: Section | None = None, limits: Section = PATIENT) -> Iterator[Server]:
    """Run an auth server for the time of a block, on durable storage in a temporary folder."""
    pin_load()
    root = Path(tempfile.mkdtemp(prefix="teleport-bench-"))
    port, folder = free_port(), root / "data"
    config = root / "teleport.yaml"
    config.write_text(json.dumps(build_config(folder, port, auth_service or {}, limits)), encoding="utf-8")
    try:
        with pinned_process([str(BIN / "teleport"), "start", "-c", str(config)], root / "log") as process:
            wait_for_port(port, process, root / "log")
            yield Server(process.pid, Address("127.0.0.1", port), folder)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when something listens on a local port."""
    end = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"the server did not come up:\n{log.read_text(encoding='utf-8')[-2000:]}")


async def measure(pid: int, items: Iterable[T], one: Callable[[T], Awaitable[object]], *, workers: int) -> Cost:
    """Let workers take items until none is left, and return what that cost the process."""
    queue = iter(list(items))
    times: list[float] = []

    async def worker() -> None:
        for item in queue:
            begun = time.perf_counter()
            await one(item)
            times.append(time.perf_counter() - begun)

    cpu, start = cpu_seconds(pid), time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(workers)))
    return Cost(len(times), time.perf_counter() - start, cpu_seconds(pid) - cpu, sorted(times))


def report(name: str, figure: str) -> None:
    """Print one row of the table."""
    print(f"{name:<56} {figure:>18}", flush=True)


def progress(text: str) -> None:
    """Say what is going on, beside the table."""
    print(f"... {text}", file=sys.stderr, flush=True)
