import asyncio
from typing import Any

import pytest

from support.tunnels import Heard, build_pipe, build_tunnel, settle
from support.virtual_time import run_in_virtual_time
from teleport.errors import BadParameter, TooLarge
from teleport.tunnel import frames
from teleport.tunnel.errors import ProtocolViolation, TunnelClosed, TunnelOverloaded
from teleport.tunnel.limits import INITIAL_WINDOW, TunnelLimits
from teleport.tunnel.preface import MAX_PREFACE, PrefaceProtocol, render_preface
from teleport.tunnel.session import Session
from teleport.tunnel.stream import Stream

PREFACE = render_preface({"to": "app"})


class Door:
    """Accepts every stream and keeps its protocol."""

    def __init__(self, *, keeps_open: bool = False, echoes: bool = False) -> None:
        self.heard: list[Heard] = []
        self.prefaces: list[dict[str, Any]] = []
        self._options = {"keeps_open": keeps_open, "echoes": echoes}

    def accept(self, _: Stream) -> asyncio.Protocol:
        return PrefaceProtocol(self.choose)

    def choose(self, document: dict[str, Any], _: Stream) -> asyncio.Protocol:
        self.prefaces.append(document)
        self.heard.append(Heard(**self._options))
        return self.heard[-1]


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
async def test_a_stream_carries_bytes_both_ways_and_ends(piece: int) -> None:
    door = Door(echoes=True)
    dialer, other = build_tunnel(door.accept, piece)
    near = Heard()
    stream = await dialer.open(PREFACE, lambda: near)
    stream.write(b"hello")
    stream.write_eof()
    await settle()
    assert door.prefaces == [{"to": "app"}]
    assert door.heard[0].data == near.data == b"hello"
    assert door.heard[0].events == ["made", "eof", "lost"]
    assert near.events == ["made", "eof", "lost"]
    assert near.error is None
    assert dialer.stream_count == other.stream_count == 0


async def test_one_direction_may_end_before_the_other() -> None:
    door = Door(keeps_open=True)
    dialer, _ = build_tunnel(door.accept)
    near = Heard()
    stream = await dialer.open(PREFACE, lambda: near)
    stream.write_eof()
    await settle()
    assert door.heard[0].events == ["made", "eof"]
    door.heard[0].transport.write(b"late answer")
    door.heard[0].transport.close()
    await settle()
    assert near.data == b"late answer"
    with pytest.raises(RuntimeError):
        stream.write(b"after the end")


async def test_a_reader_that_pauses_stops_the_writer_and_loses_nothing() -> None:
    door = Door()
    dialer, other = build_tunnel(door.accept)
    near = Heard()
    stream = await dialer.open(PREFACE, lambda: near)
    await settle()
    door.heard[0].transport.pause_reading()
    sent = bytes(range(256)) * 4096
    stream.write(sent)
    await settle()
    assert near.events == ["made", "pause"]
    assert door.heard[0].data == b""
    assert other._multiplexer.unread <= INITIAL_WINDOW
    door.heard[0].transport.resume_reading()
    await settle()
    assert door.heard[0].data == sent
    assert near.events == ["made", "pause", "resume"]


async def test_a_paused_reader_gets_what_followed_the_preface_and_then_the_end() -> None:
    class Paused(Heard):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.transport.pause_reading()

    paused = Paused()
    dialer, other = build_tunnel(lambda _: PrefaceProtocol(lambda _document, _stream: paused))
    stream = await dialer.open(PREFACE + b"first", Heard)
    stream.write(b" second")
    stream.close()
    await settle()
    assert paused.data == b""
    paused.transport.resume_reading()
    await settle()
    assert paused.data == b"first second"
    assert paused.events == ["made", "eof", "lost"]
    assert other._multiplexer.unread == other.stream_count == 0


async def test_a_stream_that_is_cut_is_lost_on_the_other_side_with_an_error() -> None:
    door = Door()
    dialer, other = build_tunnel(door.accept)
    stream = await dialer.open(PREFACE, Heard)
    await settle()
    stream.abort()
    await settle()
    assert isinstance(door.heard[0].error, TunnelClosed)
    assert dialer.stream_count == other.stream_count == 0


async def test_a_refused_stream_is_lost_as_overloaded() -> None:
    def refuse(_: Stream) -> asyncio.Protocol:
        raise BadParameter("no")

    for accept in (None, refuse):
        dialer, _ = build_tunnel(accept)
        near = Heard()
        await dialer.open(PREFACE, lambda near=near: near)  # type: ignore[misc] # bound in the loop
        await settle()
        assert isinstance(near.error, TunnelOverloaded)
        assert dialer.is_usable


