"""HTTP requests of this process to others: bounded answers, no redirects, no cookies, our own errors."""

import socket
import ssl
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from teleport.kube.errors import SOON, BadAnswer, NoAnswer, Untrusted
from teleport.lean_aiohttp import aiohttp
from teleport.version import VERSION

CONNECT_TIMEOUT = timedelta(seconds=5)
PROBES = {"TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 2}
"""After a second of silence one probe a second: whoever vanished without a word is missed two seconds later."""
MAX_RETRY_AFTER = timedelta(seconds=30)
_MAX_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, whatever its status."""

    status: int
    retry_after: timedelta
    content: bytes
    date: str = ""
    """The header (RFC 9110, 6.6.1), read by `parse_date`."""


def open_session(context: ssl.SSLContext, timeout: timedelta) -> aiohttp.ClientSession:
    """Return a session to be closed; connections are kept and their number is left to those who ask.

    Args:
        context: whom to trust.
        timeout: for a request, from its first byte to the last of its answer.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context, limit=0, socket_factory=open_socket),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout.total_seconds()),
        headers={"Accept-Encoding": "identity", "User-Agent": f"teleport/{VERSION}"},
        auto_decompress=False,
    )


def open_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket that notices a dead connection although nothing is sent: a watch may be silent for a minute."""
    family, kind, proto, _, _ = address
    opened = socket.socket(family, kind, proto)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in PROBES.items():
        if (option := getattr(socket, name, None)) is not None:  # not every system has them
            opened.setsockopt(socket.IPPROTO_TCP, option, value)
    return opened


def build_stream_timeout(silence: timedelta) -> aiohttp.ClientTimeout:
    """Return the timeout of an answer without end, of which at least something must come in this time."""
    return aiohttp.ClientTimeout(
        total=None, sock_connect=CONNECT_TIMEOUT.total_seconds(), sock_read=silence.total_seconds()
    )


@contextmanager
def translated(whom: str) -> Iterator[None]:
    """Turn the errors of the block into ours.

    Args:
        whom: is asked, as the operator knows it.

    Raises:
        Untrusted: its certificate is not trusted.
        NoAnswer: it cannot be reached, breaks off, or takes too long.
    """
    try:
        yield
    except aiohttp.ClientSSLError as error:
        raise Untrusted(f"{whom} shows a certificate that is not trusted here") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        reason = "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
        raise NoAnswer(f"cannot ask {whom}: {reason}") from error


async def read_answer(response: aiohttp.ClientResponse, limit: int) -> Answer:
    """Read an answer to its end.

    Raises:
        BadAnswer: it is larger than the limit, in bytes; the rest is not read.
    """
    content = bytearray()
    while len(content) <= limit and (chunk := await response.content.read(limit + 1 - len(content))):
        content += chunk
    if len(content) > limit:
        raise BadAnswer(f"the answer of {response.url.host} is larger than {limit} bytes")
    retry_after = parse_retry_after(response.headers.get("Retry-After", ""))
    return Answer(response.status, retry_after, bytes(content), response.headers.get("Date", ""))


async def read_lines(response: aiohttp.ClientResponse, limit: int) -> AsyncGenerator[bytes, None]:
    """Yield the lines of an answer as they come; what stands after the last line's end is no line.

    Raises:
        BadAnswer: a line is longer than the limit, in bytes.
    """
    rest = bytearray()
    async for chunk in response.content.iter_any():
        *lines, tail = chunk.split(b"\n")
        for line in lines:
            yield bytes(rest + line)
            rest.clear()
        rest += tail
        if len(rest) > limit:
            raise BadAnswer(f"a line of {response.url.host} is longer than {limit} bytes")


def parse_object(raw: bytes, whom: str) -> Mapping[str, Any]:
    """Read a JSON object.

    Args:
        raw: the bytes.
        whom: they are from.

    Raises:
        BadAnswer: they are none.
    """
    try:
        answer = orjson.loads(raw)
    except ValueError as error:
        raise BadAnswer(f"the answer of {whom} is no JSON") from error
    if not isinstance(answer, dict):
        raise BadAnswer(f"the answer of {whom} is no object")
    return answer


def parse_retry_after(text: str) -> timedelta:
    """Read seconds, within bounds; a date, which RFC 9110, 10.2.3 allows and Kubernetes never sends, means soon."""
    known = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return min(max(timedelta(seconds=int(text)), SOON), MAX_RETRY_AFTER) if known else SOON


def parse_date(text: str) -> datetime | None:
    """Read the time of an answer; what is none, or names no zone, is as if it were not there."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return None if date.tzinfo is None else date
