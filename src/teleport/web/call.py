"""One exchange over HTTP as the floors above see it: who called with which bytes, and what is answered."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection, as the transport vouches for it.

    Args:
        remote_addr: the address the connection came from; headers that claim another are never read.
        certificate_der: the client certificate, verified by the handshake against the authorities of that moment.
    """

    remote_addr: str
    certificate_der: bytes | None = field(default=None, repr=False)

    @property
    def anonymous(self) -> bool:
        """Return whether no certificate was shown."""
        return self.certificate_der is None


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What a request says of itself before its body comes; all of it is unverified.

    Args:
        method: as it stands in the request line.
        target: the same; nothing in it is decoded.
        fields: the headers, by their names in lower case; of a name that is repeated the last.
    """

    method: str
    target: str
    fields: Mapping[str, str]

    @property
    def content_length(self) -> int:
        """Return how long the body will be; the parser has made sure that it is a number, and one only."""
        return int(self.fields.get("content-length", "0"))


@dataclass(frozen=True, slots=True)
class Call:
    """One request whose framing is sound and whose body is complete; the body itself is unverified."""

    peer: Peer
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back.

    Args:
        status: the HTTP status.
        body: the whole body.
        headers: further headers; names and values are ours, never a caller's.
        free_of_charge: an anonymous caller gets back what the request took from its rate, as for a join that succeeds.
    """

    status: int
    body: bytes = field(repr=False)
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    free_of_charge: bool = False


Handler = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Route:
    """One path and method, and who answers.

    Args:
        path: compared as it stands in the request line; nothing in it is decoded or matched by pattern.
        method: the only method that reaches the handler.
        handler: may raise any `TeleportError`.
        anonymous: callers without a certificate reach the handler, too.
        max_body: bytes; a longer body is refused unread.
    """

    path: str
    method: Literal["GET", "POST"]
    handler: Handler
    anonymous: bool
    max_body: int
