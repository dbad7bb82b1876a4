"""Application sessions of browsers: begun by a code that is good once, ended with the web session they come from."""

from datetime import timedelta

from teleport.api import people as p
from teleport.api.messages import Empty
from teleport.auth import audit
from teleport.auth.access import Caller
from teleport.auth.audit import AuditLog
from teleport.auth.stores import Stores
from teleport.auth.stores.app_sessions import MAX_SESSIONS, AppCode
from teleport.auth.stores.invites import generate_id
from teleport.auth.web_sessions import WebSessions
from teleport.backend.protocol import Delete
from teleport.clock import Clock
from teleport.errors import AccessDenied, CompareFailed, LimitExceeded
from teleport.resources.model import render_time

CODE_LIFE = timedelta(seconds=60)
"""A browser needs it to follow one redirect."""
_OVER = "this way into the application was used or is over; open it again"


class AppSessions:
    """The use cases of the ways from a web session to sessions of applications.

    Args:
        stores: where codes and sessions are.
        sessions: whose a web session is.
        audit_log: told of beginnings and ends.
        clock: when codes end.
    """

    def __init__(self, *, stores: Stores, sessions: WebSessions, audit_log: AuditLog, clock: Clock) -> None:
        self._stores = stores
        self._sessions = sessions
        self._audit = audit_log
        self._clock = clock

    async def make_code(self, session_id: str, app: str, state: str) -> p.AppLaunchResponse:
        """Return a code for an application that the session's user may open; the caller has made sure of that."""
        code, expires = generate_id(), self._clock.now() + CODE_LIFE
        web_session = self._stores.web_sessions.lookup_id(session_id)
        await self._stores.app_sessions.add_code(code, AppCode(web_session, app, state), expires)
        return p.AppLaunchResponse(code=code, app=app, expires=expires)

    async def redeem(self, request: p.AppRedeemRequest, _: Caller) -> p.AppRedeemResponse:
        """Begin an application session; the code is used up in the same commit.

        Raises:
            AccessDenied: the code is unknown, used, over, for another application or another browser; or the web
                session has ended meanwhile.
            LimitExceeded: the web session has too many.
        """
        store = self._stores.app_sessions
        found = await store.find_code(request.code, request.state)
        if found is None or found.app != request.app:
            raise AccessDenied(_OVER)
        holder = await self._sessions.find_holder(found.web_session)
        others = await store.list_of(found.web_session)
        former = [Delete(key) for key, app in others.items() if app == found.app]
        if len(others) - len(former) >= MAX_SESSIONS:
            raise LimitExceeded("one sign-in opens no more applications; sign out and in again")
        session_id, begin = store.build_session(found, holder.expires)
        unused, use = store.build_use(request.code, found)
        event = self._audit.build(
            audit.APP_SESSION_START,
            success=True,
            user=holder.user,
            app_name=found.app,
            remote_addr=request.remote_addr,
            expires=render_time(holder.expires),
        )
        try:
            await self._stores.backend.commit([unused], [*former, use, begin, event.put])
        except CompareFailed as error:
            raise AccessDenied(_OVER) from error
        self._audit.committed(event)
        return p.AppRedeemResponse(app_session_id=session_id, expires=holder.expires)

    async def find_holder(self, app_session_id: str, app: str) -> p.SessionResponse:
        """Return whose application session it is, by the roles of now.

        Raises:
            AccessDenied: it is over, or for another application.
        """
        found = await self._stores.app_sessions.find(app_session_id)
        if found is None or found.app != app:
            raise AccessDenied("the application session is over; open the application again")
        return await self._sessions.find_holder(found.web_session)

    async def end(self, request: p.SessionRequest, _: Caller) -> Empty:
        """End a web session, and with it every application session that began from it."""
        web_session = self._stores.web_sessions.lookup_id(request.session_id)
        record = await self._stores.web_sessions.find(web_session)
        if record is None:
            return Empty()
        apps = sorted(set((await self._stores.app_sessions.list_of(web_session)).values()))
        events = [self._audit.build(audit.APP_SESSION_END, user=record.user, app_name=app) for app in apps]
        end = self._stores.web_sessions.build_end(web_session)
        await self._stores.backend.commit([], [end, *(event.put for event in events)])
        self._audit.committed(*events)
        return Empty()
