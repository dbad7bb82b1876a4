"""Which backends there are: one line each, and the way to open one by its name."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from teleport.backend.expiry import SWEEP_PERIOD
from teleport.backend.memory import MemoryBackend
from teleport.backend.protocol import Backend
from teleport.backend.sqlite import open_sqlite
from teleport.clock import Clock
from teleport.errors import BadParameter


async def _open_memory(path: Path, clock: Clock, sweep_period: timedelta) -> Backend:  # noqa: ARG001 - keeps no files
    return MemoryBackend(clock=clock, sweep_period=sweep_period)


async def _open_sqlite(path: Path, clock: Clock, sweep_period: timedelta) -> Backend:
    return await open_sqlite(path, clock=clock, sweep_period=sweep_period)


BACKENDS: dict[str, Callable[[Path, Clock, timedelta], Awaitable[Backend]]] = {
    "sqlite": _open_sqlite,
    "memory": _open_memory,
}


async def open_backend(name: str, *, path: Path, clock: Clock, sweep_period: timedelta = SWEEP_PERIOD) -> Backend:
    """Open the backend of a name.

    Args:
        name: one of `BACKENDS`.
        path: the folder of a backend that keeps files.
        clock: by which items expire.
        sweep_period: how often expired items are removed.

    Raises:
        BadParameter: there is no such backend.
        Unavailable: it does not answer at present.
        StorageError: it is damaged, or in use by another process.
    """
    if name not in BACKENDS:
        raise BadParameter(f"unknown storage type {name[:64]!r}; the types are {', '.join(sorted(BACKENDS))}")
    return await BACKENDS[name](path, clock, sweep_period)
