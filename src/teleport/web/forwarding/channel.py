"""One side's transport, as far as forwarding uses it; nothing happens on one that is closing or gone."""

import asyncio
from collections.abc import Sequence

_JOINED = 64 * 1024
"""Bytes up to which pieces are copied into one write; longer ones are cheaper apart."""


class Channel:
    """A transport that may not be there yet, or not any more."""

    __slots__ = ("_held", "_transport")

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._held = False

    @property
    def is_open(self) -> bool:
        """Return whether something can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def can_half_close(self) -> bool:
        """Return whether one direction can end before the other; TLS cannot do that."""
        return self._transport is not None and self._transport.can_write_eof()

    def attach(self, transport: asyncio.Transport) -> None:
        """Use a transport from now on."""
        self._transport = transport

    def detach(self) -> None:
        """Forget a transport that is gone."""
        self._transport = None

    def write(self, parts: Sequence[bytes]) -> None:
        """Write pieces with as few writes and copies as possible."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if len(parts) == 1:
            transport.write(parts[0])
        elif sum(map(len, parts)) <= _JOINED:
            transport.write(b"".join(parts))
        else:
            transport.writelines(parts)

    def hold(self) -> None:
        """Read nothing until it is released."""
        if not self._held and self._transport is not None and not self._transport.is_closing():
            self._held = True
            self._transport.pause_reading()

    def release(self) -> None:
        """Read on."""
        if self._held and self._transport is not None and not self._transport.is_closing():
            self._held = False
            self._transport.resume_reading()

    def end_writing(self) -> None:
        """End one direction; where that cannot be, end both when all is sent."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def close(self) -> None:
        """Close when all is sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Cut it."""
        if self._transport is not None:
            self._transport.abort()
