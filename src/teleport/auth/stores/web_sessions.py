"""Sessions of the web page; only a keyed hash of a session's id is stored."""

from dataclasses import dataclass
from datetime import datetime

from teleport.auth.records import decode, encode
from teleport.backend.protocol import Backend, Delete, Put
from teleport.pki.seal import Sealer

PREFIX = "web_sessions/"


@dataclass(frozen=True, slots=True)
class WebSessionRecord:
    """Whose session it is, in which epoch of theirs it began, and when it ends."""

    user: str
    epoch: str
    expires: datetime


class WebSessionStore:
    """The sessions.

    Args:
        backend: where they are.
        sealer: computes the keyed hashes.
    """

    def __init__(self, *, backend: Backend, sealer: Sealer) -> None:
        self._backend = backend
        self._sealer = sealer

    def build_put(self, session_id: str, session: WebSessionRecord) -> Put:
        """Return the write that begins a session."""
        return Put(self._key(session_id), encode([session.user, session.epoch]), session.expires)

    async def find(self, session_id: str) -> WebSessionRecord | None:
        """Return a session whose time is not over, or None."""
        item = await self._backend.get(self._key(session_id))
        if item is None or item.expires is None:
            return None
        user, epoch = decode(item.value)
        return WebSessionRecord(user, epoch, item.expires)

    async def end(self, session_id: str) -> None:
        """End a session; one that is not there has ended already."""
        await self._backend.commit([], [Delete(self._key(session_id))])

    def _key(self, session_id: str) -> str:
        return PREFIX + self._sealer.lookup_id(f"web session {session_id}")
