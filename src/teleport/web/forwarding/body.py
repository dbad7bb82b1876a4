"""Bodies on their way: each kind tells where it ends, and how what was received is sent on; no I/O happens here."""

import re
from collections.abc import Sequence
from typing import Protocol

from teleport.errors import BadParameter
from teleport.web.forwarding.head import CHUNKED, UNTIL_CLOSE

MAX_LINE = 1024
"""Bytes of the line before a chunk, its extensions included, and of a line of the trailers."""
MAX_ASIDE = 8 * 1024
"""Bytes of extensions and trailers of a whole body; none of them is passed on."""

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})((?:;[\t\x20-\x7e\x80-\xff]*)?)\r\n")
_LAST_CHUNK = b"0\r\n\r\n"


class BadBody(BadParameter):
    """A body's chunks cannot be read, or not in one way only."""


class Body(Protocol):
    """A body that comes in pieces.

    `is_done` tells whether its end was seen.
    """

    is_done: bool

    def take(self, data: bytes) -> tuple[Sequence[bytes], bytes]:
        """Return what is sent on for a received piece, and what in it comes after the body.

        Raises:
            BadBody: it is not well-formed.
        """
        ...

    def end(self) -> bytes | None:
        """Return what is sent on when the sender closes, or `None` if the body is cut short by that."""
        ...


def build_body(length: int, *, in_chunks: bool) -> Body:
    """Return the body of a head: of so many bytes, `CHUNKED` or `UNTIL_CLOSE`.

    Args:
        length: what the head says.
        in_chunks: whether it is sent on in chunks, where it came without a length.
    """
    if length == CHUNKED:
        return ChunkedBody(in_chunks=in_chunks)
    if length == UNTIL_CLOSE:
        return OpenBody(in_chunks=in_chunks)
    return CountedBody(length)


class CountedBody:
    """A body of a stated length: its bytes are counted, and nothing else."""

    __slots__ = ("_left", "is_done")

    def __init__(self, length: int) -> None:
        self._left = length
        self.is_done = length <= 0

    def take(self, data: bytes) -> tuple[Sequence[bytes], bytes]:
        """Return the received piece up to the body's end, and what comes after that."""
        left = self._left - len(data)
        if left > 0:
            self._left = left
            return (data,), b""
        ours, self._left, self.is_done = self._left, 0, True
        return ((data,), b"") if left == 0 else ((data[:ours],), data[ours:])

    def end(self) -> bytes | None:
        """Return whether it was all: nothing is to be added then."""
        return b"" if self.is_done else None


class OpenBody:
    """A body that ends when its sender closes."""

    __slots__ = ("_in_chunks", "is_done")

    def __init__(self, *, in_chunks: bool) -> None:
        self._in_chunks = in_chunks
        self.is_done = False

    def take(self, data: bytes) -> tuple[Sequence[bytes], bytes]:
        """Return the received piece, which is part of the body in any case."""
        return (b"%x\r\n" % len(data), data, b"\r\n") if self._in_chunks else (data,), b""

    def end(self) -> bytes | None:
        """Return what marks the end."""
        self.is_done = True
        return _LAST_CHUNK if self._in_chunks else b""


class ChunkedBody:
    """A body in chunks (RFC 9112, 7.1), read strictly; it is sent on in chunks of our own, or bare.

    Extensions and trailers are dropped, as an intermediary may (RFC 9110, 6.5.1).
    """

    __slots__ = ("_aside", "_in_chunks", "_in_trailers", "_left", "_line", "is_done")

    def __init__(self, *, in_chunks: bool) -> None:
        self._in_chunks = in_chunks
        self._left = 0
        """Bytes of the present chunk that are missing, its line end included; nought where a line is expected."""
        self._line = b""
        self._aside = 0
        self._in_trailers = False
        self.is_done = False

    def take(self, data: bytes) -> tuple[Sequence[bytes], bytes]:
        """Return the content of all chunks in a received piece as one chunk, and what comes after the body."""
        pieces: list[bytes] = []
        at = 0
        while at < len(data) and not self.is_done:
            at = self._take_chunk(data, at, pieces) if self._left else self._take_line(data, at)
        if self._in_chunks:
            if pieces:
                pieces = [b"%x\r\n" % sum(map(len, pieces)), *pieces, b"\r\n"]
            if self.is_done:
                pieces.append(_LAST_CHUNK)
        return pieces, data[at:]

    def end(self) -> bytes | None:
        """Return that a body without its last chunk is cut short."""
        return b"" if self.is_done else None

    def _take_chunk(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        """Take what is there of a chunk, and of the line end behind it."""
        content = min(self._left - 2, len(data) - at)
        if content > 0:
            pieces.append(data[at : at + content])
            self._left -= content
            at += content
        while 0 < self._left <= 2 and at < len(data):  # noqa: PLR2004 - the two bytes of a line end
            if data[at] != b"\n\r"[self._left - 1]:
                raise BadBody("a chunk of the body does not end where it says")
            self._left -= 1
            at += 1
        return at

    def _take_line(self, data: bytes, at: int) -> int:
        """Take what is there of the line before a chunk, or of the trailers."""
        end = data.find(b"\n", at) + 1
        self._line += data[at : end or at + MAX_LINE + 1]
        if len(self._line) > MAX_LINE:
            raise BadBody("the line before a chunk, or a trailer, is too long")
        if not end:
            return len(data)
        line, self._line = self._line, b""
        if self._in_trailers:
            self._take_trailer(line)
        else:
            self._take_size(line)
        return end

    def _take_size(self, line: bytes) -> None:
        match = _SIZE.fullmatch(line)
        if match is None:
            raise BadBody("the line before a chunk of the body is not well-formed")
        self._count_aside(len(match[2]))
        size = int(match[1], 16)
        self._in_trailers = size == 0
        self._left = size + 2 if size else 0

    def _take_trailer(self, line: bytes) -> None:
        if not line.endswith(b"\r\n"):
            raise BadBody("a trailer of the body is not well-formed")
        self.is_done = line == b"\r\n"
        self._count_aside(len(line))

    def _count_aside(self, length: int) -> None:
        self._aside += length
        if self._aside > MAX_ASIDE:
            raise BadBody("the body has too many extensions or trailers")
