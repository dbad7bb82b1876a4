"""The typed client: one method, `call`, for every operation of the API."""

import os
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from teleport import errors
from teleport.api.identity import Identity
from teleport.api.messages import ErrorResponse
from teleport.api.operations import MAX_BODY_BYTES, VERSION_HEADER, Operation, RequestT, ResponseT
from teleport.api.trust import KnownAuthority, ServerTrust
from teleport.lean_aiohttp import aiohttp
from teleport.resources.address import Address
from teleport.version import VERSION
from teleport.web.tls import ALPN, build_client_context

MAX_ANSWER_BYTES = 32 * MAX_BODY_BYTES
REQUEST_TIMEOUT = timedelta(seconds=30)
CONNECT_TIMEOUT = timedelta(seconds=10)

_SECONDS = re.compile("[0-9]{1,6}")
_ERRORS: dict[str, type[errors.TeleportError]] = {
    error.code: error
    for error in (
        errors.BadParameter,
        errors.TooLarge,
        errors.Unauthenticated,
        errors.AccessDenied,
        errors.MembershipEnded,
        errors.NotFound,
        errors.AlreadyExists,
        errors.CompareFailed,
        errors.LimitExceeded,
        errors.NotSupported,
        errors.Unavailable,
        errors.VersionRefused,
        errors.StorageError,
    )
}


class Client:
    """A connection to auth.

    Args:
        session: whose connections are used.
        address: where auth is.
        trust: how its certificate is checked.
        version: what auth holds against its own; nothing is held against an empty one.
    """

    def __init__(
        self, session: aiohttp.ClientSession, address: Address, trust: ServerTrust, version: str = VERSION
    ) -> None:
        self._session = session
        self._base = f"https://{address}"
        self._address = address
        self._trust = trust
        self._headers = {VERSION_HEADER: version} if version else {}

    async def call(self, operation: Operation[RequestT, ResponseT], request: RequestT) -> ResponseT:
        """Ask for one operation.

        Raises:
            TeleportError: of the class that the server's code names.
            TrustError: the server is not the one that is meant.
            ConnectionFailed: it cannot be reached, broke off, or answered something that is not the API.
        """
        body = None if operation.method == "GET" else request.model_dump_json(exclude_defaults=True).encode()
        status, content, retry_after = await self._send(operation.method, operation.path, body)
        if status >= 300:  # noqa: PLR2004 - HTTP: 2xx is success, and no redirect is followed
            raise _error_from(status, content, retry_after)
        try:
            return operation.response.model_validate_json(content)
        except ValidationError as error:
            raise errors.ConnectionFailed(f"{self._address} gave an answer that is not {operation.name}'s") from error

    async def _send(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes, str]:
        options: dict[str, Any] = self._trust.request_options()
        headers = self._headers | ({"Content-Type": "application/json"} if body is not None else {})
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
        return response.status, content, response.headers.get("Retry-After", "")


def _describe(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection (a certificate that it does not trust?)"
    if isinstance(error, aiohttp.ClientConnectorError):
        return _describe_cause(error.os_error)
    return str(error) or type(error).__name__


def _describe_cause(error: OSError) -> str:
    """Return what the system says, without the addresses and objects that libraries put around it."""
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)


def _error_from(status: int, content: bytes, retry_after: str = "") -> errors.TeleportError:
    try:
        body = ErrorResponse.model_validate_json(content).error
    except ValidationError:
        return errors.ConnectionFailed(f"the server answered with status {status}")
    if body.code == errors.JoinRefused.code:
        return errors.JoinRefused("refused", body.message, public=body.message)
    error = _ERRORS.get(body.code, errors.TeleportError)(body.message)
    if isinstance(error, errors.LimitExceeded | errors.Unavailable) and _SECONDS.fullmatch(retry_after):
        error.retry_after = timedelta(seconds=int(retry_after))
    return error


@asynccontextmanager
async def open_client(address: Address, trust: ServerTrust, *, version: str = VERSION) -> AsyncIterator[Client]:
    """Make a client for the time of a block; connections are made when they are needed."""
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT.total_seconds(), sock_connect=CONNECT_TIMEOUT.total_seconds())
    connector = aiohttp.TCPConnector(limit=8, keepalive_timeout=90)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
        yield Client(session, address, trust, version)


def build_identity_context(identity: Identity, protocols: Sequence[str] = (ALPN,)) -> ssl.SSLContext:
    """Return the TLS context of somebody who shows an identity and talks to nobody but its cluster.

    Args:
        identity: to show, and whose authorities are trusted.
        protocols: what is spoken inside (ALPN).
    """
    return build_client_context(
        ca_pems=identity.host_ca_certificates,
        certificate_pem_chain=identity.tls_certificate,
        private_key_pem=identity.tls_key,
        protocols=protocols,
    )


@asynccontextmanager
async def connect(address: Address, identity: Identity, *, version: str = VERSION) -> AsyncIterator[Client]:
    """Make a client that proves who it is by the identity."""
    async with open_client(address, KnownAuthority(build_identity_context(identity)), version=version) as client:
        yield client
