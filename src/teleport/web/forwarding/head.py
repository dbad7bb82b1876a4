"""The head of a request or of an answer, read from its bytes.

llhttp reads it in its strict mode, so that there are no two readings of where a message ends (RFC 9112, 11.2); what it
leaves open is refused here: other versions, other forms of a target than a path, any number of hosts but one.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, HttpResponseParser

from teleport.errors import ConnectionFailed
from teleport.web.errors import MalformedRequest

Field = tuple[bytes, bytes, bytes]
"""A header: its name in lower case, its name as it was sent, and its value."""

END = b"\r\n\r\n"
NO_BODY = -1
"""Nothing follows the head, and the head says nothing of a length."""
CHUNKED = -2
UNTIL_CLOSE = -3

_HOST = re.compile(rb"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_VERSIONS = frozenset({"1.0", "1.1"})
_REFUSED_METHODS = frozenset({b"CONNECT", b"TRACE"})
_ALLOWED = (("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),)
_BODILESS = frozenset({204, 304})


@dataclass(slots=True)
class RequestHead:
    """A request without its body; all of it is unverified. It is not frozen, since that costs as much as its reading.

    Args:
        method: as it was sent.
        target: a path with its query, or `*`; nothing in it is decoded.
        host: the value of the only Host header.
        host_name: the same in lower case and without the port.
        fields: all headers in their order.
        body: its length in bytes, `CHUNKED` or `NO_BODY`.
        named: the headers that Connection names; they concern this connection alone.
        upgrade: the protocols that the client would rather speak, or nothing.
        keep_alive: whether the client may send another request on this connection.
        is_current: whether it is HTTP/1.1 and not 1.0.
    """

    method: bytes
    target: bytes
    host: bytes
    host_name: bytes
    fields: list[Field]
    body: int
    named: frozenset[bytes]
    upgrade: bytes
    keep_alive: bool
    is_current: bool

    def get(self, name: bytes) -> bytes | None:
        """Return the value of the first header of a name in lower case."""
        return next((value for key, _, value in self.fields if key == name), None)

    def get_cookie(self, name: bytes) -> bytes | None:
        """Return the value of the first cookie of a name (RFC 6265, 5.4)."""
        for key, _, value in self.fields:
            if key == b"cookie" and name in value:
                for pair in value.split(b";"):
                    found, equals, content = pair.strip().partition(b"=")
                    if equals and found == name:
                        return content
        return None


@dataclass(slots=True)
class AnswerHead:
    """An answer without its body.

    Args:
        status: the HTTP status.
        reason: the text beside it.
        fields: all headers in their order.
        body: its length in bytes, `CHUNKED`, `UNTIL_CLOSE` or `NO_BODY`.
        length: what Content-Length says, which an answer to HEAD may say of a body that is not there.
        named: the headers that Connection names.
        upgrade: the protocol that is spoken from now on, if the status is 101.
        keep_alive: whether the connection may carry another request.
    """

    status: int
    reason: bytes
    fields: list[Field]
    body: int
    length: int | None
    named: frozenset[bytes]
    upgrade: bytes
    keep_alive: bool


def parse_request_head(data: bytes, max_fields: int) -> RequestHead:
    """Read a request's head, which ends with its empty line.

    Raises:
        MalformedRequest: it is not HTTP/1.1, could be read in two ways, or is nothing for an application.
    """
    collector = _Collector()
    parser = HttpRequestParser(collector)
    try:
        parser.feed_data(data)
    except HttpParserUpgrade:
        pass
    except HttpParserError as error:
        raise MalformedRequest("the request is not well-formed HTTP/1.1") from error
    facts = _Facts(collector.fields)
    method: bytes = parser.get_method()
    version = parser.get_http_version()
    is_current = version == "1.1"
    if not collector.is_complete or version not in _VERSIONS:
        raise MalformedRequest("the request is not well-formed HTTP/1.1")
    if method in _REFUSED_METHODS:
        raise MalformedRequest("the method is not allowed", HTTPStatus.METHOD_NOT_ALLOWED, _ALLOWED)
    if len(collector.fields) > max_fields:
        raise MalformedRequest("the headers are too many", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    _check_target(collector.text, method)
    if facts.encodings and not (is_current and facts.is_chunked):
        raise MalformedRequest("the request's Transfer-Encoding is not `chunked`")
    if facts.expect and facts.expect != b"100-continue":
        raise MalformedRequest("only `100-continue` can be expected", HTTPStatus.EXPECTATION_FAILED)
    named = facts.parse_named()
    body = CHUNKED if facts.encodings else NO_BODY if facts.length is None else facts.length
    return RequestHead(
        method=method,
        target=collector.text,
        host=facts.hosts[0] if facts.hosts else b"",
        host_name=_parse_host(facts.hosts),
        fields=collector.fields,
        body=body,
        named=named,
        upgrade=_choose_upgrade(facts.upgrade, named) if is_current and body in {NO_BODY, 0} else b"",
        keep_alive=is_current and b"close" not in named,
        is_current=is_current,
    )


def parse_answer_head(data: bytes, max_fields: int, method: bytes) -> AnswerHead:
    """Read the head of an answer to a request of this method; the head ends with its empty line.

    Raises:
        ConnectionFailed: it is not HTTP/1.1, or could be read in two ways.
    """
    collector = _Collector()
    parser = HttpResponseParser(collector)
    try:
        parser.feed_data(data)
    except HttpParserUpgrade:
        pass
    except HttpParserError as error:
        raise ConnectionFailed("the application's answer is not well-formed HTTP/1.1") from error
    facts = _Facts(collector.fields)
    status: int = parser.get_status_code()
    version = parser.get_http_version()
    is_current = version == "1.1"
    if not collector.is_complete or version not in _VERSIONS or len(collector.fields) > max_fields:
        raise ConnectionFailed("the application's answer is not well-formed HTTP/1.1, or has too many headers")
    if status < HTTPStatus.CONTINUE:
        raise ConnectionFailed("the application's answer has no status that there is")
    if facts.encodings and not (is_current and facts.is_chunked):
        raise ConnectionFailed("the Transfer-Encoding of the application's answer is not `chunked`")
    named = facts.parse_named()
    return AnswerHead(
        status=status,
        reason=collector.text,
        fields=collector.fields,
        body=_judge_answer_body(status, method, facts),
        length=facts.length,
        named=named,
        upgrade=facts.upgrade,
        keep_alive=b"close" not in named and (is_current or b"keep-alive" in named),
    )


class _Collector:
    """Takes in what the parser finds."""

    __slots__ = ("fields", "is_complete", "text")

    def __init__(self) -> None:
        self.text = b""
        """The target of a request, or the reason of an answer."""
        self.fields: list[Field] = []
        self.is_complete = False

    def on_url(self, url: bytes) -> None:
        self.text += url

    def on_status(self, reason: bytes) -> None:
        self.text += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), name, value))

    def on_headers_complete(self) -> None:
        self.is_complete = True


class _Facts:
    """What the headers say of the message itself; the parser has made sure that a length is one number."""

    __slots__ = ("_connections", "encodings", "expect", "hosts", "length", "upgrade")

    def __init__(self, fields: list[Field]) -> None:
        self.encodings: list[bytes] = []
        self.hosts: list[bytes] = []
        self._connections: list[bytes] = []
        self.length: int | None = None
        self.upgrade = self.expect = b""
        for key, _, value in fields:
            if key not in _TELLING:
                continue
            if key == b"host":
                self.hosts.append(value.strip())
            elif key == b"content-length":
                self.length = int(value)
            elif key == b"transfer-encoding":
                self.encodings.append(value.strip().lower())
            elif key == b"connection":
                self._connections.append(value)
            elif key == b"upgrade":
                self.upgrade = self.upgrade + b", " + value.strip() if self.upgrade else value.strip()
            else:
                self.expect = value.strip().lower()

    @property
    def is_chunked(self) -> bool:
        """Return whether chunks are the only encoding."""
        return self.encodings == [b"chunked"]

    def parse_named(self) -> frozenset[bytes]:
        """Return what Connection names, in lower case."""
        if not self._connections:
            return _NOTHING
        return frozenset(name.strip().lower() for value in self._connections for name in value.split(b","))


_TELLING = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"expect"})
_NOTHING: frozenset[bytes] = frozenset()


def _check_target(target: bytes, method: bytes) -> None:
    if target == b"*" and method == b"OPTIONS":
        return
    if not target.startswith(b"/") or b"#" in target:
        raise MalformedRequest("the request's target must be a path (RFC 9112, 3.2.1)")


def _parse_host(hosts: list[bytes]) -> bytes:
    match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if match is None:
        raise MalformedRequest("a request must name one host (RFC 9112, 3.2)")
    return match[1].lower()


def _choose_upgrade(upgrade: bytes, named: frozenset[bytes]) -> bytes:
    """Return the protocols that may be asked of an application; HTTP/2 in the clear would be out of our sight."""
    if not upgrade or b"upgrade" not in named:
        return b""
    protocols = {protocol.strip().lower() for protocol in upgrade.split(b",")}
    return b"" if any(protocol.partition(b"/")[0] in {b"h2c", b"h2", b"http"} for protocol in protocols) else upgrade


def _judge_answer_body(status: int, method: bytes, facts: _Facts) -> int:
    """Return the length of an answer's body (RFC 9112, 6.3)."""
    if method == b"HEAD" or status in _BODILESS or status < HTTPStatus.OK:
        return NO_BODY
    if facts.encodings:
        return CHUNKED
    return UNTIL_CLOSE if facts.length is None else facts.length
