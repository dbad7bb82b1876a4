"""A stand-in for an API server, in a process of its own: it reviews tokens at once, or so many a second at most."""

import asyncio
import multiprocessing
import os
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import orjson
import uvloop

from support.tls_certificates import ThrowawayAuthority
from teleport.pki.jwt import parse_jwt

FORGED_SIGNATURE = bytes(256)
"""By which the stand-in knows a forged token; a real API server sees that it is no signature."""
_EXTRA = "authentication.kubernetes.io"
_BUSY = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\n{}"


@dataclass(slots=True)
class Limit:
    """So many reviews in each second, 0 for as many as come."""

    rate: int
    reviewed: int = 0
    refused: int = 0
    _second: int = 0
    _left: int = 0

    def take(self) -> bool:
        """Count one review, and tell whether it is within the limit."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._left = second, self.rate
        within = not self.rate or self._left > 0
        self._left -= within
        self.reviewed += within
        self.refused += not within
        return within


@dataclass(frozen=True, slots=True)
class StandIn:
    """A running stand-in."""

    url: str
    ca_file: Path
    _pipe: Connection

    def count(self) -> tuple[int, int]:
        """Return how many reviews it has made, and how many it has sent away."""
        self._pipe.send(None)
        return cast("tuple[int, int]", self._pipe.recv())


@contextmanager
def running_stand_in(folder: Path, *, rate: int = 0) -> Iterator[StandIn]:
    """Run a stand-in for the time of a block."""
    authority = ThrowawayAuthority.create()
    leaf = authority.issue("localhost")
    ca_file, identity = folder / "stand-in-ca.crt", folder / "stand-in.pem"
    ca_file.write_text(authority.certificate_pem)
    identity.write_text(leaf.certificate_pem + leaf.key_pem)
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_run, args=(theirs, identity, rate), daemon=True)
    process.start()
    theirs.close()
    try:
        yield StandIn(f"https://localhost:{ours.recv()}", ca_file, ours)
    finally:
        process.terminate()
        process.join()


def _run(pipe: Connection, identity: Path, rate: int) -> None:
    uvloop.run(_serve(pipe, identity, Limit(rate)))


async def _serve(pipe: Connection, identity: Path, limit: Limit) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Reviews(limit), "localhost", 0, ssl=context)
    loop.add_reader(pipe.fileno(), _tell, pipe, limit)
    pipe.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def _tell(pipe: Connection, limit: Limit) -> None:
    try:
        pipe.recv()
    except EOFError:
        os._exit(0)
    pipe.send((limit.reviewed, limit.refused))


class _Reviews(asyncio.Protocol):
    """One connection; the requests come one after another."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, _, body = self._received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if self._transport is None or len(body) < length:
            return
        self._received = b""
        self._transport.write(_render(review(orjson.loads(body))) if self._limit.take() else _BUSY)


def _render(answer: dict[str, Any]) -> bytes:
    body = orjson.dumps(answer)
    return b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def review(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the TokenReview with a status as a real API server writes it."""
    token = parse_jwt(asked["spec"]["token"])
    if token.signature == FORGED_SIGNATURE:
        return {"status": {"user": {}, "error": "[invalid bearer token, error in cryptographic primitive]"}}
    bound = token.claims["kubernetes.io"]
    extra = {
        f"{_EXTRA}/credential-id": [f"JTI={token.claims['jti']}"],
        f"{_EXTRA}/pod-name": [bound["pod"]["name"]],
        f"{_EXTRA}/pod-uid": [bound["pod"]["uid"]],
    }
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{bound['namespace']}", "system:authenticated"]
    user = {"username": token.claims["sub"], "uid": bound["serviceaccount"]["uid"], "groups": groups, "extra": extra}
    return {"status": {"authenticated": True, "user": user, "audiences": token.claims["aud"]}}
