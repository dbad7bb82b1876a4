"""The typed client: one method, `call`, for every operation of the API."""

import re
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

from pydantic import ValidationError

from teleport import errors
from teleport.api.channel import Channel
from teleport.api.direct import open_direct_channel
from teleport.api.identity import Identity
from teleport.api.messages import ErrorResponse
from teleport.api.operations import VERSION_HEADER, Operation, RequestT, ResponseT
from teleport.api.trust import KnownAuthority, ServerTrust
from teleport.api.way import Way
from teleport.resources.address import Address
from teleport.version import VERSION
from teleport.web.tls import ALPN, build_client_context

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
    """Asks auth.

    Args:
        channel: carries requests there.
        way: where it is, for messages, and for who makes connections of its own.
        version: what auth holds against its own; nothing is held against an empty one.
    """

    def __init__(self, channel: Channel, way: Way, version: str = VERSION) -> None:
        self._channel = channel
        self.way = way
        self._headers = {VERSION_HEADER: version} if version else {}

    async def call(self, operation: Operation[RequestT, ResponseT], request: RequestT) -> ResponseT:
        """Ask for one operation.

        Raises:
            TeleportError: of the class that the server's code names.
            TrustError: the server is not the one that is meant.
            ConnectionFailed: it cannot be reached, broke off, or answered something that is not the API.
        """
        body = None if operation.method == "GET" else request.model_dump_json(exclude_defaults=True).encode()
        headers = self._headers | ({"Content-Type": "application/json"} if body is not None else {})
        answer = await self._channel.send(operation.method, operation.path, headers=headers, body=body)
        if answer.status >= 300:  # noqa: PLR2004 - HTTP: 2xx is success, and no redirect is followed
            raise _error_from(answer.status, answer.body, answer.retry_after)
        try:
            return operation.response.model_validate_json(answer.body)
        except ValidationError as error:
            raise errors.ConnectionFailed(f"{self.way} gave an answer that is not {operation.name}'s") from error


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
async def open_client(way: Way, trust: ServerTrust, *, version: str = VERSION) -> AsyncIterator[Client]:
    """Make a client for the time of a block; connections are made when they are needed."""
    async with _open_channel(way, trust) as channel:
        yield Client(channel, way, version)


def _open_channel(way: Way, trust: ServerTrust) -> AbstractAsyncContextManager[Channel]:
    if isinstance(way, Address):
        return open_direct_channel(way, trust)
    from teleport.api.proxied import open_proxied_channel  # noqa: PLC0415 - agents beside auth do not carry it in memory

    return open_proxied_channel(way, trust)


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
async def connect(way: Way, identity: Identity, *, version: str = VERSION) -> AsyncIterator[Client]:
    """Make a client that proves who it is by the identity."""
    async with open_client(way, KnownAuthority(build_identity_context(identity)), version=version) as client:
        yield client
