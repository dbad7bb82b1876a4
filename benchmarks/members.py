"""A host that has joined and lives on: heartbeats and renewals at a steady pace, timed, in a process of its own."""

import asyncio
import itertools
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe

import uvloop

from teleport.api.joined import Joined, generate_keys
from teleport.api.messages import HeartbeatRequest, HostCertificatesRequest
from teleport.api.operations import HEARTBEAT, HOST_CERTIFICATES
from teleport.resources.address import Address
from teleport.resources.role import SystemRole
from teleport.version import VERSION
from wire import Connection, build_context, build_request, connect

PERIOD = 0.05
RENEW_EVERY = 5
"""One request in so many is a renewal, the others are heartbeats."""
CONNECTIONS = 20
PREPARED_RENEWALS = 100


@dataclass(frozen=True, slots=True)
class Sample:
    """How long one request took, and when it was sent; seconds."""

    name: str
    sent: float
    took: float


@dataclass(frozen=True, slots=True)
class Members:
    """The running process."""

    _pipe: Pipe

    def look(self) -> Sequence[Sample]:
        """Return what it has timed so far."""
        self._pipe.send(None)
        samples: Sequence[Sample] = self._pipe.recv()
        return samples


@contextmanager
def living_members(address: Address, joined: Joined) -> Iterator[Members]:
    """Let a host live for the time of a block, over several connections."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_run, args=(theirs, address, joined.model_dump_json()), daemon=True)
    process.start()
    theirs.close()
    try:
        ours.recv()
        yield Members(ours)
    finally:
        process.terminate()
        process.join()


def _run(pipe: Pipe, address: Address, joined: str) -> None:
    uvloop.run(_live(pipe, address, Joined.model_validate_json(joined)))


async def _live(pipe: Pipe, address: Address, joined: Joined) -> None:
    context = build_context(joined.identity(SystemRole.INSTANCE))
    connections = [await connect(address, context) for _ in range(CONNECTIONS)]
    turns = itertools.cycle(connections)
    beat = build_request(
        HEARTBEAT, HeartbeatRequest(hostname="bench", version=VERSION, servers=()).model_dump_json().encode()
    )
    renewals = itertools.cycle([_build_renewal() for _ in range(PREPARED_RENEWALS)])
    samples: list[Sample] = []
    tasks: set[asyncio.Task[None]] = set()
    pipe.send(None)
    for number in itertools.count():
        if pipe.poll():
            pipe.recv()
            pipe.send(samples)
        name, request = ("heartbeat", beat) if number % RENEW_EVERY else ("renewal", next(renewals))
        task = asyncio.create_task(_time(next(turns), name, request, samples))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        await asyncio.sleep(PERIOD)


async def _time(connection: Connection, name: str, request: bytes, samples: list[Sample]) -> None:
    sent = time.monotonic()
    status, body = await connection.ask(request)
    if status != 200:
        raise SystemExit(f"the server answered {status}: {body[:200]!r}")
    samples.append(Sample(name, sent, time.monotonic() - sent))


def _build_renewal() -> bytes:
    keys = generate_keys().build_public_keys("bench")
    request = HostCertificatesRequest(role=SystemRole.INSTANCE, keys=keys, node_name="bench")
    return build_request(HOST_CERTIFICATES, request.model_dump_json().encode())
