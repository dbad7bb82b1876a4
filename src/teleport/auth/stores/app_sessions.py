"""Application sessions of browsers, and the codes by which they begin; only keyed hashes of both are stored.

A session's id begins with what its web session is filed under, so that all of one web session are found, and end,
together.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime

from teleport.auth.records import decode, encode
from teleport.backend.protocol import Backend, Condition, Delete, Put
from teleport.errors import AccessDenied
from teleport.pki.base64url import encode_base64url
from teleport.pki.seal import Sealer

CODES = "app_codes/"
SESSIONS = "app_sessions/"
MAX_SESSIONS = 100
"""Of one web session."""

_ID = re.compile(r"([0-9a-f]{64})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class AppCode:
    """What a code is good for: one application, for the browser that has this state, within a web session."""

    web_session: str
    """What the web session is filed under."""
    app: str
    state: str
    revision: int = 0


@dataclass(frozen=True, slots=True)
class AppSessionRecord:
    """An application session."""

    web_session: str
    app: str


class AppSessionStore:
    """Codes and sessions.

    Args:
        backend: where they are.
        sealer: computes the keyed hashes.
    """

    def __init__(self, *, backend: Backend, sealer: Sealer) -> None:
        self._backend = backend
        self._sealer = sealer

    async def add_code(self, code: str, wanted: AppCode, expires: datetime) -> None:
        """Keep a code; of the state only a hash."""
        record = [wanted.web_session, wanted.app, self._sealer.lookup_id(f"app state {wanted.state}")]
        await self._backend.commit([], [Put(self._code_key(code), encode(record), expires)])

    async def find_code(self, code: str, state: str) -> AppCode | None:
        """Return what a code is good for, or None where it is unknown, used, over, or another browser's."""
        item = await self._backend.get(self._code_key(code))
        if item is None:
            return None
        web_session, app, kept = decode(item.value)
        if kept != self._sealer.lookup_id(f"app state {state}"):
            return None
        return AppCode(web_session, app, state, item.revision)

    def build_use(self, code: str, found: AppCode) -> tuple[Condition, Delete]:
        """Return the condition that a code is unused, and the write that uses it."""
        key = self._code_key(code)
        return Condition(key, found.revision), Delete(key)

    def build_session(self, found: AppCode, expires: datetime) -> tuple[str, Put]:
        """Return the id of a new session, and the write that begins it."""
        session_id = f"{found.web_session}.{encode_base64url(secrets.token_bytes(32))}"
        return session_id, Put(self._session_key(session_id), encode([found.app]), expires)

    async def find(self, session_id: str) -> AppSessionRecord | None:
        """Return a session whose time is not over, or None."""
        match = _ID.fullmatch(session_id)
        item = await self._backend.get(self._session_key(session_id)) if match is not None else None
        return AppSessionRecord(match[1], decode(item.value)[0]) if match is not None and item is not None else None

    async def list_of(self, web_session: str) -> dict[str, str]:
        """Return the applications of a web session's sessions, by the keys of these."""
        items = await self._backend.range(f"{SESSIONS}{web_session}/", limit=MAX_SESSIONS)
        return {item.key: decode(item.value)[0] for item in items}

    def _code_key(self, code: str) -> str:
        return CODES + self._sealer.lookup_id(f"app code {code}")

    def _session_key(self, session_id: str) -> str:
        match = _ID.fullmatch(session_id)
        if match is None:
            raise AccessDenied("this is no id of an application session")
        return f"{SESSIONS}{match[1]}/{self._sealer.lookup_id(f'app session {session_id}')}"
