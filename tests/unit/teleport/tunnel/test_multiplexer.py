import pytest

from teleport.errors import BadParameter
from teleport.tunnel import frames
from teleport.tunnel.errors import ProtocolViolation, TunnelClosed, TunnelOverloaded
from teleport.tunnel.events import Accepted, Event, Evicted, Finished, Opened, Ponged, Received, Reset, Violated
from teleport.tunnel.frames import ACK, DATA, FIN, GO_AWAY, PING, RST, SYN, WINDOW_UPDATE
from teleport.tunnel.limits import INITIAL_WINDOW, MAX_WINDOW, TunnelLimits
from teleport.tunnel.multiplexer import MAX_CONTROL, Multiplexer


def build(*, is_dialer: bool = False, limits: TunnelLimits | None = None) -> Multiplexer:
    return Multiplexer(is_dialer=is_dialer, limits=limits or TunnelLimits())


def frame(kind: int, flags: int, stream_id: int, length: int = 0, payload: bytes = b"") -> bytes:
    return frames.render_header(kind, flags, stream_id, length or len(payload)) + payload


def output(multiplexer: Multiplexer) -> bytes:
    return b"".join(multiplexer.take_output(1 << 20).pieces)


def opened(**limits: int) -> Multiplexer:
    """Return the accepting side with stream 1 open."""
    multiplexer = build(limits=TunnelLimits(**limits))  # type: ignore[arg-type] # sizes and counts only
    assert multiplexer.receive(frame(DATA, SYN, 1), 0) == [Opened(1)]
    multiplexer.accept(1)
    output(multiplexer)
    return multiplexer


def dialed() -> Multiplexer:
    """Return the dialing side with stream 1 open and accepted."""
    multiplexer = build(is_dialer=True)
    multiplexer.open()
    output(multiplexer)
    assert multiplexer.receive(frame(WINDOW_UPDATE, ACK, 1), 0) == [Accepted(1)]
    return multiplexer


def violation(events: list[Event]) -> str:
    assert isinstance(events[-1], Violated)
    return str(events[-1].error)


def test_a_stream_is_opened_accepted_and_ended_in_both_directions() -> None:
    dialer, other = build(is_dialer=True), build()
    stream_id = dialer.open()
    dialer.write(stream_id, b"question")
    dialer.finish(stream_id)
    assert other.receive(output(dialer), 0) == [Opened(1), Received(1, b"question"), Finished(1)]
    other.accept(1)
    other.write(1, b"answer")
    other.finish(1)
    assert dialer.receive(output(other), 0) == [Accepted(1), Received(1, b"answer"), Finished(1)]
    assert dialer.stream_count == other.stream_count == 0


@pytest.mark.parametrize(
    ("hostile", "named"),
    [
        (b"\x01" + frame(DATA, 0, 1, 1)[1:], "version 1"),
        (frame(4, 0, 1, 1), "unknown type 4"),
        (frame(DATA, 16, 1, 1), "impossible flags 0x10"),
        (frame(DATA, SYN | ACK, 1, 1), "impossible flags"),
        (frame(DATA, RST | FIN, 1, 0), "impossible flags"),
        (frame(WINDOW_UPDATE, RST, 1, 1), "has a length"),
        (frame(DATA, 0, 1, 0), "says nothing"),
        (frame(WINDOW_UPDATE, 0, 1, 0), "says nothing"),
        (frame(DATA, SYN, 0, 1), "names none"),
        (frame(DATA, 0, 1, MAX_WINDOW + 1), "speaks of"),
        (frame(PING, 0, 0, 1), "impossible flags"),
        (frame(PING, SYN, 1, 1), "names stream 1"),
        (frame(GO_AWAY, FIN, 0, 1), "impossible flags"),
        (frame(GO_AWAY, 0, 0, 3), "unknown reason"),
        (frame(DATA, SYN, 2, 0), "a number of this side's"),
        (frame(DATA, SYN, 1, 0), "though it has opened"),
        (frame(DATA, 0, 3, 1), "nobody has opened"),
        (frame(WINDOW_UPDATE, RST, 3), "nobody has opened"),
        (frame(DATA, 0, 2, 1), "nobody has opened"),
        (frame(WINDOW_UPDATE, ACK, 1), "does not wait"),
        (frame(DATA, 0, 1, INITIAL_WINDOW + 1), "whose window is"),
        (frame(WINDOW_UPDATE, 0, 1, MAX_WINDOW), "overflows"),
        (frame(DATA, FIN, 1) + frame(DATA, 0, 1, 1), "after its end"),
        (frame(DATA, FIN, 1) + frame(WINDOW_UPDATE, FIN, 1), "after its end"),
    ],
)
def test_a_broken_rule_is_named_and_ends_the_session(hostile: bytes, named: str) -> None:
    multiplexer = opened()
    assert named in violation(multiplexer.receive(hostile, 0))
    assert output(multiplexer) == frame(GO_AWAY, 0, 0, frames.PROTOCOL_ERROR)
    assert multiplexer.receive(frame(PING, SYN, 0, 1), 0) == []
    with pytest.raises(TunnelClosed):
        multiplexer.open()


