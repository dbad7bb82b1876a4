"""Headers of frames, shaped as yamux has them: https://github.com/hashicorp/yamux/blob/master/spec.md."""

from struct import Struct
from typing import NamedTuple

from teleport.tunnel.errors import ProtocolViolation
from teleport.tunnel.limits import MAX_WINDOW

VERSION = 0
DATA, WINDOW_UPDATE, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8
"""A stream is opened, accepted, ended in one direction, cut."""
NORMAL, PROTOCOL_ERROR, INTERNAL_ERROR = range(3)
"""Reasons of a goodbye."""
MAX_STREAM_ID = 2**32 - 1

_LAYOUT = Struct(">BBHII")
HEADER_SIZE = _LAYOUT.size

_STREAM_FLAGS = frozenset({0, SYN, ACK, FIN, RST, SYN | FIN, ACK | FIN})


class Header(NamedTuple):
    """What a frame is; `length` is a payload's size, a window's growth, a ping's number or a goodbye's reason."""

    kind: int
    flags: int
    stream_id: int
    length: int


def parse_header(data: bytes | bytearray) -> Header:
    """Read twelve bytes.

    Raises:
        ProtocolViolation: no peer that keeps to the protocol sends such a frame.
    """
    version, kind, flags, stream_id, length = _LAYOUT.unpack(data)
    if version != VERSION:
        raise ProtocolViolation(f"a frame has version {version}; this side speaks version {VERSION}")
    header = Header(kind, flags, stream_id, length)
    if kind in {DATA, WINDOW_UPDATE}:
        _check_stream_frame(header)
    elif kind in {PING, GO_AWAY}:
        _check_session_frame(header)
    else:
        raise ProtocolViolation(f"a frame has the unknown type {kind}")
    return header


def render_header(kind: int, flags: int, stream_id: int, length: int) -> bytes:
    """Return the twelve bytes of a header."""
    return _LAYOUT.pack(VERSION, kind, flags, stream_id, length)


def _check_stream_frame(header: Header) -> None:
    if header.flags not in _STREAM_FLAGS:
        raise ProtocolViolation(f"a frame of stream {header.stream_id} has the impossible flags {header.flags:#x}")
    if header.stream_id == 0:
        raise ProtocolViolation("a frame of a stream names none")
    if header.length > MAX_WINDOW:
        raise ProtocolViolation(f"a frame of stream {header.stream_id} speaks of {header.length} bytes")
    if header.length and header.flags == RST:
        raise ProtocolViolation(f"the frame that resets stream {header.stream_id} has a length")
    if not header.length and not header.flags:
        raise ProtocolViolation(f"a frame of stream {header.stream_id} says nothing")


def _check_session_frame(header: Header) -> None:
    if header.stream_id:
        raise ProtocolViolation(f"a frame of the session names stream {header.stream_id}")
    if header.flags not in ({SYN, ACK} if header.kind == PING else {0}):
        raise ProtocolViolation(f"a frame of the session has the impossible flags {header.flags:#x}")
    if header.kind == GO_AWAY and header.length > INTERNAL_ERROR:
        raise ProtocolViolation(f"a goodbye has the unknown reason {header.length}")
