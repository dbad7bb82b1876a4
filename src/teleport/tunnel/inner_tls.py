"""TLS inside a transport that is a stream, a WebSocket or anything else; TLS 1.3, as the contexts of this project are.

Both directions end apart, as RFC 8446 6.1 allows: each by its close_notify.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, cast

from teleport.errors import ConnectionFailed, TeleportError, TrustError

HANDSHAKE_TIMEOUT = timedelta(seconds=10)
CLOSE_TIMEOUT = timedelta(seconds=10)
"""For so long a peer may leave the rest unread after the transport was closed."""
_RECORD = 16 * 1024


class TlsTransport(asyncio.Transport):
    """What the protocol inside writes to."""

    __slots__ = ("_tls",)

    def __init__(self, tls: "InnerTls") -> None:
        super().__init__()
        self._tls = tls

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's signature
        """Return what TLS knows, and else what the transport outside knows."""
        return self._tls.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand what comes to another protocol."""
        self._tls.protocol = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return who gets what comes."""
        return self._tls.protocol

    def is_closing(self) -> bool:
        """Return whether the transport is closed or about to be."""
        return self._tls.is_closing

    def close(self) -> None:
        """Send what was written and a close_notify, and be done."""
        self._tls.close()

    def abort(self) -> None:
        """Cut the transport outside."""
        self._tls.abort()

    def is_reading(self) -> bool:
        """Return whether the protocol gets what comes."""
        return self._tls.is_reading

    def pause_reading(self) -> None:
        """Leave what comes to the transport outside."""
        self._tls.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._tls.resume_reading()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Seal bytes and send them."""
        self._tls.write(data)

    def can_write_eof(self) -> bool:
        """Return that one direction can be ended."""
        return True

    def write_eof(self) -> None:
        """Send a close_notify; the peer may go on."""
        self._tls.write_eof()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the limits of the transport outside, which holds the buffer."""
        self._tls.outer.set_write_buffer_limits(high, low)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the limits of the transport outside."""
        return self._tls.outer.get_write_buffer_limits()

    def get_write_buffer_size(self) -> int:
        """Return how many sealed bytes have not left yet."""
        return self._tls.outer.get_write_buffer_size()


