"""Two ends of a connection without a socket, and protocols that keep what they hear."""

import asyncio
from collections.abc import Callable

from teleport.tunnel.session import Session
from teleport.tunnel.stream import Stream


class PipeEnd(asyncio.Transport):
    """One end of a connection; what is written arrives in a later turn of the loop, in order."""

    def __init__(self, name: str, piece: int = 1 << 20) -> None:
        super().__init__()
        self.other: PipeEnd
        self.name = name
        self._piece = piece
        self._protocol: asyncio.Protocol = asyncio.Protocol()
        self._closing = self._lost = False
        self._reads = True
        self._inbox: list[bytes | None] = []
        self.written = 0

    def connect(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        protocol.connection_made(self)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("192.0.2.1", 1) if name == "peername" else default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self._closing
        self.written += len(data)
        raw = bytes(data)
        self.other.arrive(*(raw[at : at + self._piece] for at in range(0, len(raw), self._piece)))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.other.arrive(None)

    def arrive(self, *items: bytes | None) -> None:
        self._inbox += items
        asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        while self._inbox and self._reads and not self._closing:
            item = self._inbox.pop(0)
            if item is not None:
                self._protocol.data_received(item)
            elif not self._protocol.eof_received():
                self.close()

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self._reads

    def pause_reading(self) -> None:
        self._reads = False

    def resume_reading(self) -> None:
        self._reads = True
        asyncio.get_running_loop().call_soon(self._deliver)

    def close(self) -> None:
        if not self._closing:
            self.other.arrive(None)
            self._lose()

    def abort(self) -> None:
        self.close()

    def get_write_buffer_size(self) -> int:
        return 0

    def _lose(self) -> None:
        self._closing = True
        asyncio.get_running_loop().call_soon(self._tell_lost)

    def _tell_lost(self) -> None:
        if not self._lost:
            self._lost = True
            self._protocol.connection_lost(None)


def build_pipe(piece: int = 1 << 20) -> tuple[PipeEnd, PipeEnd]:
    """Return both ends of a connection."""
    near, far = PipeEnd("near", piece), PipeEnd("far", piece)
    near.other, far.other = far, near
    return near, far


class Heard(asyncio.Protocol):
    """Keeps what it hears."""

    def __init__(self, *, keeps_open: bool = False, echoes: bool = False) -> None:
        self.data = b""
        self.events: list[str] = []
        self.error: Exception | None = None
        self.transport: asyncio.Transport
        self._keeps_open = keeps_open
        self._echoes = echoes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        if self._echoes:
            self.transport.write(data)

    def eof_received(self) -> bool:
        self.events.append("eof")
        return self._keeps_open

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self.events.append("lost")


def build_tunnel(
    accept: Callable[[Stream], asyncio.Protocol] | None = None, piece: int = 1 << 20
) -> tuple[Session, Session]:
    """Return the dialer and the other side of a tunnel; the dialer opens streams and the other one accepts them."""
    near, far = build_pipe(piece)
    dialer, other = Session(is_dialer=True), Session(is_dialer=False, accept=accept)
    near.connect(dialer)
    far.connect(other)
    return dialer, other


async def settle(turns: int = 60) -> None:
    """Let everything happen that needs no time."""
    for _ in range(turns):
        await asyncio.sleep(0)
