"""The direct way to auth: TLS to its own address."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from teleport import errors
from teleport.api.channel import CONNECT_TIMEOUT, MAX_ANSWER_BYTES, REQUEST_TIMEOUT, Answer, describe_cause
from teleport.api.trust import ServerTrust
from teleport.lean_aiohttp import aiohttp
from teleport.resources.address import Address

KEEP_ALIVE_SECONDS = 90


class DirectChannel:
    """Connections to auth's own address.

    Args:
        session: whose connections are used.
        address: where auth is.
        trust: how its certificate is checked.
    """

    def __init__(self, session: aiohttp.ClientSession, address: Address, trust: ServerTrust) -> None:
        self._session = session
        self._base = f"https://{address}"
        self._address = address
        self._trust = trust

    async def send(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Send a request and return the answer.

        Raises:
            TrustError: the server is not the one that is meant; nothing was sent to it.
            ConnectionFailed: it cannot be reached, broke off, or answered too much.
        """
        options: dict[str, Any] = self._trust.request_options()
        try:
            async with self._session.request(
                method, self._base + path, data=body, headers=headers, allow_redirects=False, **options
            ) as response:
                content = await response.content.read(MAX_ANSWER_BYTES + 1)
                while len(content) <= MAX_ANSWER_BYTES and not response.content.at_eof():
                    content += await response.content.read(MAX_ANSWER_BYTES + 1 - len(content))
        except aiohttp.ClientConnectorCertificateError as error:
            raise errors.TrustError(
                f"the certificate of {self._address} does not come from the cluster that is trusted here"
            ) from error
        except (aiohttp.ClientError, OSError, ssl.SSLError) as error:
            raise errors.ConnectionFailed(f"cannot talk to {self._address}: {_describe(error)}") from error
        if len(content) > MAX_ANSWER_BYTES:
            raise errors.ConnectionFailed(f"the answer of {self._address} is larger than {MAX_ANSWER_BYTES} bytes")
        return Answer(response.status, content, response.headers.get("Retry-After", ""))


def _describe(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection (a certificate that it does not trust?)"
    if isinstance(error, aiohttp.ClientConnectorError):
        return describe_cause(error.os_error)
    return str(error) or type(error).__name__


@asynccontextmanager
async def open_direct_channel(address: Address, trust: ServerTrust) -> AsyncIterator[DirectChannel]:
    """Have a channel for the time of a block; connections are made when they are needed."""
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT.total_seconds(), sock_connect=CONNECT_TIMEOUT.total_seconds())
    connector = aiohttp.TCPConnector(limit=8, keepalive_timeout=KEEP_ALIVE_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
        yield DirectChannel(session, address, trust)
