"""What a stream begins with: a small JSON object that says where it wants to go, its length before it in two bytes."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, cast

import orjson

from teleport.errors import TeleportError, TooLarge
from teleport.tunnel.errors import ProtocolViolation
from teleport.tunnel.stream import Stream

MAX_PREFACE = 4096
PREFACE_TIMEOUT = timedelta(seconds=10)
_LENGTH_SIZE = 2


def render_preface(document: Mapping[str, Any]) -> bytes:
    """Return a preface, its length included.

    Raises:
        TooLarge: it has more than 4 KiB.
    """
    body = orjson.dumps(dict(document))
    if len(body) > MAX_PREFACE:
        raise TooLarge(f"a preface has {len(body)} bytes; {MAX_PREFACE} are the limit")
    return len(body).to_bytes(_LENGTH_SIZE, "big") + body


def parse_preface(data: bytes) -> tuple[dict[str, Any], bytes] | None:
    """Return the document and what follows it, or nothing while it is incomplete.

    Raises:
        ProtocolViolation: it is too long, or no JSON object.
    """
    if len(data) < _LENGTH_SIZE:
        return None
    end = _LENGTH_SIZE + int.from_bytes(data[:_LENGTH_SIZE], "big")
    if end > _LENGTH_SIZE + MAX_PREFACE:
        raise ProtocolViolation(f"a preface has {end - _LENGTH_SIZE} bytes; {MAX_PREFACE} are the limit")
    if len(data) < end:
        return None
    try:
        document = orjson.loads(data[_LENGTH_SIZE:end])
    except orjson.JSONDecodeError as error:
        raise ProtocolViolation("a preface is not JSON") from error
    if not isinstance(document, dict):
        raise ProtocolViolation("a preface is not a JSON object")
    return document, data[end:]


class PrefaceProtocol(asyncio.Protocol):
    """Read the preface of a stream, and hand the stream to whom it chooses.

    Args:
        choose: takes the document and the stream, and returns the protocol that goes on;
            an error of ours cuts the stream.
        timeout: how long the preface may take.
    """

    __slots__ = ("_choose", "_received", "_stream", "_timeout", "_timer")

    def __init__(
        self, choose: Callable[[dict[str, Any], Stream], asyncio.Protocol], timeout: timedelta = PREFACE_TIMEOUT
    ) -> None:
        self._choose = choose
        self._timeout = timeout
        self._received = b""
        self._stream: Stream | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the preface."""
        self._stream = cast("Stream", transport)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._timeout.total_seconds(), self._stream.abort)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Wait no longer."""
        self._stop_waiting()
        self._stream = None

    def data_received(self, data: bytes) -> None:
        """Read on, and hand over when the preface is there."""
        stream = self._stream
        if stream is None:
            return
        self._received += data
        try:
            parsed = parse_preface(self._received)
            if parsed is None:
                return
            self._stop_waiting()
            protocol = self._choose(parsed[0], stream)
        except TeleportError:
            stream.abort()
            return
        self._stream, self._received = None, b""
        stream.set_protocol(protocol)
        protocol.connection_made(stream)
        stream.hand_on(parsed[1])

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
