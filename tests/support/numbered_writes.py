"""Numbered commits by a process of their own, which is killed while it makes them.

Commit n stores `/left/n` and `/right/n` and removes those of n - 500: all four or none.
"""

import asyncio
import itertools
import os
import subprocess
import sys
import threading
from pathlib import Path

from teleport.backend.protocol import Delete, Put
from teleport.backend.sqlite import open_sqlite
from teleport.clock import SystemClock

TASKS = 8
KEPT = 500


def run_and_kill(path: Path, first: int, seconds: float) -> dict[int, int]:
    """Run numbered writes from a number on, and kill them so many seconds after they began to open the store.

    It returns the acknowledged numbers with their revisions.
    """
    command = [sys.executable, "-m", "support.numbered_writes", str(path), str(first)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "opening\n"
        threading.Timer(seconds, process.kill).start()
        lines = process.stdout.read().splitlines(keepends=True)
    return {int(n): int(revision) for n, revision in (line.split() for line in lines if line.endswith("\n"))}


async def write_until_killed(path: Path, first: int) -> None:
    """Print `opening`, then `n revision` after each commit that returned."""
    sys.stdout.write("opening\n")
    sys.stdout.flush()
    backend = await open_sqlite(path, clock=SystemClock())
    numbers = itertools.count(first)

    async def write() -> None:
        for n in numbers:
            old = [Delete(f"/{side}/{n - KEPT:09}") for side in ("left", "right") if n >= KEPT]
            new = [Put(f"/{side}/{n:09}", b"x" * 700) for side in ("left", "right")]
            revision = await backend.commit([], [new[0], *old, new[1]])
            sys.stdout.write(f"{n} {revision}\n")
            sys.stdout.flush()

    await asyncio.gather(*(write() for _ in range(TASKS)))


if __name__ == "__main__":
    asyncio.run(write_until_killed(Path(sys.argv[1]), int(sys.argv[2])))
