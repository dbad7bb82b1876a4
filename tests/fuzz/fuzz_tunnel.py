"""Feeds a tunnel what no peer sends: it is read or refused, within its limits, and however the bytes are cut."""

import sys
from contextlib import suppress

import atheris

with atheris.instrument_imports(include=["teleport.tunnel"]):
    from teleport.tunnel.errors import ProtocolViolation, TunnelClosed, TunnelOverloaded
    from teleport.tunnel.events import Event, Opened, Received
    from teleport.tunnel.limits import TunnelLimits
    from teleport.tunnel.multiplexer import Multiplexer
    from teleport.tunnel.preface import parse_preface

LIMITS = TunnelLimits(max_streams=8, backlog=4, max_session_unread=600_000, max_resets=5)


def try_bytes(data: bytes) -> None:
    """Read the bytes as a preface, and as a session at once and byte by byte."""
    with suppress(ProtocolViolation):
        parse_preface(data)
    whole = feed([data])
    pieces = feed([data[at : at + 1] for at in range(len(data))])
    if whole != pieces:
        raise AssertionError("how the bytes are cut changes what they mean")


def feed(pieces: list[bytes]) -> list[tuple[str, object]]:
    """Return what happened, without the borders between pieces of a payload."""
    multiplexer = Multiplexer(is_dialer=bool(pieces and pieces[0][:1] == b"\x01"), limits=LIMITS)
    try:
        multiplexer.write(multiplexer.open(), b"preface")
    except (TunnelClosed, TunnelOverloaded) as error:
        raise AssertionError("a new session opens a stream") from error
    multiplexer.take_output(1 << 20)
    told: list[tuple[str, object]] = []
    for piece in pieces:
        for event in multiplexer.receive(piece, 0.0):
            take(multiplexer, event, told)
        if multiplexer.unread > LIMITS.max_session_unread + len(piece) or multiplexer.stream_count > LIMITS.max_streams:
            raise AssertionError("a limit does not hold")
    return told


def take(multiplexer: Multiplexer, event: Event, told: list[tuple[str, object]]) -> None:
    """Note an event; streams with an even half are read, the others never."""
    if isinstance(event, Received):
        if event.stream_id // 2 % 2 == 0:
            multiplexer.consume(event.stream_id, len(event.data))
        if told and told[-1][0] == f"bytes of {event.stream_id}":
            told[-1] = (told[-1][0], bytes(told[-1][1]) + event.data)  # type: ignore[call-overload] # bytes, as put there
        else:
            told.append((f"bytes of {event.stream_id}", event.data))
        return
    told.append((type(event).__name__, repr(event)))
    if isinstance(event, Opened):
        multiplexer.accept(event.stream_id)


if __name__ == "__main__":
    atheris.Setup(sys.argv, try_bytes)
    atheris.Fuzz()
