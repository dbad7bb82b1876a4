"""Starts an auth server pinned to one core for a benchmark, loads it from the other, and reads what that cost."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from teleport.api.identity import Identity, load_identity
from teleport.resources.address import Address

SERVER_CORE, LOAD_CORE = 0, os.cpu_count() - 1 if (os.cpu_count() or 1) > 1 else 0
_TICKS = os.sysconf("SC_CLK_TCK")
_BIN = Path(sys.executable).parent

_CONFIG = """
version: v3
teleport:
  nodename: bench
  data_dir: {folder}
  diag_addr: 127.0.0.1:{diag_port}
  connection_limits:
    max_connections: 100000
auth_service:
  enabled: yes
  cluster_name: bench.example.com
  listen_addr: 127.0.0.1:{port}
ssh_service:
  enabled: no
proxy_service:
  enabled: no
"""


@dataclass(frozen=True)
class Server:
    """A running auth server."""

    pid: int
    address: Address
    folder: Path
    config: Path

    @property
    def admin(self) -> Identity:
        """Return the administrator's identity."""
        return load_identity(self.folder / "admin.identity")

    def cpu_seconds(self) -> float:
        """Return the processor time that the server has used so far, all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss_mib(self) -> float:
        """Return the server's resident memory."""
        return rss_mib(self.pid)


def rss_mib(pid: int) -> float:
    """Return a process's resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def auth_server() -> Iterator[Server]:
    """Run an auth server on the server's core for the time of a block, on durable storage in a temporary folder."""
    root = Path(tempfile.mkdtemp(prefix="teleport-bench-"))
    port, folder = free_port(), root / "data"
    config = root / "teleport.yaml"
    config.write_text(_CONFIG.format(folder=folder, port=port, diag_port=free_port()), encoding="utf-8")
    command = ["taskset", "-c", str(SERVER_CORE), str(_BIN / "teleport"), "start", "-c", str(config)]
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait_for(folder / "admin.identity", port, process)
        yield Server(process.pid, Address("127.0.0.1", port), folder, config)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        shutil.rmtree(root, ignore_errors=True)


def _wait_for(identity: Path, port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise SystemExit("the auth server ended; run it by hand to see why")
        with socket.socket() as probe:
            if identity.exists() and probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("the auth server did not listen in time")


def pin_load() -> None:
    """Keep this process, which makes the load, off the server's core."""
    os.sched_setaffinity(0, {LOAD_CORE})


async def spread(work: list[object], workers: int, one: object) -> float:
    """Let workers take items until none is left; return the seconds that it took."""
    queue = iter(work)

    async def worker() -> None:
        for item in queue:
            await one(item)  # type: ignore[operator]

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(workers)))
    return time.perf_counter() - start
