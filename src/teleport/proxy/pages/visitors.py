"""Asks auth for those who visit the pages: who they are, and whether they may go on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from teleport.api.operations import SESSION_SHOW, Operation, RequestT, ResponseT
from teleport.api.people import SessionRequest
from teleport.errors import AccessDenied, ConnectionFailed, Unavailable
from teleport.proxy.pages.cookies import SESSION, read_secret
from teleport.web.call import RequestHead


class Auth(Protocol):
    """The client to auth."""

    async def call(self, operation: Operation[RequestT, ResponseT], request: RequestT) -> ResponseT:
        """Ask for one operation."""
        ...


@contextmanager
def explain_outage() -> Iterator[None]:
    """Say of an auth server that cannot be reached that this passes.

    Raises:
        Unavailable: it cannot be reached.
    """
    try:
        yield
    except ConnectionFailed as error:
        raise Unavailable("the cluster does not answer at present; try again in a moment") from error


class PatientAuth:
    """Auth as these pages see it: when it cannot be reached, that passes.

    Args:
        client: to auth.
    """

    def __init__(self, client: Auth) -> None:
        self._client = client

    async def call(self, operation: Operation[RequestT, ResponseT], request: RequestT) -> ResponseT:
        """Ask for one operation.

        Raises:
            TeleportError: as auth says.
            Unavailable: it does not answer.
        """
        with explain_outage():
            return await self._client.call(operation, request)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who has signed in."""

    user: str
    session_id: str = field(repr=False)


async def find_visitor(auth: Auth, head: RequestHead) -> Visitor | None:
    """Return who asks, by the session that the browser names; nobody, where auth does not know it or it is over."""
    session_id = read_secret(head, SESSION)
    if not session_id:
        return None
    try:
        session = await auth.call(SESSION_SHOW, SessionRequest(session_id=session_id))
    except AccessDenied:
        return None
    return Visitor(session.user, session_id)
