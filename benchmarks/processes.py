"""What one process costs: memory of an idle agent, and the start of `tctl version`."""

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from harness import BIN, Server, auth_server, report, rss_mib
from joins import TOKEN, create_token
from teleport.api.client import connect
from teleport.api.messages import ListRequest
from teleport.api.operations import RESOURCE_LIST

IDLE_SECONDS = 5


async def wait_for_node(server: Server) -> None:
    """Return when an agent has joined and declared itself."""
    async with connect(server.address, server.admin) as client:
        while not (await client.call(RESOURCE_LIST, ListRequest(kind="node"))).resources:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.2)


def measure_agent(server: Server) -> float:
    """Return the memory of an agent that has joined and is idle."""
    uvloop.run(create_token(server))
    folder = Path(tempfile.mkdtemp(prefix="teleport-bench-agent-"))
    token = folder / "token"
    token.write_text(TOKEN, encoding="ascii")
    command = [str(BIN / "teleport"), "start", "--roles=node", f"--token={token}", "--insecure-skip-ca-pin"]
    command += [f"--auth-server={server.address}", f"--data-dir={folder}", "--nodename=bench-agent"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        uvloop.run(wait_for_node(server))
        time.sleep(IDLE_SECONDS)
        return rss_mib(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def measure_start(runs: int) -> float:
    """Return the median of how many seconds `tctl version` takes."""
    command = [str(BIN / "tctl"), "version"]
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main(runs: int) -> None:
    """Print both."""
    with auth_server() as server:
        report("memory of an idle agent", f"{measure_agent(server):.1f} MiB")
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    report("tctl version, start to end", f"{measure_start(runs) * 1000:.0f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