class InnerTls(asyncio.Protocol):
    """TLS as the protocol of a transport.

    Args:
        context: who we are and whom we trust.
        server_side: which side of the handshake this is.
        server_hostname: the name that a client expects.
        protocol_factory: makes the protocol inside once the handshake is done.
        handshake_timeout: how long the handshake may take.
    """

    def __init__(
        self,
        *,
        context: ssl.SSLContext,
        server_side: bool,
        server_hostname: str | None = None,
        protocol_factory: Callable[[], asyncio.Protocol],
        handshake_timeout: timedelta = HANDSHAKE_TIMEOUT,
    ) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )
        self._factory = protocol_factory
        self._timeout = handshake_timeout.total_seconds()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: TlsTransport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._gone = self._wrote_eof = self._read_eof = self._told_eof = False
        self._kept = b""
        """Bytes that were opened because the close_notify had to go out, and that nobody has read."""
        self.outer: asyncio.Transport
        self.protocol: asyncio.Protocol = asyncio.Protocol()
        self.is_reading = True
        self.is_closing = False

    async def established(self) -> TlsTransport:
        """Return the transport inside when the handshake is done.

        Raises:
            TrustError: one side does not trust the other.
            ConnectionFailed: the connection broke, or the peer was too slow.
        """
        if self._transport is None and not self._gone:
            self._waiter = self._waiter or self._loop.create_future()
            await asyncio.shield(self._waiter)
        if self._transport is None:
            if isinstance(self._error, TeleportError):
                raise self._error
            raise ConnectionFailed("the connection broke within the TLS handshake") from self._error
        return self._transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's signature
        """Return what TLS knows, and else what the transport outside knows."""
        match name:
            case "ssl_object":
                return self._tls
            case "sslcontext":
                return self._tls.context
            case "peercert":
                return self._tls.getpeercert()
            case "cipher":
                return self._tls.cipher()
        return self.outer.get_extra_info(name, default)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self.outer = cast("asyncio.Transport", transport)
        self._timer = self._loop.call_later(self._timeout, self._give_up)
        self._shake_hands()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        self._gone = self.is_closing = True
        self._stop_waiting()
        self._error = self._error or exc
        if self._transport is not None:
            self.protocol.connection_lost(self._error)

    def data_received(self, data: bytes) -> None:
        """Open what came."""
        if self.is_closing:
            return
        self._incoming.write(data)
        if self._transport is None:
            self._shake_hands()
        else:
            self._read()

    def eof_received(self) -> bool:
        """Take an end without a close_notify for what it may be: somebody cut the bytes off."""
        if not self._read_eof and not self.is_closing:
            self._fail(ConnectionFailed("the connection ended without the close_notify of TLS"))
        return self._read_eof and not self.is_closing

    def pause_writing(self) -> None:
        """Pass the pressure on."""
        if self._transport is not None:
            self.protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that it is over."""
        if self._transport is not None:
            self.protocol.resume_writing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Seal bytes and send them."""
        if self._wrote_eof:
            raise RuntimeError("a TLS session is not written to after its end")
        if self.is_closing or not data:
            return
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            self._fail(_translate(error))
            return
        self._send()

    def write_eof(self) -> None:
        """Send a close_notify."""
        if self._wrote_eof or self.is_closing:
            return
        self._kept += self._open_all()  # the library looks for the peer's close_notify, and wants nothing before it
        if not self.is_closing:
            self._wrote_eof = True
            self._say_end()
            self._deliver_kept()

    def close(self) -> None:
        """Send a close_notify, and close the transport outside."""
        if self.is_closing:
            return
        self.is_closing = True
        if not self._wrote_eof and self._transport is not None:
            self._wrote_eof = True
            self._say_end()
        self.outer.close()
        self._timer = self._loop.call_later(CLOSE_TIMEOUT.total_seconds(), self.outer.abort)

    def abort(self) -> None:
        """Cut the transport outside."""
        self.is_closing = True
        self.outer.abort()

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

    def _read_again(self) -> None:
        if self.is_reading and not self.is_closing:
            self._deliver_kept()
            self._read()
        if self.is_reading and not self.is_closing:
            self.outer.resume_reading()

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
        except (ssl.SSLError, ssl.CertificateError) as error:
            self._send()
            self._fail(_translate(error))
        else:
            self._send()
            self._begin()

    def _begin(self) -> None:
        self._transport = TlsTransport(self)
        self._stop_waiting()
        self.protocol = self._factory()
        self.protocol.connection_made(self._transport)
        self._read()

    def _read(self) -> None:
        if self.is_reading and not self.is_closing:
            self._deliver(self._open_all())
            if self.is_reading:
                self._deliver_end()

    def _open_all(self) -> bytes:
        """Open every record that has come."""
        records = []
        try:
            while not self._read_eof:
                record = self._tls.read(_RECORD)
                self._read_eof = not record
                records.append(record)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._read_eof = True
        except ssl.SSLError as error:
            self._fail(_translate(error))
        return b"".join(records)

    def _deliver(self, data: bytes) -> None:
        if data and not self.is_closing:
            self.protocol.data_received(data)

    def _deliver_kept(self) -> None:
        if self.is_reading:
            kept, self._kept = self._kept, b""
            self._deliver(kept)

    def _deliver_end(self) -> None:
        if self._read_eof and not self.is_closing and not self._told_eof:
            self._told_eof = True
            if not self.protocol.eof_received():
                self.close()

    def _say_end(self) -> None:
        with suppress(ssl.SSLError):  # it wants the peer's close_notify, which comes when the peer is done
            self._tls.unwrap()
        self._send()

    def _send(self) -> None:
        if self._outgoing.pending:
            self.outer.write(self._outgoing.read())

    def _give_up(self) -> None:
        self._fail(ConnectionFailed(f"the TLS handshake took longer than {self._timeout:g} seconds"))

    def _fail(self, error: TeleportError) -> None:
        self._error = self._error or error
        self.is_closing = True
        if self._transport is None:
            self.outer.close()  # the alert tells the peer why
            self._gone = True
            self._stop_waiting()
            self._timer = self._loop.call_later(CLOSE_TIMEOUT.total_seconds(), self.outer.abort)
        else:
            self.outer.abort()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _translate(error: Exception) -> TeleportError:
    reason = getattr(error, "verify_message", None) or getattr(error, "reason", None) or "the handshake failed"
    return TrustError(f"TLS inside the tunnel: {reason}")
