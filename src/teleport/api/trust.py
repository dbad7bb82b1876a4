"""How a client decides that the server is the one it means, before anything secret leaves.

aiohttp asks a `Fingerprint` about every new connection, before the first request goes out on it. `PinnedConnection`
uses that: it lets one connection live, remembers whose certificate it has, and refuses every further one.
"""

import asyncio
import hashlib
import ssl
from collections.abc import Sequence
from typing import Protocol

from teleport.clock import Clock
from teleport.errors import ConnectionFailed, TrustError
from teleport.lean_aiohttp import aiohttp
from teleport.pki.pins import check_auth_role, check_pins, verify_server_leaf
from teleport.web.tls import build_unverified_client_context

SERVER_NAME = "teleport.cluster.local"
"""The name in the certificate of every auth server and proxy, and of nobody else; it is not used for routing."""


class ServerTrust(Protocol):
    """What an HTTP client needs to know about the server that it may talk to."""

    def request_options(self) -> dict[str, object]:
        """Return the options of aiohttp's request that make it check the server."""
        ...

    def build_context(self) -> ssl.SSLContext:
        """Return the context for a connection that leads through others' hands; it is the same while trust is."""
        ...

    def check(self, transport: asyncio.Transport) -> None:
        """Look at who answers on such a connection, before anything is sent.

        Raises:
            TrustError: it is not an auth server that may be talked to; the connection is closed.
        """
        ...


class KnownAuthority:
    """The server's certificate must come from an authority that is known already.

    Args:
        context: made from the cluster's host CA certificates, and the caller's own certificate where it has one.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def replace(self, context: ssl.SSLContext) -> None:
        """Check new connections by another context; what is trusted or shown has changed."""
        self._context = context

    def request_options(self) -> dict[str, object]:
        """Return the context, and the name that only auth servers and proxies have."""
        return {"ssl": self._context, "server_hostname": SERVER_NAME}

    def build_context(self) -> ssl.SSLContext:
        """Return the context."""
        return self._context

    def check(self, transport: asyncio.Transport) -> None:
        """Make sure that it is an auth server: proxies are of the authority and carry the name as well.

        Raises:
            TrustError: it is not.
        """
        try:
            check_auth_role(_leaf_of(transport))
        except TrustError:
            transport.abort()
            raise


class PinnedConnection(aiohttp.Fingerprint):
    """One connection to a server that is not known yet, and will be held against the CA pins before it is trusted.

    Args:
        pins: the pins; empty means that whoever answers is trusted, which the caller must have been told to do.
    """

    def __init__(self, pins: Sequence[str]) -> None:
        super().__init__(hashlib.sha256(",".join(pins).encode()).digest())
        self._pins = tuple(pins)
        self._leaf: bytes | None = None
        self._context: ssl.SSLContext | None = None

    def request_options(self) -> dict[str, object]:
        """Return this object: aiohttp asks it about every new connection."""
        return {"ssl": self}

    def build_context(self) -> ssl.SSLContext:
        """Return a context that believes whoever answers, until `verify` is asked."""
        if self._context is None:
            self._context = build_unverified_client_context()
        return self._context

    def check(self, transport: asyncio.Transport) -> None:
        """Let the first connection pass and no other: a reconnect would talk to somebody who was not checked.

        Raises:
            TrustError: there was a connection before.
        """
        if self._leaf is not None:
            transport.close()
            raise TrustError("the connection broke between the check of the CA pin and the request; start over")
        self._leaf = _leaf_of(transport)

    def verify(self, ca_certificates: Sequence[str], *, cluster_name: str, clock: Clock) -> None:
        """Hold the server's CA certificates against the pins, and its own certificate against those.

        Raises:
            TrustError: a pin does not match, or this connection's certificate does not come from the pinned CA.
            BadParameter: a pin is malformed.
        """
        if self._leaf is None:
            raise TrustError("there is no connection to verify")
        if self._pins:
            check_pins(self._pins, ca_certificates)
        verify_server_leaf(self._leaf, ca_certificates, now=clock.now(), cluster_name=cluster_name)


def _leaf_of(transport: asyncio.Transport) -> bytes:
    return read_server_leaf(transport.get_extra_info("ssl_object"))


def read_server_leaf(tls: ssl.SSLObject) -> bytes:
    """Return the certificate that a server has shown.

    Raises:
        ConnectionFailed: the server has broken the connection off meanwhile.
        TrustError: it has shown none.
    """
    try:
        leaf = tls.getpeercert(binary_form=True)
    except ValueError as error:  # what OpenSSL says of a session that an alert has ended
        raise ConnectionFailed("the server broke off after the handshake; it may not trust our certificate") from error
    if leaf is None:
        raise TrustError("the server shows no certificate")
    return leaf
