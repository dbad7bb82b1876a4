"""Two connections joined: what comes on one goes out on the other, no faster than that one takes it."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import cast

from teleport.tunnel.errors import TunnelClosed

MAX_EARLY = 256 * 1024
"""Bytes that one side may send before the other one is there; it is asked not to send at all."""


class RelayEnd(asyncio.Protocol):
    """One side of a relay, as the protocol of its transport."""

    __slots__ = ("_early", "_ended", "_relay", "other", "received", "transport")

    def __init__(self, relay: "Relay") -> None:
        self._relay = relay
        self._early = b""
        self._ended = False
        self.other: RelayEnd
        self.transport: asyncio.Transport | None = None
        self.received = 0

    @property
    def has_ended(self) -> bool:
        """Return whether this side sends nothing more."""
        return self._ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the other side, or begin."""
        self.transport = cast("asyncio.Transport", transport)
        if self._relay.is_over:
            self.transport.abort()
        elif self.other.transport is None:
            self.transport.pause_reading()
        else:
            self.other.begin()

    def begin(self) -> None:
        """Send what came early, and read on."""
        early, self._early = self._early, b""
        if early:
            self._pass_on(early)
        if self._ended:
            self._end_other()
            if self.other.has_ended:
                self._relay.close()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Pass bytes on."""
        self._relay.touch()
        self.received += len(data)
        if self.other.transport is not None:
            self._pass_on(data)
        elif len(self._early) + len(data) > MAX_EARLY:
            self._relay.abort()
        else:
            self._early += data

    def eof_received(self) -> bool:
        """End the other side's direction; this one's stays open."""
        self._ended = True
        if self.other.transport is not None:
            self._end_other()
        if self.other.has_ended:
            self._relay.close()
        return self.transport is not None and self.transport.can_write_eof() and not self.transport.is_closing()

    def pause_writing(self) -> None:
        """Let the other side wait."""
        other = self.other.transport
        if other is not None and not other.is_closing():
            other.pause_reading()

    def resume_writing(self) -> None:
        """Let the other side go on."""
        other = self.other.transport
        if other is not None and not other.is_closing():
            other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the other side as this one ended."""
        self._relay.end(self, exc)

    def _pass_on(self, data: bytes) -> None:
        other = self.other.transport
        if other is not None and not other.is_closing():
            other.write(data)

    def _end_other(self) -> None:
        other = self.other.transport
        if other is None or other.is_closing():
            return
        if other.can_write_eof():
            other.write_eof()
        else:
            other.close()


class Relay:
    """Two sides that are joined as soon as both have their transport.

    Args:
        idle_timeout: after so long without a byte in either direction both are cut.
        on_ended: is called once, when both are gone.
    """

    __slots__ = (
        "_ended",
        "_idle_timeout",
        "_loop",
        "_on_ended",
        "_open",
        "_timer",
        "_touched",
        "error",
        "left",
        "right",
    )

    def __init__(self, *, idle_timeout: timedelta, on_ended: Callable[[], None] | None = None) -> None:
        self._idle_timeout = idle_timeout.total_seconds()
        self._on_ended = on_ended
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._touched = self._loop.time()
        self._timer = self._loop.call_later(self._idle_timeout, self._look_at_idleness)
        self.error: Exception | None = None
        """Why the relay ended, where that was not in peace."""
        self.left, self.right = RelayEnd(self), RelayEnd(self)
        self.left.other, self.right.other = self.right, self.left
        self._open = {self.left, self.right}

    @property
    def bytes_from_left(self) -> int:
        """Return how many bytes came from the left side."""
        return self.left.received

    @property
    def bytes_from_right(self) -> int:
        """Return how many bytes came from the right side."""
        return self.right.received

    @property
    def is_over(self) -> bool:
        """Return whether one of the sides is gone."""
        return len(self._open) < len((self.left, self.right))

    def touch(self) -> None:
        """Note that something moves."""
        self._touched = self._loop.time()

    async def ended(self) -> None:
        """Return when both sides are gone."""
        await asyncio.shield(self._ended)

    def close(self) -> None:
        """Close both sides when what they were sent has left."""
        for end in (self.left, self.right):
            if end.transport is not None:
                end.transport.close()

    def abort(self) -> None:
        """Cut both sides; one that has no transport yet counts as gone."""
        for end in list(self._open):
            if end.transport is None:
                self.end(end, None)
            else:
                end.transport.abort()

    def end(self, end: RelayEnd, error: Exception | None) -> None:
        """Take that one side is gone."""
        self._open.discard(end)
        self.error = self.error or error
        other = end.other.transport
        if not self._open:
            self._finish()
        elif other is None:
            self.end(end.other, error)
        elif error is not None:
            other.abort()
        elif not other.is_closing():
            other.close()

    def _finish(self) -> None:
        self._timer.cancel()
        if not self._ended.done():
            self._ended.set_result(None)
            if self._on_ended is not None:
                self._on_ended()

    def _look_at_idleness(self) -> None:
        due = self._touched + self._idle_timeout
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._look_at_idleness)
        else:
            self.error = TunnelClosed("nothing moved for too long")
            self.abort()
