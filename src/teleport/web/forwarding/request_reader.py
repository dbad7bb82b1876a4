"""The heads of one connection's requests, one after another, out of the bytes that come."""

from http import HTTPStatus

from teleport.web.errors import MalformedRequest
from teleport.web.forwarding.head import END, RequestHead, parse_request_head
from teleport.web.forwarding.limits import ForwardingLimits


class RequestReader:
    """Keeps what came and was not used yet; the host of the first request is the connection's only one.

    Args:
        limits: of a head.
    """

    __slots__ = ("_host", "_limits", "received")

    def __init__(self, limits: ForwardingLimits) -> None:
        self._limits = limits
        self._host = b""
        self.received = b""
        """What is there of the next request, or of the present one's body."""

    def add(self, data: bytes) -> None:
        """Take in more."""
        self.received = self.received + data if self.received else data

    def take_received(self) -> bytes:
        """Return what is there, and forget it."""
        received, self.received = self.received, b""
        return received

    def read(self) -> RequestHead | None:
        """Return the next request, if its head is complete; what came after it stays.

        Raises:
            MalformedRequest: it is none, or none for this connection; nothing after it can be read either.
        """
        received = self.received.removeprefix(b"\r\n")  # as RFC 9112, 2.2, allows before a request
        end = received.find(END) + len(END)
        limit = self._limits.max_head
        if end > limit or (end < len(END) and len(received) > limit):
            raise MalformedRequest("the headers are too long", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if end < len(END):
            if received.count(b"\n") != received.count(b"\r\n"):
                raise MalformedRequest("the request is not well-formed HTTP/1.1")
            self.received = received
            return None
        self.received = received[end:]
        head = parse_request_head(received[:end], self._limits.max_fields)
        self._check_host(head)
        return head

    def _check_host(self, head: RequestHead) -> None:
        """Hold the connection to the host of its first request, for which it was given to us."""
        host = head.host.lower()
        if not self._host:
            self._host = host
        elif host != self._host:
            raise MalformedRequest("this connection is for another host", HTTPStatus.MISDIRECTED_REQUEST)
