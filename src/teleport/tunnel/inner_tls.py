"""TLS inside a transport that is a stream, a WebSocket or anything else; TLS 1.3, as the contexts of this project are.

Both directions end apart, as RFC 8446 6.1 allows: each by its close_notify.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from teleport.errors import ConnectionFailed, TeleportError, TrustError
from teleport.tunnel.layer import HANDSHAKE_TIMEOUT, Layer

CLOSE_TIMEOUT = timedelta(seconds=10)
_RECORD = 16 * 1024


class InnerTls(Layer):
    """TLS as the protocol of a transport.

    Args:
        context: who we are and whom we trust.
        server_side: which side of the handshake this is.
        server_hostname: the name that a client expects.
        protocol_factory: makes the protocol inside once the handshake is done.
        handshake_timeout: how long the handshake may take.
    """

    can_write_eof = True

    def __init__(
        self,
        *,
        context: ssl.SSLContext,
        server_side: bool,
        server_hostname: str | None = None,
        protocol_factory: Callable[[], asyncio.Protocol],
        handshake_timeout: timedelta = HANDSHAKE_TIMEOUT,
    ) -> None:
        super().__init__(
            "the TLS handshake",
            protocol_factory=protocol_factory,
            handshake_timeout=handshake_timeout,
            close_timeout=CLOSE_TIMEOUT,
        )
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )
        self._wrote_eof = self._read_eof = self._told_eof = False
        self._kept = b""
        """Bytes that were opened because the close_notify had to go out, and that nobody has read."""

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
        return super().get_extra_info(name, default)

    def begin(self) -> None:
        """Shake hands as far as that goes without the peer."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
        except (ssl.SSLError, ssl.CertificateError) as error:
            self._send()
            self.fail(_translate(error))
        else:
            self._send()
            self.open_up()
            self._read()

    def data_received(self, data: bytes) -> None:
        """Open what came."""
        if self.is_closing:
            return
        self._incoming.write(data)
        if self._transport is None:
            self.begin()
        else:
            self._read()

    def eof_received(self) -> bool:
        """Take an end without a close_notify for what it may be: somebody cut the bytes off."""
        if not self._read_eof and not self.is_closing:
            self.fail(ConnectionFailed("the connection ended without the close_notify of TLS"))
        return self._read_eof and not self.is_closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Seal bytes and send them."""
        if self._wrote_eof:
            raise RuntimeError("a TLS session is not written to after its end")
        if self.is_closing or not data:
            return
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            self.fail(_translate(error))
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
        self._close_outer()

    def fail(self, error: TeleportError) -> None:
        """End the connection; before the end of the handshake an alert tells the peer why, and later it is cut."""
        if self._transport is None:
            super().fail(error)
        else:
            self._error = self._error or error
            self.abort()

    def read_kept(self) -> None:
        """Give the protocol inside what has come and was left."""
        self._deliver_kept()
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
            self.fail(_translate(error))
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


def _translate(error: Exception) -> TeleportError:
    reason = getattr(error, "verify_message", None) or getattr(error, "reason", None) or "the handshake failed"
    return TrustError(f"TLS inside the tunnel: {reason}")
