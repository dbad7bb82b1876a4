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
        return Put(PREFIX + self.lookup_id(session_id), encode([session.user, session.epoch]), session.expires)

    def lookup_id(self, session_id: str) -> str:
        """Return what a session of this id is filed under."""
        return self._sealer.lookup_id(f"web session {session_id}")

    async def find(self, lookup_id: str) -> WebSessionRecord | None:
        """Return the session that is filed under this hash and whose time is not over, or None."""
        item = await self._backend.get(PREFIX + lookup_id)
        if item is None or item.expires is None:
            return None
        user, epoch = decode(item.value)
        return WebSessionRecord(user, epoch, item.expires)

    def build_end(self, lookup_id: str) -> Delete:
        """Return the write that ends a session."""
        return Delete(PREFIX + lookup_id)
