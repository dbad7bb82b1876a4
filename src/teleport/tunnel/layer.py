"""A transport inside a transport: what TLS and WebSockets that run over any transport have in common."""

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from teleport.errors import ConnectionFailed, TeleportError

HANDSHAKE_TIMEOUT = timedelta(seconds=10)


class LayerTransport(asyncio.Transport):
    """What the protocol inside writes to.

    Args:
        layer: what the bytes go through.
    """

    __slots__ = ("_layer",)

    def __init__(self, layer: "Layer") -> None:
        super().__init__()
        self._layer = layer

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's signature
        """Return what the layer knows, and else what the transport outside knows."""
        return self._layer.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand what comes to another protocol."""
        self._layer.protocol = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return who gets what comes."""
        return self._layer.protocol

    def is_closing(self) -> bool:
        """Return whether the transport is closed or about to be."""
        return self._layer.is_closing

    def close(self) -> None:
        """Send what was written and the layer's goodbye, and be done."""
        self._layer.close()

    def abort(self) -> None:
        """Cut the transport outside."""
        self._layer.abort()

    def is_reading(self) -> bool:
        """Return whether the protocol gets what comes."""
        return self._layer.is_reading

    def pause_reading(self) -> None:
        """Leave what comes to the transport outside."""
        self._layer.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._layer.resume_reading()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes through the layer."""
        self._layer.write(data)

    def can_write_eof(self) -> bool:
        """Return whether one direction can be ended alone."""
        return self._layer.can_write_eof

    def write_eof(self) -> None:
        """End one direction; the peer may go on."""
        self._layer.write_eof()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the limits of the transport outside, which holds the buffer."""
        self._layer.outer.set_write_buffer_limits(high, low)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the limits of the transport outside."""
        return self._layer.outer.get_write_buffer_limits()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes of the layer have not left yet."""
        return self._layer.outer.get_write_buffer_size()


class Layer(asyncio.Protocol):
    """A protocol outside and a transport inside, once both sides have shaken hands.

    Args:
        name: of the handshake, for messages.
        protocol_factory: makes the protocol inside once the handshake is done.
        handshake_timeout: how long the handshake may take.
        close_timeout: for so long a peer may leave the rest unread after the transport was closed.
    """

    can_write_eof = False

    def __init__(
        self,
        name: str,
        *,
        protocol_factory: Callable[[], asyncio.Protocol],
        handshake_timeout: timedelta,
        close_timeout: timedelta,
    ) -> None:
        self._name = name
        self._factory = protocol_factory
        self._handshake_timeout = handshake_timeout.total_seconds()
        self._close_timeout = close_timeout.total_seconds()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: LayerTransport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._gone = False
        self.outer: asyncio.Transport
        self.protocol: asyncio.Protocol = asyncio.Protocol()
        self.is_reading = True
        self.is_closing = False

    @abstractmethod
    def begin(self) -> None:
        """Do what this side does first."""

    @abstractmethod
    def read_kept(self) -> None:
        """Give the protocol inside what has come and was left, as far as it reads."""

    @abstractmethod
    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes through the layer."""

    @abstractmethod
    def close(self) -> None:
        """Say goodbye, and close the transport outside."""

    def write_eof(self) -> None:
        """End one direction, where the layer knows how."""
        raise NotImplementedError

    async def established(self) -> LayerTransport:
        """Return the transport inside when the handshake is done.

        Raises:
            TrustError: one side does not trust the other.
            ConnectionFailed: the peer refused, was too slow, or is gone.
        """
        if self._transport is None and not self._gone:
            self._waiter = self._waiter or self._loop.create_future()
            await asyncio.shield(self._waiter)
        if self._transport is None:
            if isinstance(self._error, TeleportError):
                raise self._error
            raise ConnectionFailed(f"the connection broke within {self._name}") from self._error
        return self._transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's signature
        """Return what the transport outside knows."""
        return self.outer.get_extra_info(name, default)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self.outer = cast("asyncio.Transport", transport)
        self._timer = self._loop.call_later(self._handshake_timeout, self._be_late)
        self.begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        self._gone = self.is_closing = True
        self._stop_waiting()
        self._error = self._error or exc
        if self._transport is not None:
            self.protocol.connection_lost(self._error)

    def pause_writing(self) -> None:
        """Pass the pressure on."""
        if self._transport is not None:
            self.protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that it is over."""
        if self._transport is not None:
            self.protocol.resume_writing()

    def pause_reading(self) -> None:
        """Leave what comes to the transport outside."""
        self.is_reading = False
        if not self.is_closing:
            self.outer.pause_reading()

    def resume_reading(self) -> None:
        """Read on, first what is here."""
        if not self.is_reading:
            self.is_reading = True
            self._loop.call_soon(self._read_again)

    def abort(self) -> None:
        """Cut the transport outside."""
        self.is_closing = True
        self.outer.abort()

    def open_up(self) -> None:
        """Begin with the protocol inside: the handshake is done."""
        self._transport = LayerTransport(self)
        self._stop_waiting()
        self.protocol = self._factory()
        self.protocol.connection_made(self._transport)

    def fail(self, error: TeleportError) -> None:
        """End the connection for a reason that is told here; what was written leaves, and says to the peer why."""
        self._error = self._error or error
        self._gone = self.is_closing = True
        self._stop_waiting()
        self._close_outer()

    def _close_outer(self) -> None:
        self.outer.close()
        self._cut_later()

    def _cut_later(self) -> None:
        self._timer = self._loop.call_later(self._close_timeout, self.outer.abort)

    def _be_late(self) -> None:
        self.fail(ConnectionFailed(f"{self._name} took longer than {self._handshake_timeout:g} seconds"))

    def _read_again(self) -> None:
        if self.is_reading and not self.is_closing:
            self.read_kept()
        if self.is_reading and not self.is_closing:
            self.outer.resume_reading()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
