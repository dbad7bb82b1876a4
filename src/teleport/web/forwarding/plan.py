"""Which headers reach an application and its client, and which are made anew; pure."""

import re
from dataclasses import dataclass, field

from teleport.errors import BadParameter
from teleport.web.forwarding.head import CHUNKED, NO_BODY, UNTIL_CLOSE, AnswerHead, RequestHead

_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-authentication-info",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    }
)
"""Headers that concern one connection (RFC 9110, 7.6.1); of them we write our own."""
_OURS = _HOP_BY_HOP | {b"host", b"content-length"}
_CLAIMS = (b"teleport-", b"x-teleport-")
"""Headers by which an application learns who its user is: nobody but us may send them."""
_PROXY = b"proxy"
"""CGI programs take it for the setting HTTP_PROXY (CVE-2016-5385)."""
_FORWARDED = (b"x-forwarded-", b"x-original-")
_FORWARDED_NAMES = frozenset(
    {b"forwarded", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"true-client-ip", b"cf-connecting-ip"}
)
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_LOCATION = re.compile(rb"(?:https?:)?//([^/?#\\]*)(.*)", re.IGNORECASE)
_MAX_KNOWN = 512
"""Names whose fate is kept in mind."""

_PASS, _DROP, _LOOK = range(3)


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What an application is told of the client's side.

    Args:
        address: the client's address, as the transport vouches for it.
        proto: the scheme that the client uses.
    """

    address: str
    proto: str = "https"


@dataclass(frozen=True, slots=True)
class HeaderPlan:
    """What becomes of the headers between one client and one application; it is made once and used for many requests.

    Args:
        host: the Host that the application gets; the client's if there is none.
        set_headers: headers that the application gets with these values and no others.
        forwarded: goes into `Forwarded`, `X-Forwarded-*` and `X-Real-IP`. Without it, they are passed on as they came:
            that is for the second of two proxies, which trusts the first.
        hidden_cookies: cookies that never reach the application, and that it cannot set.
        redirect_hosts: hosts in `Location` (`name` or `name:port`, lower case) that stand for the application.
        public_origin: what is put in their place, as `https://app.example.com`.

    Raises:
        BadParameter: a header that is to be set cannot be one, or is about the connection or the message's length.
    """

    host: bytes | None = None
    set_headers: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    forwarded: Forwarded | None = None
    hidden_cookies: frozenset[bytes] = frozenset()
    redirect_hosts: frozenset[bytes] = frozenset()
    public_origin: bytes = b""
    _fixed: bytes = field(init=False, repr=False, compare=False)
    _replaced: frozenset[bytes] = field(init=False, repr=False, compare=False)
    _known: dict[bytes, int] = field(init=False, repr=False, compare=False, default_factory=dict)
    """What becomes of the headers that requests brought so far, by name in lower case."""

    def __post_init__(self) -> None:
        for name, value in self.set_headers:
            _check_header(name, value)
        fixed = b"".join(b"%b: %b\r\n" % header for header in self.set_headers)
        if self.forwarded is not None:
            fixed += _render_forwarded(self.forwarded)
        object.__setattr__(self, "_fixed", fixed)
        object.__setattr__(
            self, "_replaced", frozenset(name.lower().replace(b"_", b"-") for name, _ in self.set_headers)
        )

    def render_request(self, head: RequestHead) -> bytes:
        """Return the head that the application gets; it asks for a connection that lives on."""
        known, named = self._known, head.named
        parts = [b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (head.method, head.target, self.host or head.host), self._fixed]
        for key, name, value in head.fields:
            fate = known.get(key)
            if fate is None:
                fate = self._decide(key)
            if fate == _DROP or key in named:
                continue
            if fate == _LOOK:
                value = self._look(key, value, head)  # noqa: PLW2901 - it is rewritten, or nothing is left of it
                if not value:
                    continue
            parts += (name, b": ", value, b"\r\n")
        if self.forwarded is not None:
            parts.append(self._render_host_claims(head.host))
        parts.append(_render_request_framing(head))
        return b"".join(parts)

    def render_answer(self, head: AnswerHead, request: RequestHead, *, keep_alive: bool) -> bytes:
        """Return the head that the client gets.

        Args:
            head: what the application answers.
            request: what was asked.
            keep_alive: whether the client may send another request on this connection.
        """
        parts = [b"HTTP/1.1 %d %b\r\n" % (head.status, head.reason)]
        named = head.named
        for key, name, value in head.fields:
            if key in _DROPPED_OF_ANSWERS or key in named:
                continue
            if key == b"location" and self.redirect_hosts:
                value = self._rewrite_location(value)  # noqa: PLW2901 - the value is rewritten
            elif key == b"set-cookie" and value.partition(b"=")[0].strip() in self.hidden_cookies:
                continue
            parts += (name, b": ", value, b"\r\n")
        parts.append(_render_answer_framing(head, request))
        parts.append(b"\r\n" if keep_alive else b"Connection: close\r\n\r\n")
        return b"".join(parts)

    def _decide(self, key: bytes) -> int:
        """Return what becomes of a request's header.

        Underscores count as hyphens where a header claims something: CGI and WSGI do not tell them apart.
        """
        claim = key.replace(b"_", b"-")
        is_forwarded = claim in _FORWARDED_NAMES or claim.startswith(_FORWARDED)
        if key in _OURS or claim == _PROXY or claim.startswith(_CLAIMS) or claim in self._replaced:
            fate = _DROP
        elif is_forwarded:
            fate = _PASS if self.forwarded is None else _DROP
        elif key in {b"expect", b"cookie"}:
            fate = _LOOK
        else:
            fate = _PASS
        if len(self._known) < _MAX_KNOWN:
            self._known[key] = fate
        return fate

    def _look(self, key: bytes, value: bytes, head: RequestHead) -> bytes:
        """Return what is left of a header that is more than passed or dropped."""
        if key == b"cookie":
            return self._hide_cookies(value)
        return value if head.is_current and head.body not in {NO_BODY, 0} else b""

    def _hide_cookies(self, value: bytes) -> bytes:
        if not any(name in value for name in self.hidden_cookies):
            return value
        pairs = value.split(b";")
        return b";".join(pair for pair in pairs if pair.partition(b"=")[0].strip() not in self.hidden_cookies).strip()

    def _rewrite_location(self, value: bytes) -> bytes:
        match = _LOCATION.fullmatch(value.strip())
        if match is None or match[1].lower() not in self.redirect_hosts:
            return value
        return self.public_origin + match[2]

    def _render_host_claims(self, host: bytes) -> bytes:
        assert self.forwarded is not None  # noqa: S101 - the caller has looked
        node, proto = _render_node(self.forwarded.address), self.forwarded.proto.encode()
        return b'X-Forwarded-Host: %b\r\nForwarded: for=%b;host="%b";proto=%b\r\n' % (host, node, host, proto)


_DROPPED_OF_ANSWERS = _HOP_BY_HOP | {b"content-length", b"alt-svc"}
"""With Alt-Svc, an application would send its clients past us."""


def _check_header(name: bytes, value: bytes) -> None:
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise BadParameter(f"the header {name[:64]!r} or its value has characters that no header can have")
    if name.lower() in _OURS:
        raise BadParameter(f"the header {name[:64]!r} cannot be set: it is about the connection or the message")


def _render_forwarded(forwarded: Forwarded) -> bytes:
    address, proto = forwarded.address.encode(), forwarded.proto.encode()
    return b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Real-IP: %b\r\n" % (address, proto, address)


def _render_node(address: str) -> bytes:
    """Return an address as `Forwarded` wants it (RFC 7239, 6)."""
    return b'"[%b]"' % address.encode() if ":" in address else address.encode()


def _render_request_framing(head: RequestHead) -> bytes:
    if head.body == CHUNKED:
        return b"Transfer-Encoding: chunked\r\n\r\n"
    if head.body != NO_BODY:
        return b"Content-Length: %d\r\n\r\n" % head.body
    if head.upgrade:
        return b"Connection: Upgrade\r\nUpgrade: %b\r\n\r\n" % head.upgrade
    return b"\r\n"


def _render_answer_framing(head: AnswerHead, request: RequestHead) -> bytes:
    if head.body in {CHUNKED, UNTIL_CLOSE}:
        return b"Transfer-Encoding: chunked\r\n" if request.is_current else b""
    if head.status == 101:  # noqa: PLR2004 - Switching Protocols
        return b"Upgrade: %b\r\nConnection: Upgrade\r\n" % head.upgrade
    if head.length is not None and head.status >= 200 and head.status != 204:  # noqa: PLR2004 - RFC 9110, 8.6
        return b"Content-Length: %d\r\n" % head.length
    return b""