async def test_a_protocol_that_fails_loses_its_stream_and_no_other() -> None:
    class Broken(Heard):
        def data_received(self, data: bytes) -> None:
            raise ValueError(data)

    broken, sound = Broken(), Heard()
    protocols: list[Heard] = [broken, sound]
    dialer, _ = build_tunnel(lambda _: protocols.pop(0))
    near = Heard()
    await dialer.open(b"first", lambda: near)
    await dialer.open(b"second", Heard)
    await settle()
    assert isinstance(broken.error, ValueError)
    assert isinstance(near.error, TunnelClosed)
    assert sound.data == b"second"


async def test_a_tunnel_that_is_lost_ends_all_its_streams() -> None:
    door = Door()
    dialer, other = build_tunnel(door.accept)
    near = Heard()
    await dialer.open(PREFACE, lambda: near)
    await settle()
    other.abort()
    await asyncio.gather(dialer.closed(), other.closed())
    await settle()
    assert isinstance(near.error, TunnelClosed)
    assert isinstance(door.heard[0].error, TunnelClosed)
    with pytest.raises(TunnelClosed):
        await dialer.open(PREFACE, Heard)


async def test_a_peer_that_breaks_the_protocol_is_told_goodbye_and_left() -> None:
    near, far = build_pipe()
    session, peer = Session(is_dialer=False), Heard()
    near.connect(peer)
    far.connect(session)
    near.write(b"GET / HTTP/1.1\r\n")
    await session.closed()
    assert isinstance(session.error, ProtocolViolation)
    await settle()
    assert peer.data == frames.render_header(frames.GO_AWAY, 0, 0, frames.PROTOCOL_ERROR)


async def test_what_is_in_flight_when_one_side_says_goodbye_is_done_to_its_end() -> None:
    door = Door(echoes=True)
    dialer, other = build_tunnel(door.accept)
    near = Heard()
    stream = await dialer.open(PREFACE, lambda: near)
    await settle()
    other.go_away()
    drained = asyncio.create_task(other.drained())
    await settle()
    assert dialer.is_going_away
    assert not dialer.is_usable
    assert not drained.done()
    with pytest.raises(TunnelClosed):
        await dialer.open(PREFACE, Heard)
    stream.write(b"the rest")
    stream.write_eof()
    await drained
    assert near.data == b"the rest"


async def test_openings_wait_while_the_peer_has_too_many_to_accept() -> None:
    door = Door()
    near, far = build_pipe()
    dialer = Session(is_dialer=True, limits=TunnelLimits(backlog=1, max_streams=3))
    far.pause_reading()
    near.connect(dialer)
    await dialer.open(PREFACE, Heard)
    second = asyncio.create_task(dialer.open(PREFACE, Heard))
    third = asyncio.create_task(dialer.open(PREFACE, Heard))
    await settle()
    assert not second.done()
    with pytest.raises(TunnelOverloaded):
        await dialer.open(PREFACE, Heard)
    far.connect(Session(is_dialer=False, accept=door.accept))
    far.resume_reading()
    await asyncio.gather(second, third)


def test_a_silent_peer_is_given_up() -> None:
    async def work() -> None:
        near, far = build_pipe()
        session = Session(is_dialer=True)
        near.connect(session)
        far.connect(Heard())
        await session.closed()
        assert "sent nothing" in str(session.error)

    run_in_virtual_time(work())


def test_a_peer_that_answers_is_kept() -> None:
    async def work() -> None:
        near, far = build_pipe()
        session = Session(is_dialer=True)
        near.connect(session)
        far.connect(Session(is_dialer=False))
        await asyncio.sleep(1000)
        assert session.is_usable
        assert session.latency is not None
        session.abort()

    run_in_virtual_time(work())


@pytest.mark.parametrize("raw", [b"\x10\x01" + bytes(5000), b"\x00\x02[]", b"\x00\x01{"])
async def test_a_preface_that_is_none_cuts_the_stream(raw: bytes) -> None:
    door = Door()
    dialer, _ = build_tunnel(door.accept)
    near = Heard()
    await dialer.open(raw, lambda: near)
    await settle()
    assert isinstance(near.error, TunnelClosed)
    assert door.prefaces == []


def test_a_preface_may_have_four_kibibytes_and_no_more() -> None:
    frame = len(render_preface({"a": ""})) - 2
    assert len(render_preface({"a": "x" * (MAX_PREFACE - frame)})) == MAX_PREFACE + 2
    with pytest.raises(TooLarge):
        render_preface({"a": "x" * (MAX_PREFACE - frame + 1)})
