"""One exchange over HTTP as the floors above see it: who called with which bytes, and what is answered."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal
from urllib.parse import parse_qsl

JSON = "application/json"
MAX_PARAMETERS = 64
"""Of a query or of a cookie header; more are none."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection, as the transport vouches for it.

    Args:
        remote_addr: the address the connection came from; a header that claims another is believed only where the
            operator has said that one load balancer stands in between.
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
    """What a request says of itself before its body comes; all of it is unverified, and some of it may be secret.

    Args:
        method: as it stands in the request line.
        target: the same; nothing in it is decoded.
        fields: the headers, by their names in lower case; those that are repeated are one list (RFC 9110, 5.3).
    """

    method: str
    target: str = field(repr=False)
    fields: Mapping[str, str] = field(repr=False)

    @property
    def content_length(self) -> int:
        """Return how long the body will be; the parser has made sure that it is a number, and one only."""
        return int(self.fields.get("content-length", "0"))

    @property
    def path(self) -> str:
        """Return the target without its query; nothing in it is decoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> Mapping[str, str]:
        """Return the query's parameters, decoded; one that stands there twice is none."""
        try:
            pairs = parse_qsl(self.target.partition("?")[2], keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
        except ValueError:  # too many
            return {}
        return _keep_single(pairs)

    @property
    def cookies(self) -> Mapping[str, str]:
        """Return the cookies; one that stands there twice is none, since nobody can tell which of them we have set."""
        pairs = [pair.strip().partition("=") for pair in self.fields.get("cookie", "").split(";", MAX_PARAMETERS)]
        return _keep_single((name, value) for name, equals, value in pairs if equals)

    @property
    def host(self) -> str:
        """Return the host that is asked for, in lower case and without a port (RFC 9110, 7.2)."""
        return parse_host(self.fields.get("host", ""))


NO_HEAD = RequestHead("", "", MappingProxyType({}))


def parse_host(text: str) -> str:
    """Return a Host header's host in lower case, without port, brackets, and the dot that may end a full name."""
    text = text.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].removesuffix(".")


def _keep_single(pairs: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    known = list(pairs)
    count = Counter(name for name, _ in known)
    return {name: value for name, value in known if count[name] == 1}


@dataclass(frozen=True, slots=True)
class Call:
    """One request whose framing is sound and whose body is complete; the body itself is unverified."""

    peer: Peer
    body: bytes = field(repr=False)
    head: RequestHead = NO_HEAD

    @property
    def parameter(self) -> str:
        """Return the path's last segment, which a route that ends in `/*` has checked and every other has fixed."""
        return self.head.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back.

    Args:
        status: the HTTP status.
        body: the whole body.
        headers: further headers; names and values are ours, never a caller's.
        free_of_charge: an anonymous caller gets back what the request took from its rate, as for a join that succeeds.
        cache_control: how long others may remember the answer.
        parts: a long body piece by piece, in place of `body`; the next piece is asked for when the peer has read.
        length: of all parts together, in bytes.
    """

    status: int
    body: bytes = field(default=b"", repr=False)
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    free_of_charge: bool = False
    cache_control: str = "no-store"
    parts: AsyncGenerator[bytes, None] | None = field(default=None, repr=False)
    length: int = 0


Handler = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Route:
    """One path and method, and who answers.

    Args:
        path: compared as it stands in the request line, nothing in it is decoded; where it ends in `/*`, one further
            segment of letters, digits, dots, dashes and underscores stands in the place of the star.
        method: the only method that reaches the handler.
        handler: may raise any `TeleportError`.
        anonymous: callers without a certificate reach the handler, too.
        max_body: bytes; a longer body is refused unread.
        accepts: the media type that a POST must have.
        is_page: as browsers and tools ask for it: by HEAD as well, and with a query.
        is_unlimited: strangers may ask as often as they like, because the answer costs next to nothing.
        explain: words a refusal for those who ask here, where JSON is not for them.
    """

    path: str
    method: Literal["GET", "POST", "DELETE"]
    handler: Handler
    anonymous: bool
    max_body: int
    accepts: str = JSON
    is_page: bool = False
    is_unlimited: bool = False
    explain: Callable[[Exception], Reply] | None = None


@dataclass(frozen=True, slots=True)
class Upgrade:
    """One path at which a connection becomes a WebSocket's (RFC 6455), whose bytes are of no interest to HTTP.

    Args:
        path: as a route's, without a star.
        connect: makes the protocol that goes on after the answer 101, told the request, who asks, and what to call
            when the connection is gone.
        anonymous: callers without a certificate may have it, too.
    """

    path: str
    connect: Callable[[RequestHead, Peer, Callable[[], None]], asyncio.Protocol]
    anonymous: bool


@dataclass(frozen=True, slots=True)
class Takeover:
    """The connection is another protocol's from here on.

    Args:
        connect: makes that protocol; told what to call when the connection is gone.
        greeting: what is answered first. Without one the protocol gets the request as well, which must be the
            connection's first.
    """

    connect: Callable[[Callable[[], None]], asyncio.Protocol]
    greeting: bytes = b""