def test_a_peer_may_not_use_a_stream_that_it_has_not_accepted() -> None:
    multiplexer = build(is_dialer=True)
    multiplexer.open()
    output(multiplexer)
    assert "before it accepts" in violation(multiplexer.receive(frame(DATA, 0, 1, 1), 0))


def test_a_window_may_be_filled_to_its_last_byte() -> None:
    events = opened().receive(frame(DATA, 0, 1, payload=bytes(INITIAL_WINDOW)), 0)
    assert events == [Received(1, bytes(INITIAL_WINDOW))]


def test_a_window_may_grow_to_its_maximum() -> None:
    assert opened().receive(frame(WINDOW_UPDATE, 0, 1, MAX_WINDOW - INITIAL_WINDOW), 0) == []


def test_a_peer_gets_room_only_when_half_a_window_is_consumed() -> None:
    multiplexer = opened()
    multiplexer.receive(frame(DATA, 0, 1, payload=bytes(INITIAL_WINDOW)), 0)
    multiplexer.consume(1, INITIAL_WINDOW // 2 - 1)
    assert output(multiplexer) == b""
    multiplexer.consume(1, 1)
    assert output(multiplexer) == frame(WINDOW_UPDATE, 0, 1, INITIAL_WINDOW // 2)


def test_a_sender_stops_at_the_end_of_its_window_and_goes_on_when_it_grows() -> None:
    multiplexer = dialed()
    multiplexer.write(1, bytes(INITIAL_WINDOW + 5))
    output(multiplexer)
    assert multiplexer.get_unsent(1) == 5
    assert not multiplexer.has_output
    multiplexer.receive(frame(WINDOW_UPDATE, 0, 1, 3), 0)
    assert output(multiplexer) == frame(DATA, 0, 1, payload=bytes(3))
    assert multiplexer.get_unsent(1) == 2


def test_streams_send_in_turn() -> None:
    multiplexer = build(is_dialer=True)
    first, second = multiplexer.open(), multiplexer.open()
    for stream_id in (first, second):
        multiplexer.write(stream_id, bytes(100_000))
    assert multiplexer.take_output(200_000).streams[:4] == [first, second, first, second]


def test_a_wider_window_is_told_by_both_sides() -> None:
    wide = TunnelLimits(window=MAX_WINDOW)
    dialer, other = build(is_dialer=True, limits=wide), build(limits=wide)
    dialer.open()
    other.receive(output(dialer) + output(dialer), 0)
    other.accept(1)
    dialer.receive(output(other), 0)
    for sender in (dialer, other):
        sender.write(1, bytes(MAX_WINDOW))
        sender.take_output(2 * MAX_WINDOW)
        assert sender.get_unsent(1) == 0


@pytest.mark.parametrize("window", [INITIAL_WINDOW - 1, MAX_WINDOW + 1])
def test_a_window_outside_its_bounds_is_refused(window: int) -> None:
    with pytest.raises(BadParameter):
        TunnelLimits(window=window)


def test_a_stream_beyond_the_limit_is_refused_and_the_last_one_is_not() -> None:
    multiplexer = opened(max_streams=2)
    assert multiplexer.receive(frame(DATA, SYN, 3), 0) == [Opened(3)]
    assert multiplexer.receive(frame(DATA, SYN, 5, payload=b"lost"), 0) == []
    assert output(multiplexer) == frame(WINDOW_UPDATE, RST, 5)


def test_streams_and_those_not_accepted_are_limited_on_the_side_that_opens() -> None:
    multiplexer = build(is_dialer=True, limits=TunnelLimits(max_streams=3, backlog=2))
    multiplexer.open()
    multiplexer.open()
    with pytest.raises(TunnelOverloaded, match="wait until the peer accepts"):
        multiplexer.open()
    output(multiplexer)
    multiplexer.receive(frame(WINDOW_UPDATE, ACK, 1), 0)
    multiplexer.open()
    output(multiplexer)
    multiplexer.receive(frame(WINDOW_UPDATE, ACK, 3), 0)
    with pytest.raises(TunnelOverloaded, match="3 streams"):
        multiplexer.open()


def test_a_tunnel_whose_numbers_are_used_up_opens_nothing() -> None:
    multiplexer = build(is_dialer=True)
    multiplexer._next_id = frames.MAX_STREAM_ID
    assert multiplexer.open() == frames.MAX_STREAM_ID
    with pytest.raises(TunnelClosed, match="used up"):
        multiplexer.open()


def test_hostile_47_a_flood_of_resets_is_cut() -> None:
    multiplexer = build(limits=TunnelLimits(max_resets=3))
    flood = [frame(DATA, SYN, number) + frame(WINDOW_UPDATE, RST, number) for number in (1, 3, 5, 7)]
    for pair in flood[:3]:
        assert not isinstance(multiplexer.receive(pair, 0)[-1], Violated)
    assert "opens and resets more than 3" in violation(multiplexer.receive(flood[3], 0))


def test_resets_long_after_each_other_are_no_flood() -> None:
    multiplexer = build(limits=TunnelLimits(max_resets=1))
    for count, number in enumerate((1, 3, 5)):
        events = multiplexer.receive(frame(DATA, SYN, number) + frame(WINDOW_UPDATE, RST, number), count * 11.0)
        assert events == [Opened(number), Reset(number, was_refused=False)]


def test_a_peer_that_asks_and_does_not_read_is_cut() -> None:
    multiplexer = build()
    pings = frame(PING, SYN, 0, 7) * (MAX_CONTROL // frames.HEADER_SIZE + 1)
    assert multiplexer.receive(pings, 0) == []
    assert "more answers than it reads" in violation(multiplexer.receive(frame(PING, SYN, 0, 7), 0))


def test_a_ping_is_answered_and_an_answer_told() -> None:
    multiplexer = build()
    multiplexer.receive(frame(PING, SYN, 0, 7), 0)
    assert output(multiplexer) == frame(PING, ACK, 0, 7)
    assert multiplexer.receive(frame(PING, ACK, 0, 9), 0) == [Ponged(9)]


def test_what_comes_late_for_a_stream_that_was_cut_is_thrown_away() -> None:
    multiplexer = opened()
    multiplexer.reset(1)
    assert multiplexer.receive(frame(DATA, 0, 1, payload=b"late") + frame(PING, ACK, 0, 1), 0) == [Ponged(1)]
    assert multiplexer.unread == 0


def test_the_stream_that_fills_the_buffers_is_cut_and_the_others_are_not() -> None:
    multiplexer = opened(max_session_unread=300_000)
    multiplexer.receive(frame(DATA, 0, 1, payload=bytes(200_000)) + frame(DATA, SYN, 3, payload=bytes(100_000)), 0)
    assert multiplexer.unread == 300_000
    events = multiplexer.receive(frame(DATA, 0, 3, payload=b"x"), 0)
    assert events == [Received(3, b"x"), Evicted(1)]
    assert multiplexer.unread == 100_001


def test_a_writer_is_cut_beyond_the_limit_of_the_stream_and_of_the_session() -> None:
    multiplexer = build(is_dialer=True, limits=TunnelLimits(max_stream_unsent=10, max_session_unsent=15))
    first, second = multiplexer.open(), multiplexer.open()
    multiplexer.write(first, bytes(10))
    with pytest.raises(TunnelOverloaded, match="stream 1"):
        multiplexer.write(first, b"x")
    multiplexer.write(second, bytes(5))
    with pytest.raises(TunnelOverloaded, match="the tunnel has too much"):
        multiplexer.write(second, b"x")


def test_after_a_goodbye_no_stream_is_opened_from_either_side() -> None:
    leaving, staying = opened(), build(is_dialer=True)
    leaving.go_away()
    goodbye = output(leaving)
    assert goodbye == frame(GO_AWAY, 0, 0, frames.NORMAL)
    assert leaving.receive(frame(DATA, SYN, 3), 0) == []
    assert output(leaving) == frame(WINDOW_UPDATE, RST, 3)
    assert leaving.receive(frame(DATA, 0, 1, payload=b"in flight"), 0) == [Received(1, b"in flight")]
    staying.receive(goodbye, 0)
    with pytest.raises(TunnelClosed, match="going away"):
        staying.open()


def test_an_unfinished_header_waits_for_its_rest() -> None:
    multiplexer = opened()
    data = frame(DATA, 0, 1, payload=b"abc")
    events = [event for byte in data for event in multiplexer.receive(bytes([byte]), 0)]
    assert events == [Received(1, b"a"), Received(1, b"b"), Received(1, b"c")]


def test_a_violation_is_a_closed_tunnel_to_who_catches_that() -> None:
    assert issubclass(ProtocolViolation, TunnelClosed)
