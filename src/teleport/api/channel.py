"""What carries requests of the API to auth and answers back, whatever the way there is."""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from teleport.api.operations import MAX_BODY_BYTES

MAX_ANSWER_BYTES = 32 * MAX_BODY_BYTES
REQUEST_TIMEOUT = timedelta(seconds=30)
CONNECT_TIMEOUT = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request."""

    status: int
    body: bytes = field(repr=False)
    retry_after: str = ""
    """The header of that name."""


class Channel(Protocol):
    """A way to auth."""

    async def send(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Send a request and return the answer.

        Raises:
            TrustError: the server is not the one that is meant; nothing was sent to it.
            ConnectionFailed: it cannot be reached, broke off, or answered too much.
        """
        ...


def describe_cause(error: OSError) -> str:
    """Return what the system says, without the addresses and objects that libraries put around it."""
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)
