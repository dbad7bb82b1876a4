"""What auth says of a user and an application, remembered for a short while: asked once, used for many requests."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from teleport.api.client import Client
from teleport.api.operations import APP_SESSION
from teleport.api.people import AppSessionRequest, AppSessionResponse
from teleport.clock import Clock
from teleport.errors import AccessDenied, ConnectionFailed, Unavailable

FRESH = timedelta(seconds=20)
"""How long an answer is used: what was taken away is over within half a minute, the sweep of connections included."""
LONGEST_WITHOUT_AUTH = timedelta(minutes=2)
"""Auth restarts: for so long after its last word what it allowed is still allowed."""
REFUSED = timedelta(seconds=5)
MAX_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Credential:
    """By what a user is known: the session of a browser, or a certificate that the handshake has verified."""

    app_session_id: str = field(default="", repr=False)
    user_certificate: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class AppSession:
    """A user may open an application."""

    app: str
    answer: AppSessionResponse
    confirmed: datetime
    fresh_until: datetime


@dataclass(slots=True)
class _Entry:
    session: AppSession | None = None
    refused_until: datetime | None = None
    refusal: str = ""
    asking: "asyncio.Task[AppSession] | None" = None


class AppSessions:
    """The sessions that this proxy has asked for.

    Args:
        client: to auth.
        clock: the present.
    """

    def __init__(self, client: Client, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._entries: OrderedDict[tuple[Credential, str], _Entry] = OrderedDict()

    def find(self, credential: Credential, app: str) -> AppSession | None:
        """Return a session that need not be asked for."""
        entry = self._entries.get((credential, app))
        session = entry.session if entry is not None else None
        return session if session is not None and self._clock.now() < session.fresh_until else None

    def is_known(self, credential: Credential, app: str) -> bool:
        """Tell whether this was asked before; what was not may be a guess."""
        return (credential, app) in self._entries

    async def open(self, credential: Credential, app: str, remote_addr: str) -> AppSession:
        """Return a session, asking auth where its last word is old; who asks at the same time shares the answer.

        Raises:
            AccessDenied: there is no such application, it is not for the user, or nobody vouches for them any more.
            TeleportError: auth cannot be asked.
        """
        found = self.find(credential, app)
        if found is not None:
            return found
        entry = self._remember(credential, app)
        if entry.refused_until is not None and self._clock.now() < entry.refused_until:
            raise AccessDenied(entry.refusal)
        if entry.asking is None:
            entry.asking = asyncio.create_task(self._ask(entry, credential, app, remote_addr))
            entry.asking.add_done_callback(lambda task: _forget(entry, task))
        return await asyncio.shield(entry.asking)

    def _remember(self, credential: Credential, app: str) -> _Entry:
        key = (credential, app)
        entry = self._entries.setdefault(key, _Entry())
        self._entries.move_to_end(key)
        if len(self._entries) > MAX_REMEMBERED:
            self._entries.popitem(last=False)
        return entry

    async def _ask(self, entry: _Entry, credential: Credential, app: str, remote_addr: str) -> AppSession:
        request = AppSessionRequest(
            app_session_id=credential.app_session_id,
            user_certificate=credential.user_certificate,
            app=app,
            remote_addr=remote_addr,
        )
        try:
            answer = await self._client.call(APP_SESSION, request)
        except AccessDenied as error:
            entry.session, entry.refusal = None, error.message
            entry.refused_until = self._clock.now() + REFUSED
            raise
        except (ConnectionFailed, Unavailable):
            session = self._keep_without_auth(entry.session)
            if session is None:
                raise
        else:
            now = self._clock.now()
            session = AppSession(app, answer, confirmed=now, fresh_until=min(now + FRESH, answer.expires))
        entry.session, entry.refused_until = session, None
        return session

    def _keep_without_auth(self, session: AppSession | None) -> AppSession | None:
        """Return a session that goes on for a moment though auth does not answer."""
        if session is None:
            return None
        now = self._clock.now()
        end = min(session.answer.expires, session.confirmed + LONGEST_WITHOUT_AUTH)
        return replace(session, fresh_until=min(now + REFUSED, end)) if now < end else None


def _forget(entry: _Entry, task: "asyncio.Task[AppSession]") -> None:
    entry.asking = None
    if not task.cancelled():
        task.exception()  # those who wait for it hear of it; if nobody waits any more, nobody needs to
