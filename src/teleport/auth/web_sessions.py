"""Sessions of the web page: how long they last, and whose they are by the roles of now."""

from datetime import timedelta

from teleport.api import people as p
from teleport.auth.access import Caller
from teleport.auth.roles import RoleTable
from teleport.auth.stores import Stores
from teleport.auth.stores.invites import generate_id
from teleport.auth.stores.users import StoredUser
from teleport.auth.stores.web_sessions import WebSessionRecord
from teleport.backend.protocol import Put
from teleport.clock import Clock
from teleport.errors import AccessDenied

LONGEST_SESSION = timedelta(hours=12)


class WebSessions:
    """The use cases of sessions.

    Args:
        stores: where sessions and users are.
        roles: bound how long a session lasts.
        clock: when sessions end.
    """

    def __init__(self, *, stores: Stores, roles: RoleTable, clock: Clock) -> None:
        self._stores = stores
        self._roles = roles
        self._clock = clock

    def build(self, stored: StoredUser) -> tuple[p.WebSession, Put]:
        """Return a new session for a user, and the write that begins it."""
        user = stored.user
        expires = self._clock.now() + self._roles.find_session_ttl(user.spec.roles, LONGEST_SESSION)
        session = p.WebSession(
            session_id=generate_id(), user=user.name, roles=user.spec.roles, traits=user.spec.traits, expires=expires
        )
        record = WebSessionRecord(user.name, stored.epoch, expires)
        return session, self._stores.web_sessions.build_put(session.session_id, record)

    async def show(self, request: p.SessionRequest, _: Caller) -> p.SessionResponse:
        """Tell whose session it is.

        Raises:
            AccessDenied: it is over, or the user was removed or reset.
        """
        return await self.find_holder(self._stores.web_sessions.lookup_id(request.session_id))

    async def find_holder(self, lookup_id: str) -> p.SessionResponse:
        """Tell whose session it is that is filed under this hash.

        Raises:
            AccessDenied: it is over, or the user was removed or reset.
        """
        session = await self._stores.web_sessions.find(lookup_id)
        stored = await self._stores.users.find(session.user) if session is not None else None
        if session is None or stored is None or stored.epoch != session.epoch:
            raise AccessDenied("the session is over; sign in again")
        spec = stored.user.spec
        return p.SessionResponse(user=session.user, roles=spec.roles, traits=spec.traits, expires=session.expires)
