"""Durable commits a second of the SQLite backend, against plain sqlite3 with one transaction a call in the same run.

A commit is what a join makes: one condition and three values of 700 bytes; 32 tasks commit at once. Run it with
`python benchmarks/sqlite_writes.py`; the folder for the stores is an argument, so that it lies on the disk that counts.
"""

import asyncio
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import uvloop

from teleport.backend.protocol import Condition, Put
from teleport.backend.sqlite import SqliteBackend, open_sqlite
from teleport.clock import SystemClock

TASKS = 32
COMMITS = 8000
PLAIN_COMMITS = 1000
GETS = 20_000
VALUE = bytes(700)


async def measure_commits(backend: SqliteBackend) -> None:
    """Print commits a second, CPU for each, and how long the callers waited."""
    numbers = iter(range(COMMITS))
    waits: list[float] = []
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(commit_in_turn(backend, task, numbers, waits) for task in range(TASKS)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"commits/s, durable, {TASKS} tasks:  {COMMITS / wall:8.0f}")
    print(f"CPU a commit, microseconds:    {cpu / COMMITS * 1e6:8.1f}")
    print(f"wait of a caller, ms:          {statistics.median(waits) * 1e3:8.2f} median")
    print(f"                               {statistics.quantiles(waits, n=100)[-1] * 1e3:8.2f} p99")


async def commit_in_turn(backend: SqliteBackend, task: int, numbers: Iterator[int], waits: list[float]) -> None:
    """Commit as one caller does, until the numbers that all share are used up."""
    revision = None
    for n in numbers:
        start = time.perf_counter()
        key = f"/tokens/{task}"
        writes = [Put(key, VALUE), Put(f"/uses/{task}/{n}", VALUE), Put(f"/audit/{n}", VALUE)]
        revision = await backend.commit([Condition(key, revision)], writes)
        waits.append(time.perf_counter() - start)


async def measure_gets(backend: SqliteBackend) -> None:
    """Print CPU for a read: of an item that was read lately, from a quiet file, and from one that just changed."""
    cpu = time.process_time()
    for n in range(GETS):
        await backend.get(f"/audit/{n % COMMITS}")
    print(f"CPU a get, microseconds:       {(time.process_time() - cpu) / GETS * 1e6:8.1f} from the file")
    cpu = time.process_time()
    for _ in range(GETS):
        await backend.get("/audit/0")
    print(f"                               {(time.process_time() - cpu) / GETS * 1e6:8.1f} read lately")
    spent = 0.0
    for n in range(1000):
        await backend.commit([], [Put("/tokens/0", VALUE)])
        cpu = time.thread_time()
        await backend.get(f"/audit/{n * 7 % COMMITS}")
        spent += time.thread_time() - cpu
    print(f"                               {spent / 1000 * 1e6:8.1f} from the file, after a commit")


def measure_plain(path: Path) -> float:
    """Print and return commits a second of plain sqlite3: the same writes, a transaction a call, as durable."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE items (key TEXT PRIMARY KEY, value BLOB, revision INTEGER) STRICT")
        start = time.perf_counter()
        for n in range(PLAIN_COMMITS):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("SELECT revision FROM items WHERE key = ?", (f"/tokens/{n % TASKS}",)).fetchone()
            for key in (f"/tokens/{n % TASKS}", f"/uses/{n % TASKS}/{n}", f"/audit/{n}"):
                connection.execute("INSERT OR REPLACE INTO items VALUES (?, ?, ?)", (key, VALUE, n))
            connection.execute("COMMIT")
        rate = PLAIN_COMMITS / (time.perf_counter() - start)
    print(f"commits/s, plain sqlite3:      {rate:8.0f}")
    return rate


async def measure(folder: Path) -> float:
    """Print the backend's figures and return its commits a second."""
    backend = await open_sqlite(folder / "store", clock=SystemClock())
    start = time.perf_counter()
    await measure_commits(backend)
    rate = COMMITS / (time.perf_counter() - start)
    await measure_gets(backend)
    await backend.close()
    return rate


def main() -> None:
    """Measure both on the same disk, and print the ratio."""
    place = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        ours = uvloop.run(measure(Path(folder)))
        plain = measure_plain(Path(folder) / "plain.sqlite3")
    print(f"ratio:                         {ours / plain:8.1f}")


if __name__ == "__main__":
    main()
