"""The audit log: what happened, who did it and why it was refused. An event is never lost silently.

Events go into the store in the commit of what they tell of, so that neither exists without the other, and then as
JSON lines into a file for those who collect logs. No event ever holds a secret.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from teleport.auth.records import build_time_key, encode
from teleport.backend.protocol import Backend, Put, Write
from teleport.clock import Clock
from teleport.resources.model import render_time

PREFIX = "audit/"
MAX_WAITING_LINES = 100_000
RETRY = timedelta(seconds=1)
"""How soon a file that took no lines is tried again."""


@dataclass(frozen=True, slots=True)
class EventType:
    """An event's name and its code, which tells success from failure; both as in the original where it has them."""

    name: str
    code: str


INSTANCE_JOIN = EventType("instance.join", "TJ002I")
INSTANCE_JOIN_FAILURE = EventType("instance.join", "TJ002E")
BOT_JOIN = EventType("bot.join", "TJ001I")
BOT_JOIN_FAILURE = EventType("bot.join", "TJ001E")
MEMBERSHIP_END = EventType("instance.end", "TJ004I")
JOIN_LIMITED = EventType("join.limited", "TJ003W")
TOKEN_CREATE = EventType("join_token.create", "TJT00I")
TRUSTED_CLUSTER_TOKEN_CREATE = EventType("trusted_cluster_token.create", "TTC00I")
TOKEN_UPDATE = EventType("join_token.update", "TJT01I")
TOKEN_DELETE = EventType("join_token.delete", "TJT02I")
CERTIFICATE_CREATE = EventType("cert.create", "TC000I")
CERTIFICATE_REFUSED = EventType("cert.create", "TC000E")
USER_LOGIN = EventType("user.login", "T1000I")
USER_LOGIN_FAILURE = EventType("user.login", "T1000W")
USER_CREATE = EventType("user.create", "T1002I")
USER_UPDATE = EventType("user.update", "T1003I")
USER_DELETE = EventType("user.delete", "T1004I")
USER_PASSWORD_CHANGE = EventType("user.password_change", "T1005I")
USER_RESET = EventType("reset_password_token.create", "T6000I")
ROLE_CREATE = EventType("role.created", "T9000I")
ROLE_DELETE = EventType("role.deleted", "T9001I")
ROLE_UPDATE = EventType("role.updated", "T9002I")
APP_SESSION_START = EventType("app.session.start", "T2007I")
APP_SESSION_DENIED = EventType("app.session.start", "T2007E")
APP_SESSION_END = EventType("app.session.end", "T2011I")


@dataclass(slots=True)
class Pending:
    """An event that is being committed: the write for the store, and the line for the file."""

    put: Put
    line: bytes = field(repr=False)


class AuditLog:
    """Where events go.

    Args:
        backend: the store.
        path: the file of JSON lines.
        clock: when an event happens.
        retention: how long an event stays in the store.
        report: told None when the file takes lines, and what is wrong when it does not.
        count: told how many events were committed.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        path: Path,
        clock: Clock,
        retention: timedelta,
        report: Callable[[str | None], None],
        count: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._backend = backend
        self._path = path
        self._clock = clock
        self._retention = retention
        self._report = report
        self._count = count
        self._lines: list[bytes] = []
        self._writing = threading.Lock()
        self._wake = asyncio.Event()

    def build(self, event: EventType, **fields: Any) -> Pending:  # noqa: ANN401 - whatever JSON can hold
        """Return the event, to be committed together with what it tells of."""
        now = self._clock.now()
        uid = build_time_key(now)
        record = {
            "event": event.name,
            "code": event.code,
            "time": render_time(now),
            "uid": uid,
            **{key: value for key, value in fields.items() if value not in (None, "", {}, ())},
        }
        body = encode(record)
        return Pending(Put(PREFIX + uid, body, now + self._retention), body + b"\n")

    def committed(self, *events: Pending) -> None:
        """Hand events whose commit succeeded to the file."""
        self._lines += [event.line for event in events]
        self._count(len(events))
        self._wake.set()

    async def emit(self, event: EventType, *writes: Write, **fields: Any) -> None:  # noqa: ANN401 - as `build`
        """Commit an event on its own, or with the writes that belong to it."""
        pending = self.build(event, **fields)
        await self._backend.commit([], [*writes, pending.put])
        self.committed(pending)

    async def run(self) -> None:
        """Write lines until cancelled; what waits is written before the end."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._flush()
        finally:
            with suppress(OSError):
                self._write()

    async def _flush(self) -> None:
        try:
            await asyncio.to_thread(self._write)
        except OSError as error:
            self._report(f"audit file {self._path} takes no lines: {error.strerror}; events are in the store")
            del self._lines[:-MAX_WAITING_LINES]
            await asyncio.sleep(RETRY.total_seconds())
            self._wake.set()
        else:
            self._report(None)

    def _write(self) -> None:
        """Write what waits; in a thread, or at the end, and then after a thread that still writes."""
        with self._writing:
            count = len(self._lines)
            append(self._path, b"".join(self._lines[:count]))
            del self._lines[:count]


def append(path: Path, lines: bytes) -> None:
    """Append to the file, which is opened each time so that a log keeper may move it away.

    Raises:
        OSError: the file takes no lines; it ends as it did before, so that they can be written once more.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end = os.fstat(descriptor).st_size
    try:
        rest = memoryview(lines)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError:
        os.ftruncate(descriptor, end)
        raise
    finally:
        os.close(descriptor)
