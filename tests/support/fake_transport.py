"""A transport without a socket: the test is the network."""

import asyncio


class FakeTransport(asyncio.Transport):
    """Keeps what is written; a peer that `stops_reading` lets everything pile up."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self._reads = True
        self.aborted = False
        self._closing = False
        self._protocol: asyncio.Protocol | None = None
        self._piles_up = False

    def connect(self, protocol: asyncio.Protocol) -> None:
        """Make a connection of it."""
        self._protocol = protocol
        protocol.connection_made(self)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let another protocol have the connection."""
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    @property
    def protocol(self) -> asyncio.Protocol:
        """Return who has the connection."""
        assert self._protocol is not None
        return self._protocol

    def stop_reading(self) -> None:
        """Let the peer read nothing more."""
        self._piles_up = True

    def read_again(self) -> None:
        """Let the peer read everything."""
        assert self._protocol is not None
        self._piles_up = False
        self._protocol.resume_writing()

    def lose(self) -> None:
        """Let the connection be gone."""
        assert self._protocol is not None
        self._closing = True
        self._protocol.connection_lost(None)

    @property
    def statuses(self) -> list[int]:
        """Return the statuses of all answers so far; their bodies must not look like answers."""
        return [int(part[:3]) for part in self.written.split(b"HTTP/1.1 ")[1:]]

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self._closing, "nothing is written to a connection that is closing"
        self.written += bytes(data)
        if self._piles_up and self._protocol is not None:
            self._protocol.pause_writing()

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True

    def abort(self) -> None:
        self._closing = self.aborted = True

    def is_reading(self) -> bool:
        return self._reads

    def pause_reading(self) -> None:
        assert not self._closing, "a connection that is closing is not read"
        self._reads = False

    def resume_reading(self) -> None:
        assert not self._closing, "a connection that is closing is not read"
        self._reads = True
