"""From a connection's bytes to requests that were admitted or refused; no I/O happens here.

The parser is llhttp, which refuses what could be read in two ways. What a request may be is decided when its head is
there; a body comes with its length or not at all. After a request that is refused for good, or that wants to be the
last, not a byte is interpreted.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import NoReturn

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from teleport.web.call import NO_HEAD, Reply, RequestHead, Route, Takeover
from teleport.web.errors import MalformedRequest, build_error_reply

MAX_TARGET = 4096
MAX_FIELD = 8192
MAX_FIELDS = 64
MAX_DISCARDED = 64 * 1024
"""Bytes; a refused body of this length is read to its end, so that the connection may stay; a longer one ends it."""
_VERSION = "1.1"


class _Enough(Exception):
    """Stops the parser where it is."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer that is due.

    Args:
        reply: the answer, where the request was refused.
        route: makes the answer otherwise.
        takeover: or takes the connection, with the `leftover` that was read.
        head: the request's.
        body: what the request brought for it.
        keep_alive: whether the connection lives on after the answer.
        head_only: whether the answer's body is left out.
        unread: whether the peer may still be sending what nobody will read.
    """

    reply: Reply | None
    route: Route | None = None
    takeover: Takeover | None = None
    head: RequestHead = NO_HEAD
    body: bytes = b""
    keep_alive: bool = False
    head_only: bool = False
    unread: bool = False


class Incoming:
    """Reads the requests of one connection.

    Args:
        admit: returns the route of a request or who takes the connection, or raises why it is refused.
        is_first: whether the connection's first request is still to come.
    """

    __slots__ = (
        "_admit",
        "_begun",
        "_body",
        "_fields",
        "_head",
        "_is_first",
        "_method",
        "_parser",
        "_progress",
        "_raw",
        "_refusal",
        "_route",
        "_stalled",
        "_takeover",
        "_target",
        "awaits_continue",
        "ended",
        "leftover",
        "turns",
    )

    def __init__(self, admit: Callable[[RequestHead], Route | Takeover], *, is_first: bool = False) -> None:
        self.turns: deque[Turn] = deque()
        """What is due, in the order of the requests."""
        self.ended = False
        """Nothing more is read: the last turn is the connection's last."""
        self.awaits_continue = False
        """The peer sends its body only when it is told to (RFC 9110, 10.1.1)."""
        self.leftover = b""
        """What was read and belongs to whoever takes the connection."""
        self._is_first = is_first
        self._raw = bytearray()
        """The first request so far, which goes to whoever takes the connection with it."""
        self._takeover: Takeover | None = None
        self._admit = admit
        self._parser = HttpRequestParser(self)
        self._progress = False
        self._stalled = 0
        self._start_over()

    def _start_over(self) -> None:
        """Forget the request that was read."""
        self._begun = False
        self._method = self._target = b""
        self._head = NO_HEAD
        self._fields: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._route: Route | None = None
        self._refusal: Reply | None = None

    @property
    def is_between_requests(self) -> bool:
        """Return whether nothing of a next request is there, and one may come."""
        return not (self._begun or self.ended)

    @property
    def awaits_body(self) -> bool:
        """Return whether a head is complete and the rest of its body is missing."""
        return self._route is not None or self._refusal is not None

    def feed(self, data: bytes) -> None:
        """Read on; what is complete after that stands in `turns`."""
        if self.ended:
            if self._takeover is not None:
                self.leftover += data
            return
        self._progress = False
        if self._is_first:
            self._raw += data
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self.leftover = data[upgrade.args[0] :]
        except HttpParserError:
            self.refuse_for_good(MalformedRequest("the request is not well-formed HTTP/1.1"))
        self._stalled = 0 if self._progress else self._stalled + len(data)
        if self._stalled > MAX_FIELD:
            self.refuse_for_good(MalformedRequest("a header is too long"))

    def refuse_for_good(self, error: Exception) -> None:
        """Make this the last turn, unless the last one is there already."""
        if not self.ended:
            head_only = self._method == b"HEAD"
            self._start_over()
            self._end(Turn(build_error_reply(error), head_only=head_only, unread=True))

    def close(self) -> None:
        """Let go of the parser, which holds this object in turn; nothing may be fed after that."""
        del self._parser

    def on_message_begin(self) -> None:
        """Note that a request begins; called by the parser, as all that follow."""
        self._begun = True

    def on_url(self, url: bytes) -> None:
        """Take in a part of the target."""
        self._progress = True
        self._target += url
        if len(self._target) > MAX_TARGET:
            self._stop(MalformedRequest("the path is too long"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in one header."""
        self._progress = True
        self._fields.append((name, value))
        if len(name) + len(value) > MAX_FIELD or len(self._fields) > MAX_FIELDS:
            self._stop(MalformedRequest("the headers are too many or too long"))

    def on_headers_complete(self) -> None:
        """Let the request in, or note why not."""
        self._progress = True
        self._method = self._parser.get_method()
        fields = _join_fields(self._fields)
        self._head = head = RequestHead(self._method.decode("latin-1"), self._target.decode("latin-1"), fields)
        hosts = sum(name.lower() == b"host" for name, _ in self._fields)
        if hosts > 1 or (hosts == 0 and self._speaks_current_version()):
            self._stop(MalformedRequest("a request must name one host (RFC 9112, 3.2)"))
        upgrades = self._parser.should_upgrade()
        try:
            decision = self._admit(head)
        except Exception as error:  # noqa: BLE001 - the border: whatever it is becomes a status
            if isinstance(error, MalformedRequest) or upgrades or not _is_body_short(head):
                self._stop(error)
            self._refusal = build_error_reply(error)
        else:
            self._take_in(decision, upgrades=upgrades)
        self._is_first, self._raw = False, bytearray()
        expects = fields.get("expect", "").lower() == "100-continue"
        self.awaits_continue = expects and head.content_length > 0 and self._speaks_current_version()

    def _take_in(self, decision: Route | Takeover, *, upgrades: bool) -> None:
        """Note who answers, or let the connection be taken."""
        if isinstance(decision, Route):
            if upgrades:
                self._stop(MalformedRequest("HTTP/1.1 is the only protocol here"))
            self._route = decision
        elif decision.greeting:
            if not (upgrades and self._speaks_current_version()):
                self._stop(MalformedRequest("the upgrade is malformed"))
            self._takeover = decision
        else:
            if not self._is_first:
                status = HTTPStatus.MISDIRECTED_REQUEST
                self._stop(MalformedRequest("this connection is for another host; open one for this", status))
            self._takeover, self.leftover = decision, bytes(self._raw)
            self._end(Turn(None, takeover=decision))
            raise _Enough

    def on_body(self, body: bytes) -> None:
        """Take in a part of the body, whose whole length was admitted."""
        self._progress = True
        self.awaits_continue = False
        if self._route is not None:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Put the request in line."""
        self._progress = True
        keep_alive = self._parser.should_keep_alive() and self._speaks_current_version()
        turn = Turn(
            self._refusal,
            self._route,
            self._takeover,
            self._head,
            b"".join(self._body),
            keep_alive=keep_alive,
            head_only=self._method == b"HEAD",
        )
        self._start_over()
        if turn.takeover is not None:
            self._end(turn)  # and the parser says where HTTP stops
            return
        if keep_alive:
            self.turns.append(turn)
        else:
            self._end(turn)
            raise _Enough

    def _speaks_current_version(self) -> bool:
        version: str = self._parser.get_http_version()
        return version == _VERSION

    def _end(self, last: Turn) -> None:
        self.ended = True
        self.awaits_continue = False
        self.turns.append(last)

    def _stop(self, error: Exception) -> NoReturn:
        self.refuse_for_good(error)
        raise _Enough


def _join_fields(fields: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers by name; what is repeated becomes a list, which nobody takes where one value must stand."""
    joined: dict[str, str] = {}
    for raw_name, raw_value in fields:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        separator = "; " if name == "cookie" else ", "
        joined[name] = joined[name] + separator + value if name in joined else value
    return joined


def _is_body_short(head: RequestHead) -> bool:
    """Return whether a refused body ends soon, and is sent without asking."""
    open_ended = "transfer-encoding" in head.fields or "expect" in head.fields
    return not open_ended and head.content_length <= MAX_DISCARDED
