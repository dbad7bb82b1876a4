"""Two multiplexers joined by a pipe that cuts bytes anywhere: nothing is ever lost, and nothing overflows."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from teleport.tunnel.errors import TunnelClosed, TunnelOverloaded
from teleport.tunnel.events import Accepted, Finished, Opened, Received, Reset, SaidGoodbye
from teleport.tunnel.limits import TunnelLimits
from teleport.tunnel.multiplexer import Multiplexer

LIMITS = TunnelLimits(
    max_streams=5, backlog=3, max_stream_unsent=600_000, max_session_unsent=1_500_000, max_session_unread=10_000_000
)
SIDES = st.integers(0, 1)
PICK = st.integers(0, 1000)


class Machine(RuleBasedStateMachine):
    """Knows what should arrive."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = [Multiplexer(is_dialer=True, limits=LIMITS), Multiplexer(is_dialer=False, limits=LIMITS)]
        self.wires = [bytearray(), bytearray()]
        """Bytes that a side has sent and that have not arrived."""
        self.live: list[set[int]] = [set(), set()]
        self.ended: list[set[int]] = [set(), set()]
        self.cut: set[int] = set()
        self.sent: list[dict[int, bytearray]] = [{}, {}]
        self.got: list[dict[int, bytearray]] = [{}, {}]
        self.finished: list[set[int]] = [set(), set()]
        self.unread: list[Counter[int]] = [Counter(), Counter()]
        self.serial = 0

    def pick(self, side: int, number: int) -> int | None:
        """Return a stream that a side may write to."""
        streams = sorted(self.live[side] - self.ended[side] - self.cut)
        return streams[number % len(streams)] if streams else None

    @rule(side=SIDES)
    def open(self, side: int) -> None:
        """Open a stream where there is room."""
        try:
            stream_id = self.ends[side].open()
        except (TunnelClosed, TunnelOverloaded):
            return
        self.live[side].add(stream_id)

    @rule(side=SIDES, number=PICK, size=st.sampled_from([1, 100, 40_000, 300_000]))
    def write(self, side: int, number: int, size: int) -> None:
        """Write bytes that are like no others."""
        stream_id = self.pick(side, number)
        if stream_id is None:
            return
        self.serial += 1
        data = (self.serial.to_bytes(4, "big") * (size // 4 + 1))[:size]
        try:
            self.ends[side].write(stream_id, data)
        except TunnelOverloaded:
            return
        self.sent[side].setdefault(stream_id, bytearray()).extend(data)

    @rule(side=SIDES, number=PICK)
    def finish(self, side: int, number: int) -> None:
        """End one direction."""
        stream_id = self.pick(side, number)
        if stream_id is not None:
            self.ends[side].finish(stream_id)
            self.ended[side].add(stream_id)

    @rule(side=SIDES, number=PICK)
    def reset(self, side: int, number: int) -> None:
        """Cut a stream."""
        stream_id = self.pick(side, number)
        if stream_id is not None:
            self.ends[side].reset(stream_id)
            self.forget(side, stream_id)

    @rule(side=SIDES, number=PICK, share=st.floats(0.1, 1))
    def read(self, side: int, number: int, share: float) -> None:
        """Consume some of what a stream has brought."""
        waiting = sorted(key for key, count in self.unread[side].items() if count)
        if waiting:
            stream_id = waiting[number % len(waiting)]
            count = max(1, int(self.unread[side][stream_id] * share))
            self.unread[side][stream_id] -= count
            self.ends[side].consume(stream_id, count)

    @precondition(lambda self: self.serial > 20)
    @rule(side=SIDES)
    def go_away(self, side: int) -> None:
        """Say goodbye."""
        self.ends[side].go_away()

    @rule(side=SIDES, size=st.integers(1, 200_000), share=st.floats(0, 1))
    def move(self, side: int, size: int, share: float) -> None:
        """Send something, and let some of what is under way arrive."""
        self.wires[side] += b"".join(self.ends[side].take_output(size).pieces)
        self.arrive(side, int(len(self.wires[side]) * share) + 1)

    def arrive(self, side: int, count: int) -> None:
        """Hand bytes to the other side, and do what its events ask for."""
        data = bytes(self.wires[side][:count])
        del self.wires[side][:count]
        to = 1 - side
        for event in self.ends[to].receive(data, 0):
            match event:
                case Opened():
                    self.ends[to].accept(event.stream_id)
                    self.live[to].add(event.stream_id)
                case Received():
                    got = self.got[to].setdefault(event.stream_id, bytearray())
                    sent = self.sent[side][event.stream_id]
                    assert event.data == sent[len(got) : len(got) + len(event.data)]
                    got.extend(event.data)
                    self.unread[to][event.stream_id] += len(event.data)
                case Finished():
                    self.finished[to].add(event.stream_id)
                case Reset():
                    self.forget(to, event.stream_id)
                case Accepted() | SaidGoodbye():
                    pass
                case _:
                    raise AssertionError(event)

    def forget(self, side: int, stream_id: int) -> None:
        """Expect nothing more of a stream."""
        self.cut.add(stream_id)
        self.unread[side][stream_id] = 0

    @invariant()
    def nothing_overflows(self) -> None:
        """Buffers keep to their limits, and the sums are right."""
        for side, end in enumerate(self.ends):
            assert end.unsent <= LIMITS.max_session_unsent
            assert end.unread <= LIMITS.max_streams * LIMITS.window
            assert end.stream_count <= LIMITS.max_streams
            assert 0 <= end.unaccepted <= LIMITS.backlog
            assert end.unread == sum(end._streams[key].unread for key in end._streams)
            assert end.unsent == sum(end._streams[key].unsent.size for key in end._streams)
            assert all(count <= LIMITS.window for count in self.unread[side].values())

    def teardown(self) -> None:
        """Read everything: all that was sent on streams nobody cut arrives, and every end is told."""
        for _ in range(400):
            for side in (0, 1):
                self.wires[side] += b"".join(self.ends[side].take_output(1 << 20).pieces)
                self.arrive(side, len(self.wires[side]))
                for stream_id, count in list(self.unread[side].items()):
                    self.unread[side][stream_id] = 0
                    self.ends[side].consume(stream_id, count)
            if not any(end.has_output or end.unread for end in self.ends):
                break
        for side in (0, 1):
            assert self.ends[side].unsent == self.ends[side].unread == 0
            for stream_id, data in self.sent[side].items():
                if stream_id not in self.cut:
                    assert self.got[1 - side].get(stream_id, b"") == data
            assert self.ended[side] - self.cut <= self.finished[1 - side]


Machine.TestCase.settings = settings(max_examples=30, stateful_step_count=50, deadline=None)
TestTwoMultiplexers = Machine.TestCase
