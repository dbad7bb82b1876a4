"""What a multiplexer tells of what came in."""

from typing import NamedTuple

from teleport.tunnel.errors import ProtocolViolation


class Opened(NamedTuple):
    """The peer opens a stream, which must be accepted or reset."""

    stream_id: int


class Accepted(NamedTuple):
    """The peer has accepted a stream."""

    stream_id: int


class Received(NamedTuple):
    """Bytes of a stream; the peer may send as many again when they are consumed."""

    stream_id: int
    data: bytes


class Finished(NamedTuple):
    """The peer sends nothing more on a stream."""

    stream_id: int


class Reset(NamedTuple):
    """A stream is cut, before it was accepted or later."""

    stream_id: int
    was_refused: bool


class Evicted(NamedTuple):
    """This side has cut a stream whose unread bytes filled the session's buffers."""

    stream_id: int


class Ponged(NamedTuple):
    """The peer answered the ping of that number."""

    number: int


class SaidGoodbye(NamedTuple):
    """The peer opens and accepts no streams any more."""

    reason: int


class Violated(NamedTuple):
    """The peer broke a rule; a goodbye is ready to be sent, and nothing is read any more."""

    error: ProtocolViolation


Event = Opened | Accepted | Received | Finished | Reset | Evicted | Ponged | SaidGoodbye | Violated
