"""From a connection's bytes to requests that were admitted or refused; no I/O happens here.

The parser is llhttp, which refuses what could be read in two ways. What a request may be is decided when its head is
there; a body comes with its length or not at all.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from teleport.web.call import Reply, RequestHead, Route
from teleport.web.errors import MalformedRequest, build_error_reply

MAX_TARGET = 4096
MAX_FIELD = 8192
MAX_FIELDS = 64
MAX_DISCARDED = 64 * 1024
"""A refused body of this length is read to its end, so that the connection may stay; a longer one ends it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer that is due: a reply that is there already, or a route that makes one of the body."""

    reply: Reply | None
    route: Route | None = None
    body: bytes = b""
    keep_alive: bool = False
    head_only: bool = False


class Incoming:
    """Reads the requests of one connection.

    Args:
        admit: returns the route of a request, or raises why it is refused.
    """

    __slots__ = (
        "_admit",
        "_body",
        "_fields",
        "_method",
        "_parser",
        "_progress",
        "_refusal",
        "_route",
        "_stalled",
        "_target",
        "broken",
        "turns",
    )

    def __init__(self, admit: Callable[[RequestHead], Route]) -> None:
        self.turns: deque[Turn] = deque()
        """What is due, in the order of the requests."""
        self.broken = False
        """Nothing more is read: the last turn says why."""
        self._admit = admit
        self._parser = HttpRequestParser(self)
        self._progress = False
        self._stalled = 0
        self._method = self._target = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._route: Route | None = None
        self._refusal: Reply | None = None

    @property
    def is_between_requests(self) -> bool:
        """Return whether no request has begun that is not complete."""
        return not (self._target or self._stalled or self.broken)

    @property
    def awaits_body(self) -> bool:
        """Return whether the rest of an admitted request's body is missing."""
        return self._route is not None

    def feed(self, data: bytes) -> None:
        """Read on; what is complete after that stands in `turns`."""
        if self.broken:
            return
        self._progress = False
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self.refuse_for_good(MalformedRequest("the request is not well-formed HTTP/1.1"))
        self._stalled = 0 if self._progress else self._stalled + len(data)
        if self._stalled > MAX_FIELD and self._route is None:
            self.refuse_for_good(MalformedRequest("a header is too long"))

    def refuse_for_good(self, error: Exception) -> None:
        """Make this the last turn; whatever else comes in is not read."""
        if not self.broken:
            self.broken = True
            self._route = None
            self.turns.append(Turn(build_error_reply(error)))

    def on_url(self, url: bytes) -> None:
        """Take in a part of the target; called by the parser, as all that follow."""
        self._progress = True
        self._target += url
        if len(self._target) > MAX_TARGET:
            self.refuse_for_good(MalformedRequest("the path is too long"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in one header."""
        self._progress = True
        self._fields.append((name, value))
        if len(name) + len(value) > MAX_FIELD or len(self._fields) > MAX_FIELDS:
            self.refuse_for_good(MalformedRequest("the headers are too many or too long"))

    def on_headers_complete(self) -> None:
        """Let the request in, or note why not."""
        self._progress = True
        if self.broken:
            return
        self._method = self._parser.get_method()
        fields = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self._fields}
        head = RequestHead(self._method.decode("latin-1"), self._target.decode("latin-1"), fields)
        try:
            self._route = self._admit(head)
        except Exception as error:  # noqa: BLE001 - the border: whatever it is becomes a status
            if isinstance(error, MalformedRequest) or head.content_length > MAX_DISCARDED:
                self.refuse_for_good(error)
            else:
                self._refusal = build_error_reply(error)

    def on_body(self, body: bytes) -> None:
        """Take in a part of the body, whose whole length was admitted."""
        self._progress = True
        if self._route is not None:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Put the request in line."""
        self._progress = True
        if self.broken:
            return
        turn = Turn(
            self._refusal,
            self._route,
            b"".join(self._body),
            keep_alive=self._parser.should_keep_alive() and self._parser.get_http_version() == "1.1",
            head_only=self._method == b"HEAD",
        )
        self.turns.append(turn)
        self._target = b""
        self._fields = []
        self._body = []
        self._route = self._refusal = None
