"""Tells who waits which tokens have changed: the last changes are remembered; for older ones a list must be read."""

import asyncio
import logging
import secrets
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from teleport.api.messages import GoneToken, TokenChangesRequest, TokenChangesResponse
from teleport.auth.access import Caller
from teleport.auth.stores.tokens import TokenStore
from teleport.backend.protocol import Event
from teleport.errors import LimitExceeded, TeleportError
from teleport.resources.codec import to_plain
from teleport.resources.token import Token

MAX_REMEMBERED = 1024
MAX_WAITERS = 32
"""Each holds a connection and next to nothing else; who comes too late reads lists instead."""
MAX_TOLD = 256
"""Changes in one answer; who asked asks again for the rest."""
RETRY = timedelta(seconds=1)
BUSY = timedelta(seconds=30)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Change:
    """One change of one token; the names are masked."""

    number: int
    key: str
    gone: GoneToken | None
    token: Token | None


class TokenChanges:
    """Follows the store, and lets others wait for what happens there.

    A mark names a watch of the store and a change in it. Marks of former watches, and of changes that are forgotten,
    are answered by a new one and by the advice to read the list.

    Args:
        tokens: the store.
    """

    def __init__(self, *, tokens: TokenStore) -> None:
        self._tokens = tokens
        self._watch_id = ""
        self._count = 0
        self._changes: deque[_Change] = deque(maxlen=MAX_REMEMBERED)
        self._stirred = asyncio.Event()
        self._waiters = 0
        self._has_ended = False

    async def run(self) -> None:
        """Follow the store, for ever; a watch that breaks is begun anew."""
        while True:
            try:
                async with self._tokens.watch() as events:
                    self._begin()
                    async for event in events:
                        self._note(event)
            except TeleportError as error:
                logger.warning("following tokens: %s; beginning anew", error.message)
            await asyncio.sleep(RETRY.total_seconds())

    def end(self) -> None:
        """Answer everybody who waits, and let nobody wait any more."""
        self._has_ended = True
        self._stir()

    async def wait(self, request: TokenChangesRequest, _: Caller) -> TokenChangesResponse:
        """Say what has changed since a mark, as soon as something has, or that nothing did for so long.

        Raises:
            LimitExceeded: too many wait already.
        """
        known = self._read_mark(request.mark)
        if known == self._count and request.wait_seconds and not self._has_ended:
            await self._wait_for_change(timedelta(seconds=request.wait_seconds))
            known = self._read_mark(request.mark)
        if known is None:
            return TokenChangesResponse(mark=self._build_mark(self._count), is_complete=False)
        told = [change for change in self._changes if change.number > known][:MAX_TOLD]
        newest = {change.key: change.token for change in told}
        return TokenChangesResponse(
            mark=self._build_mark(told[-1].number if told else known),
            tokens=tuple(to_plain(token) for token in newest.values() if token is not None),
            gone=tuple(change.gone for change in told if change.gone is not None),
        )

    async def _wait_for_change(self, patience: timedelta) -> None:
        if self._waiters >= MAX_WAITERS:
            raise LimitExceeded("too many wait for changes of tokens already; read the list now and then", BUSY)
        self._waiters += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience.total_seconds()):
                    await self._stirred.wait()
        finally:
            self._waiters -= 1

    def _begin(self) -> None:
        self._watch_id, self._count = secrets.token_hex(8), 0
        self._changes.clear()
        self._stir()

    def _note(self, event: Event) -> None:
        before, after = self._tokens.read_event(event)
        gone = None
        if before is not None and (after is None or after.metadata.labels != before.metadata.labels):
            gone = GoneToken(name=before.safe_name, labels=before.metadata.labels, revision=str(event.revision))
        self._count += 1
        token = None if after is None else after.with_metadata(name=after.safe_name)
        self._changes.append(_Change(self._count, event.key, gone, token))
        self._stir()

    def _stir(self) -> None:
        self._stirred.set()
        self._stirred = asyncio.Event()

    def _build_mark(self, number: int) -> str:
        return f"{self._watch_id}-{number}"

    def _read_mark(self, mark: str) -> int | None:
        """Return the number of the change that a mark names, or None if not all that came after it are known."""
        watch_id, _, number = mark.partition("-")
        if watch_id != self._watch_id or not number.isascii() or not number.isdecimal():
            return None
        return int(number) if self._count - len(self._changes) <= int(number) <= self._count else None
