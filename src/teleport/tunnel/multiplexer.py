"""The protocol of a tunnel without its connection: bytes in, events and bytes out; time is an argument.

Streams are numbered as in yamux: the side that dialed opens odd ones, the other one even ones, each ascending.
"""

from collections import deque
from typing import NamedTuple

from teleport.tunnel import frames
from teleport.tunnel.errors import ProtocolViolation, TunnelClosed, TunnelOverloaded
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
from teleport.tunnel.frames import Header
from teleport.tunnel.limits import INITIAL_WINDOW, MAX_WINDOW, TunnelLimits
from teleport.tunnel.send_buffer import SendBuffer

CHUNK = 32 * 1024
"""A stream sends so much before it is the next one's turn."""
MAX_CONTROL = 256 * 1024
"""Answers that may wait for a peer that provokes them and reads none."""
RESET_PERIOD = 10.0
"""Seconds in which resets are counted."""


class Output(NamedTuple):
    """Bytes to send, and the streams that they are of."""

    pieces: list[bytes | memoryview]
    streams: list[int]


class _State:
    """What is known of one stream."""

    __slots__ = (
        "accepted",
        "consumed",
        "discards",
        "finish_sent",
        "finished",
        "is_ready",
        "receive_window",
        "send_window",
        "unread",
        "unsent",
        "wants_finish",
        "wants_syn",
    )

    def __init__(self, receive_window: int) -> None:
        self.send_window = INITIAL_WINDOW
        self.receive_window = receive_window
        self.consumed = 0
        self.unread = 0
        self.unsent = SendBuffer()
        self.accepted = self.finished = self.finish_sent = False
        self.wants_finish = self.wants_syn = self.is_ready = self.discards = False

    @property
    def may_send(self) -> bool:
        """Return whether a frame could leave now."""
        if self.finish_sent:
            return False
        return self.wants_syn or bool(self.unsent.size and self.send_window) or self.is_done_writing

    @property
    def is_done_writing(self) -> bool:
        """Return whether nothing is left to send but the end."""
        return self.wants_finish and not self.unsent.size


