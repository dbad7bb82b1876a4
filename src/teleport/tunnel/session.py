"""A tunnel over a connection: streams opened and accepted, signs of life, and the goodbye."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from teleport.errors import TeleportError
from teleport.tunnel.errors import TunnelClosed, TunnelOverloaded
from teleport.tunnel.events import (
    Accepted,
    Event,
    Evicted,
    Finished,
    Opened,
    Ponged,
    Received,
    Reset,
    SaidGoodbye,
    Violated,
)
from teleport.tunnel.limits import TunnelLimits
from teleport.tunnel.multiplexer import Multiplexer
from teleport.tunnel.stream import Stream

_LOGGER = logging.getLogger(__name__)

FLUSH_SIZE = 128 * 1024
"""So much is handed to the connection at once."""
_DEFAULT_LIMITS = TunnelLimits()


class Session(asyncio.Protocol):
    """One tunnel, as the protocol of its connection.

    Args:
        is_dialer: whether this side made the connection.
        accept: returns the protocol of a stream that the peer opens, or raises why it is refused; without it all are.
        limits: what the session may hold.
        on_closed: is called once, when the connection is gone.
    """

    __slots__ = (
        "_accept",
        "_blocked",
        "_closed",
        "_drained",
        "_flushing",
        "_heard",
        "_limits",
        "_lingering",
        "_loop",
        "_multiplexer",
        "_on_closed",
        "_ping",
        "_streams",
        "_timer",
        "_transport",
        "_waiters",
        "error",
        "latency",
    )

    def __init__(
        self,
        *,
        is_dialer: bool,
        accept: Callable[[Stream], asyncio.Protocol] | None = None,
        limits: TunnelLimits = _DEFAULT_LIMITS,
        on_closed: Callable[[], None] | None = None,
    ) -> None:
        self._accept = accept
        self._limits = limits
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._multiplexer = Multiplexer(is_dialer=is_dialer, limits=limits)
        self._streams: dict[int, Stream] = {}
        self._lingering: dict[int, float] = {}
        """Streams that are closed here and not by the peer, and since when."""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._closed: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._blocked = self._flushing = False
        self._heard = 0.0
        self._ping = (0, 0.0)
        self.error: Exception | None = None
        """Why the session ended, where that was not in peace."""
        self.latency: timedelta | None = None
        """How long the peer took to answer the last ping."""

    @property
    def stream_count(self) -> int:
        """Return how many streams are not over in both directions."""
        return self._multiplexer.stream_count

    @property
    def is_going_away(self) -> bool:
        """Return whether one side has said goodbye."""
        return self._multiplexer.is_going_away or self._multiplexer.is_peer_going_away

    @property
    def is_usable(self) -> bool:
        """Return whether a stream may be opened."""
        return self._transport is not None and not self._transport.is_closing() and not self.is_going_away

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as asyncio's transports
        """Return what the connection knows of the peer."""
        return self._transport.get_extra_info(name, default) if self._transport is not None else default

    async def open(self, preface: bytes, protocol_factory: Callable[[], asyncio.Protocol]) -> Stream:
        """Open a stream that begins with the preface; whether the peer accepts it the protocol hears later.

        While the peer has too many to accept it waits; a stream that is refused is lost with `TunnelOverloaded`.

        Raises:
            TunnelClosed: the session opens no streams any more.
            TunnelOverloaded: it has as many as its limits allow.
        """
        while self.is_usable and self._multiplexer.unaccepted >= self._limits.backlog:
            await self._wait_for_room()
        if self._transport is None or self._transport.is_closing():
            raise TunnelClosed("the tunnel is closed")
        stream = self._build_stream(self._multiplexer.open(), self._transport)
        self._multiplexer.write(stream.stream_id, preface)
        self._wake()
        protocol = protocol_factory()
        stream.set_protocol(protocol)
        protocol.connection_made(stream)
        return stream

    def go_away(self) -> None:
        """Open and accept no streams any more; those in flight go on."""
        self._multiplexer.go_away()
        self._wake()
        self._wake_waiters()

    async def drained(self) -> None:
        """Return when no stream is left, or the session is closed."""
        while self._multiplexer.stream_count and self._transport is not None:
            if self._drained is None:
                self._drained = self._loop.create_future()
            await asyncio.shield(self._drained)

    async def closed(self) -> None:
        """Return when the connection is gone; `error` tells why."""
        if self._closed is None:
            self._closed = self._loop.create_future()
            if self._transport is None and self._heard:  # it was there, and is gone
                self._closed.set_result(None)
        await asyncio.shield(self._closed)

    def close(self) -> None:
        """Say goodbye and close the connection; what is still to be sent of streams is lost."""
        self._multiplexer.go_away()
        if self._transport is not None and not self._transport.is_closing():
            self._write_output(self._transport)
            self._transport.close()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._heard = self._loop.time()
        self._wait_for_tick()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all streams."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.error = self.error or exc
        for stream in list(self._streams.values()):
            stream.lose(TunnelClosed(f"the tunnel is closed: {self.error or 'the peer left'}"))
        self._wake_waiters()
        for future in (self._closed, self._drained):
            if future is not None and not future.done():
                future.set_result(None)
        if self._on_closed is not None:
            self._on_closed()

    def data_received(self, data: bytes) -> None:
        """Act on what the peer sent."""
        self._heard = self._loop.time()
        for event in self._multiplexer.receive(data, self._heard):
            self._act(event)
        self._look_at_drain()
        if self._multiplexer.has_output:
            self._wake()

    def eof_received(self) -> bool:
        """Close: a connection with one direction is none."""
        return False

    def pause_writing(self) -> None:
        """Send nothing while the connection is full."""
        self._blocked = True

    def resume_writing(self) -> None:
        """Send on."""
        self._blocked = False
        self._wake()

    def _act(self, event: Event) -> None:
        match event:
            case Received():
                self._to_protocol(event.stream_id, event.data)
            case Opened():
                self._take_stream(event.stream_id)
            case Finished():
                self._take_end(event.stream_id)
            case Reset():
                self._take_reset(event)
            case Evicted():
                self._lose(event.stream_id, TunnelOverloaded("the tunnel holds too much that nobody reads"))
            case Accepted() | SaidGoodbye():
                self._wake_waiters()
            case Ponged():
                self._take_pong(event.number)
            case Violated():
                self._break_off(event)

    def _to_protocol(self, stream_id: int, data: bytes) -> None:
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._guard(stream, lambda: stream.receive(data))

    def _guard(self, stream: Stream, call: Callable[[], None]) -> None:
        """Let a protocol that fails lose its own stream and no other."""
        try:
            call()
        except Exception as error:
            _LOGGER.exception("the protocol of stream %d failed", stream.stream_id)
            stream.cut(error)

    def _take_stream(self, stream_id: int) -> None:
        if self._accept is None or self._transport is None:
            self._multiplexer.reset(stream_id)
            return
        stream = self._build_stream(stream_id, self._transport)
        try:
            protocol = self._accept(stream)
        except TeleportError as error:
            _LOGGER.debug("a stream is refused: %s", error)
            del self._streams[stream_id]
            self._multiplexer.reset(stream_id)
            return
        self._multiplexer.accept(stream_id)
        stream.set_protocol(protocol)
        self._guard(stream, lambda: protocol.connection_made(stream))

    def _take_end(self, stream_id: int) -> None:
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._guard(stream, stream.receive_eof)
        if not self._multiplexer.holds(stream_id):
            self._lingering.pop(stream_id, None)

    def _take_reset(self, event: Reset) -> None:
        error: Exception = TunnelClosed("the peer cut the stream")
        if event.was_refused:
            error = TunnelOverloaded("the peer refused the stream")
        self._lingering.pop(event.stream_id, None)
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.receive_reset(error)
        self._wake_waiters()

    def _lose(self, stream_id: int, error: Exception) -> None:
        stream = self._streams.get(stream_id)
        if stream is not None:
            stream.lose(error)

    def _take_pong(self, number: int) -> None:
        if number == self._ping[0]:
            self.latency = timedelta(seconds=self._heard - self._ping[1])

    def _break_off(self, violated: Violated) -> None:
        self.error = violated.error
        _LOGGER.warning("a tunnel is closed: %s", violated.error)
        self.close()

    def _build_stream(self, stream_id: int, transport: asyncio.Transport) -> Stream:
        stream = Stream(
            stream_id, multiplexer=self._multiplexer, carrier=transport, wake=self._wake, forget=self._forget
        )
        self._streams[stream_id] = stream
        return stream

    def _forget(self, stream_id: int) -> None:
        self._streams.pop(stream_id, None)
        if self._multiplexer.holds(stream_id):
            self._lingering[stream_id] = self._loop.time()
        self._look_at_drain()
        self._wake_waiters()

    def _look_at_drain(self) -> None:
        if self._drained is not None and not self._multiplexer.stream_count:
            if not self._drained.done():
                self._drained.set_result(None)
            self._drained = None

    async def _wait_for_room(self) -> None:
        if len(self._waiters) + self.stream_count >= self._limits.max_streams:
            raise TunnelOverloaded(f"the tunnel has {self._limits.max_streams} streams, which is its limit")
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _wake_waiters(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _wake(self) -> None:
        """Send what there is in the loop's next turn, all at once."""
        if not self._flushing and not self._blocked:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        transport = self._transport
        while (
            transport is not None and self._multiplexer.has_output and not self._blocked and not transport.is_closing()
        ):
            self._write_output(transport)
        self._look_at_drain()

    def _write_output(self, transport: asyncio.Transport) -> None:
        output = self._multiplexer.take_output(FLUSH_SIZE)
        if output.pieces:
            transport.write(b"".join(output.pieces))
        for stream_id in output.streams:
            if not self._multiplexer.holds(stream_id):
                self._lingering.pop(stream_id, None)
            stream = self._streams.get(stream_id)
            if stream is not None:
                self._guard(stream, stream.look_at_unsent)

    def _wait_for_tick(self) -> None:
        self._timer = self._loop.call_later(self._limits.keepalive.total_seconds(), self._tick)

    def _tick(self) -> None:
        """Ask the peer for a sign of life, or give it up; cut streams that it does not close."""
        now = self._loop.time()
        silence = self._limits.silence.total_seconds()
        if now - self._heard >= silence:
            self.error = TunnelClosed(f"the peer sent nothing for {silence:g} seconds")
            self.abort()
            return
        self._ping = ((self._ping[0] + 1) % 2**32, now)
        self._multiplexer.ping(self._ping[0])
        self._cut_lingering(now - self._limits.linger.total_seconds())
        self._wake()
        self._wait_for_tick()

    def _cut_lingering(self, before: float) -> None:
        while self._lingering:
            stream_id, since = next(iter(self._lingering.items()))
            if since > before:
                return
            del self._lingering[stream_id]
            self._multiplexer.reset(stream_id)
        self._look_at_drain()
