"""One stream of a tunnel as a transport of asyncio: whatever runs over a connection runs over it."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from teleport.tunnel.errors import TunnelClosed, TunnelOverloaded
from teleport.tunnel.multiplexer import Multiplexer

HIGH_WATER = 64 * 1024


class Stream(asyncio.Transport):
    """A stream of a session.

    Args:
        stream_id: its number.
        multiplexer: sends and receives.
        carrier: the transport of the session, which knows who the peer is.
        wake: is called when there may be something to send.
        forget: is called once, when the protocol has heard that the stream is over.
    """

    __slots__ = (
        "_carrier",
        "_closing",
        "_eof",
        "_forget",
        "_given_back",
        "_high",
        "_lost",
        "_low",
        "_multiplexer",
        "_paused",
        "_protocol",
        "_reads",
        "_told_eof",
        "_unread",
        "_wake",
        "_wrote_eof",
        "stream_id",
    )

    def __init__(
        self,
        stream_id: int,
        *,
        multiplexer: Multiplexer,
        carrier: asyncio.BaseTransport,
        wake: Callable[[], None],
        forget: Callable[[int], None],
    ) -> None:
        super().__init__()
        self.stream_id = stream_id
        self._multiplexer = multiplexer
        self._carrier = carrier
        self._wake = wake
        self._forget = forget
        self._protocol: asyncio.BaseProtocol = asyncio.Protocol()
        self._high, self._low = HIGH_WATER, HIGH_WATER // 4
        self._unread: deque[bytes] | None = None
        self._reads = True
        self._closing = self._eof = self._lost = self._paused = self._told_eof = self._wrote_eof = False
        self._given_back = 0
        """Bytes of those kept that the peer was already given room for."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's signature
        """Return what the session's connection knows."""
        return self._carrier.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand what comes to another protocol."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return who gets what comes."""
        return self._protocol

    def is_closing(self) -> bool:
        """Return whether the stream is closed or about to be."""
        return self._closing

    def is_reading(self) -> bool:
        """Return whether the protocol gets what comes."""
        return self._reads and not self._closing

    def pause_reading(self) -> None:
        """Keep what comes; the peer can send no more than a window of it."""
        self._reads = False

    def resume_reading(self) -> None:
        """Deliver again, first what was kept, in the loop's next turn."""
        if not self._reads:
            self._reads = True
            asyncio.get_running_loop().call_soon(self._deliver_kept)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set from how many unsent bytes on the protocol is asked to pause, and below which to resume."""
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError("the upper limit of a write buffer is not below the lower one, which is not negative")
        self._high, self._low = high, low

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the lower and the upper limit."""
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        """Return how many bytes have not left yet."""
        return self._multiplexer.get_unsent(self.stream_id)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes; a writer that does not pause when asked to is cut in the end."""
        if self._wrote_eof:
            raise RuntimeError("a stream is not written to after its end")
        if self._closing or not data:
            return
        try:
            self._multiplexer.write(self.stream_id, data if isinstance(data, bytes) else bytes(data))
        except (TunnelClosed, TunnelOverloaded) as error:
            self.cut(error)
            return
        self._wake()
        if not self._paused and self.get_write_buffer_size() > self._high:
            self._paused = True
            self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        """Return that a stream can be ended in one direction."""
        return True

    def write_eof(self) -> None:
        """Send nothing more after what was written; the peer may go on."""
        if not self._wrote_eof and not self._closing:
            self._wrote_eof = True
            self._multiplexer.finish(self.stream_id)
            self._wake()

    def close(self) -> None:
        """Send what was written, and be done; what the peer still sends is not read."""
        if self._closing:
            return
        self._closing = True
        self._unread = None
        self._multiplexer.stop_reading(self.stream_id)
        self._multiplexer.finish(self.stream_id)
        self._wake()
        self.look_at_unsent()

    def abort(self) -> None:
        """Cut the stream."""
        self.cut(None)

    def cut(self, error: Exception | None) -> None:
        """Cut the stream for a reason that its protocol hears."""
        if not self._lost:
            self._multiplexer.reset(self.stream_id)
            self._wake()
            self.lose(error)

    def lose(self, error: Exception | None) -> None:
        """Tell the protocol, in the loop's next turn, that the stream is over."""
        if not self._lost:
            self._closing = self._lost = True
            self._unread = None
            asyncio.get_running_loop().call_soon(self._tell_lost, error)

    def look_at_unsent(self) -> None:
        """Let the protocol write again, or be done, when enough has left."""
        if self._paused and self.get_write_buffer_size() <= self._low:
            self._paused = False
            self._protocol.resume_writing()
        if self._closing and self._multiplexer.is_finish_sent(self.stream_id):
            self.lose(None)

    def receive(self, data: bytes) -> None:
        """Take bytes of the peer: deliver them now, or when they are asked for."""
        if self._closing:
            return
        if self._reads and not self._unread:
            self._multiplexer.consume(self.stream_id, len(data))
            self._give(data)
        else:
            self._keep(data)

    def receive_eof(self) -> None:
        """Take the end of what the peer sends."""
        self._eof = True
        self._deliver_kept()

    def receive_reset(self, error: Exception) -> None:
        """Take that the peer cut the stream; what it had ended before is still delivered."""
        if not (self._eof and self._unread):
            self.lose(error)

    def hand_on(self, data: bytes) -> None:
        """Give bytes that another protocol took, and did not want, to the present one."""
        if self._closing or not data:
            return
        if self._reads:
            self._give(data)
        else:
            self._keep(data)
            self._given_back += len(data)

    def _give(self, data: bytes) -> None:
        if isinstance(self._protocol, asyncio.Protocol):
            self._protocol.data_received(data)

    def _keep(self, data: bytes) -> None:
        if self._unread is None:
            self._unread = deque()
        self._unread.append(data)

    def _deliver_kept(self) -> None:
        while self._unread and self._reads and not self._closing:
            data = self._unread.popleft()
            known = min(self._given_back, len(data))
            self._given_back -= known
            self._multiplexer.consume(self.stream_id, len(data) - known)
            self._wake()
            self._give(data)
        if self._eof and not self._unread and self._reads and not self._closing and not self._told_eof:
            self._told_eof = True
            if not (isinstance(self._protocol, asyncio.Protocol) and self._protocol.eof_received()):
                self.close()

    def _tell_lost(self, error: Exception | None) -> None:
        self._forget(self.stream_id)
        self._protocol.connection_lost(error)