class Multiplexer:
    """Both directions of one session.

    Args:
        is_dialer: whether this side made the connection.
        limits: what the session may hold.
    """

    __slots__ = (
        "_control",
        "_current",
        "_ended",
        "_head",
        "_limits",
        "_next_id",
        "_peer_id",
        "_ready",
        "_remaining",
        "_reset_since",
        "_resets",
        "_streams",
        "is_going_away",
        "is_peer_going_away",
        "unaccepted",
        "unread",
        "unsent",
    )

    def __init__(self, *, is_dialer: bool, limits: TunnelLimits) -> None:
        self._limits = limits
        self._next_id = 1 if is_dialer else 2
        self._peer_id = 0 if is_dialer else -1
        """The last stream that the peer opened; its next one is two higher at least."""
        self._streams: dict[int, _State] = {}
        self._ready: deque[int] = deque()
        self._control = bytearray()
        self._head = b""
        self._current = Header(0, 0, 0, 0)
        self._remaining = 0
        self._reset_since, self._resets = 0.0, 0
        self._ended = False
        self.is_going_away = self.is_peer_going_away = False
        self.unaccepted = 0
        """Streams that this side opened and that the peer has not accepted yet."""
        self.unread = 0
        """Bytes that came in and were not consumed yet, of all streams."""
        self.unsent = 0
        """Bytes that were written and have not left yet, of all streams."""

    @property
    def stream_count(self) -> int:
        """Return how many streams are not over in both directions."""
        return len(self._streams)

    @property
    def has_output(self) -> bool:
        """Return whether there is something to send now."""
        return bool(self._control or self._ready)

    def holds(self, stream_id: int) -> bool:
        """Return whether a stream is not over in both directions."""
        return stream_id in self._streams

    def get_unsent(self, stream_id: int) -> int:
        """Return how many bytes of a stream were written and have not left yet."""
        state = self._streams.get(stream_id)
        return state.unsent.size if state is not None else 0

    def is_finish_sent(self, stream_id: int) -> bool:
        """Return whether everything that a stream had to send has left, its end included."""
        state = self._streams.get(stream_id)
        return state is None or state.finish_sent

    def check_room(self) -> None:
        """Check that a stream can be opened now.

        Raises:
            TunnelClosed: no stream can be opened any more.
            TunnelOverloaded: there are as many as the limits allow.
        """
        if self._ended or self.is_going_away or self.is_peer_going_away:
            raise TunnelClosed("the tunnel is going away; it opens no streams any more")
        if self._next_id > frames.MAX_STREAM_ID:
            raise TunnelClosed("the tunnel has used up the numbers of its streams; dial a new one")
        if len(self._streams) >= self._limits.max_streams:
            raise TunnelOverloaded(f"the tunnel has {len(self._streams)} streams, which is its limit")
        if self.unaccepted >= self._limits.backlog:
            raise TunnelOverloaded(f"{self.unaccepted} streams wait until the peer accepts them, which is the limit")

    def open(self) -> int:
        """Open a stream and return its number; what is written to it leaves with the opening.

        Raises:
            TunnelClosed: no stream can be opened any more.
            TunnelOverloaded: there are as many as the limits allow.
        """
        self.check_room()
        stream_id = self._next_id
        self._next_id += 2
        self.unaccepted += 1
        state = self._streams[stream_id] = _State(self._limits.window)
        state.wants_syn = True
        self._mark_ready(stream_id, state)
        return stream_id

    def accept(self, stream_id: int) -> None:
        """Accept a stream that the peer has opened."""
        state = self._streams.get(stream_id)
        if state is not None and not state.accepted:
            state.accepted = True
            growth = self._limits.window - INITIAL_WINDOW
            state.receive_window += growth
            self._say(frames.WINDOW_UPDATE, frames.ACK, stream_id, growth)

    def write(self, stream_id: int, data: bytes | memoryview) -> None:
        """Send bytes when it is the stream's turn.

        Raises:
            TunnelClosed: the stream is over.
            TunnelOverloaded: the buffers of the stream or of the session are full.
        """
        state = self._streams.get(stream_id)
        if state is None or state.wants_finish:
            raise TunnelClosed(f"stream {stream_id} is over")
        size = len(data)
        if state.unsent.size + size > self._limits.max_stream_unsent:
            raise TunnelOverloaded(f"stream {stream_id} has too much to send that its peer does not read")
        if self.unsent + size > self._limits.max_session_unsent:
            raise TunnelOverloaded("the tunnel has too much to send that its peer does not read")
        if size:
            state.unsent.append(data)
            self.unsent += size
            self._mark_ready(stream_id, state)

    def finish(self, stream_id: int) -> None:
        """Send nothing more on a stream when what was written has left."""
        state = self._streams.get(stream_id)
        if state is not None and not state.wants_finish:
            state.wants_finish = True
            self._mark_ready(stream_id, state)

    def reset(self, stream_id: int) -> None:
        """Cut a stream, or refuse it; what was not sent yet is lost."""
        state = self._drop(stream_id)
        if state is not None and not state.wants_syn:
            self._say(frames.WINDOW_UPDATE, frames.RST, stream_id, 0)

    def stop_reading(self, stream_id: int) -> None:
        """Throw away what a stream has brought and still brings; its peer is given no room for more."""
        state = self._streams.get(stream_id)
        if state is not None:
            self.unread -= state.unread
            state.unread = 0
            state.discards = True

    def consume(self, stream_id: int, count: int) -> None:
        """Let the peer send as many bytes again, once they are half of the window."""
        state = self._streams.get(stream_id)
        if state is None or state.discards:
            return
        state.unread -= count
        self.unread -= count
        state.consumed += count
        if state.accepted and not state.finished and state.consumed >= self._limits.window // 2:
            state.receive_window += state.consumed
            self._say(frames.WINDOW_UPDATE, 0, stream_id, state.consumed)
            state.consumed = 0

    def ping(self, number: int) -> None:
        """Ask the peer for a sign of life."""
        self._say(frames.PING, frames.SYN, 0, number)

    def go_away(self, reason: int = frames.NORMAL) -> None:
        """Say that this side opens and accepts no streams any more."""
        if not self.is_going_away:
            self.is_going_away = True
            self._say(frames.GO_AWAY, 0, 0, reason)

    def take_output(self, size: int) -> Output:
        """Take about so many bytes to send: answers first, then a chunk of each stream in turn."""
        pieces: list[bytes | memoryview] = []
        streams: list[int] = []
        if self._control:
            pieces.append(bytes(self._control))
            size -= len(self._control)
            self._control.clear()
        while self._ready and size > 0:
            stream_id = self._ready.popleft()
            state = self._streams.get(stream_id)
            if state is not None:
                streams.append(stream_id)
                size -= self._send_chunk(stream_id, state, pieces)
        return Output(pieces, streams)

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Read what the peer sent; `now` is in seconds from any start."""
        events: list[Event] = []
        try:
            position = 0
            while position < len(data) and not self._ended:
                position = self._read_on(data, position, now, events)
        except ProtocolViolation as violation:
            self._ended = True
            self.is_going_away = False
            self.go_away(frames.PROTOCOL_ERROR)
            events.append(Violated(violation))
        return events

    def _read_on(self, data: bytes, position: int, now: float, events: list[Event]) -> int:
        """Read one header or one piece of a payload, and return where the next one begins."""
        if self._remaining:
            end = min(position + self._remaining, len(data))
            self._remaining -= end - position
            self._take_payload(data[position:end], events)
            return end
        end = position + frames.HEADER_SIZE - len(self._head)
        head = self._head + data[position:end]
        if len(head) < frames.HEADER_SIZE:
            self._head = head
            return len(data)
        self._head = b""
        self._take_header(frames.parse_header(head), now, events)
        return end

    def _take_header(self, header: Header, now: float, events: list[Event]) -> None:
        if header.kind == frames.PING:
            self._take_ping(header, events)
        elif header.kind == frames.GO_AWAY:
            self.is_peer_going_away = True
            events.append(SaidGoodbye(header.length))
        elif header.flags == frames.RST:
            self._take_reset(header.stream_id, now, events)
        else:
            self._take_stream_frame(header, events)

    def _take_ping(self, header: Header, events: list[Event]) -> None:
        if header.flags == frames.ACK:
            events.append(Ponged(header.length))
        else:
            self._answer(frames.PING, frames.ACK, 0, header.length)

    def _take_stream_frame(self, header: Header, events: list[Event]) -> None:
        if header.flags & frames.SYN:
            self._take_opening(header.stream_id, events)
        state = self._find(header.stream_id)
        if state is not None:
            self._check_state(header, state)
            if header.flags & frames.ACK:
                state.accepted = True
                self.unaccepted -= 1
                events.append(Accepted(header.stream_id))
            if header.kind == frames.WINDOW_UPDATE:
                self._widen(header, state)
            else:
                state.receive_window -= header.length
        self._current = header
        if header.kind == frames.DATA:
            self._remaining = header.length
        if not self._remaining:
            self._take_end(events)

    def _take_opening(self, stream_id: int, events: list[Event]) -> None:
        if stream_id % 2 == self._next_id % 2:
            raise ProtocolViolation(f"the peer opens stream {stream_id}, a number of this side's")
        if stream_id <= self._peer_id:
            raise ProtocolViolation(f"the peer opens stream {stream_id} though it has opened stream {self._peer_id}")
        self._peer_id = stream_id
        if self.is_going_away or len(self._streams) >= self._limits.max_streams:
            self._answer(frames.WINDOW_UPDATE, frames.RST, stream_id, 0)
            return
        self._streams[stream_id] = _State(INITIAL_WINDOW)
        events.append(Opened(stream_id))

    def _find(self, stream_id: int) -> _State | None:
        """Return a stream, or nothing if it is over; one that never was is a violation."""
        state = self._streams.get(stream_id)
        if state is None:
            is_own = stream_id % 2 == self._next_id % 2
            if stream_id >= self._next_id if is_own else stream_id > self._peer_id:
                raise ProtocolViolation(f"a frame is of stream {stream_id}, which nobody has opened")
        elif state.wants_syn:
            raise ProtocolViolation(f"a frame is of stream {stream_id}, which nobody has opened")
        return state

    def _check_state(self, header: Header, state: _State) -> None:
        is_own = header.stream_id % 2 == self._next_id % 2
        if header.flags & frames.ACK and (state.accepted or not is_own):
            raise ProtocolViolation(f"the peer accepts stream {header.stream_id}, which does not wait for that")
        if is_own and not state.accepted and not header.flags & frames.ACK:
            raise ProtocolViolation(f"the peer uses stream {header.stream_id} before it accepts it")
        if state.finished and (header.kind == frames.DATA or header.flags & frames.FIN):
            raise ProtocolViolation(f"the peer goes on with stream {header.stream_id} after its end")
        if header.kind == frames.DATA and header.length > state.receive_window:
            raise ProtocolViolation(
                f"{header.length} bytes come on stream {header.stream_id}, whose window is {state.receive_window}"
            )

    def _widen(self, header: Header, state: _State) -> None:
        state.send_window += header.length
        if state.send_window > MAX_WINDOW:
            raise ProtocolViolation(f"the window of stream {header.stream_id} overflows")
        self._mark_ready(header.stream_id, state)

    def _take_payload(self, data: bytes, events: list[Event]) -> None:
        stream_id = self._current.stream_id
        state = self._streams.get(stream_id)
        if state is not None and not state.discards:
            state.unread += len(data)
            self.unread += len(data)
            events.append(Received(stream_id, data))
            if self.unread > self._limits.max_session_unread:
                self._evict(events)
        if not self._remaining:
            self._take_end(events)

    def _evict(self, events: list[Event]) -> None:
        """Cut the stream that fills the buffers most."""
        stream_id = max(self._streams, key=lambda number: self._streams[number].unread)
        self.reset(stream_id)
        events.append(Evicted(stream_id))

    def _take_end(self, events: list[Event]) -> None:
        header = self._current
        state = self._streams.get(header.stream_id)
        if header.flags & frames.FIN and state is not None:
            state.finished = True
            events.append(Finished(header.stream_id))
            self._forget_if_over(header.stream_id, state)

    def _take_reset(self, stream_id: int, now: float, events: list[Event]) -> None:
        if self._find(stream_id) is None:
            return
        is_own = stream_id % 2 == self._next_id % 2
        if not is_own:
            self._count_reset(now)
        state = self._drop(stream_id)
        events.append(Reset(stream_id, was_refused=is_own and state is not None and not state.accepted))

    def _count_reset(self, now: float) -> None:
        if now - self._reset_since >= RESET_PERIOD:
            self._reset_since, self._resets = now, 0
        self._resets += 1
        if self._resets > self._limits.max_resets:
            raise ProtocolViolation(f"the peer opens and resets more than {self._limits.max_resets} streams at once")

    def _drop(self, stream_id: int) -> _State | None:
        state = self._streams.pop(stream_id, None)
        if state is not None:
            self.unread -= state.unread
            self.unsent -= state.unsent.size
            if stream_id % 2 == self._next_id % 2 and not state.accepted:
                self.unaccepted -= 1
        return state

    def _forget_if_over(self, stream_id: int, state: _State) -> None:
        if state.finished and state.finish_sent:
            self._drop(stream_id)

    def _mark_ready(self, stream_id: int, state: _State) -> None:
        if not state.is_ready and state.may_send:
            state.is_ready = True
            self._ready.append(stream_id)

    def _send_chunk(self, stream_id: int, state: _State, pieces: list[bytes | memoryview]) -> int:
        """Send one frame of a stream, put it at the end of the queue if it has more, and return the frame's size."""
        state.is_ready = False
        if not state.may_send:
            return 0
        count = min(state.unsent.size, state.send_window, CHUNK)
        taken = state.unsent.take(count)
        state.send_window -= count
        self.unsent -= count
        flags = frames.SYN if state.wants_syn else 0
        if state.is_done_writing:
            flags |= frames.FIN
            state.finish_sent = True
        pieces.append(frames.render_header(frames.DATA, flags, stream_id, count))
        pieces.extend(taken)
        if state.wants_syn:
            state.wants_syn = False
            self._widen_own(stream_id)
        self._mark_ready(stream_id, state)
        self._forget_if_over(stream_id, state)
        return count + frames.HEADER_SIZE

    def _widen_own(self, stream_id: int) -> None:
        """Tell the peer of a stream's window, where it is wider than the protocol's."""
        growth = self._limits.window - INITIAL_WINDOW
        if growth:
            self._say(frames.WINDOW_UPDATE, 0, stream_id, growth)

    def _answer(self, kind: int, flags: int, stream_id: int, length: int) -> None:
        """Say something that the peer provoked."""
        if len(self._control) >= MAX_CONTROL:
            raise ProtocolViolation("the peer asks for more answers than it reads")
        self._say(kind, flags, stream_id, length)

    def _say(self, kind: int, flags: int, stream_id: int, length: int) -> None:
        self._control += frames.render_header(kind, flags, stream_id, length)
