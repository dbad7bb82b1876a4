"""The ledger: when, from where and with which outcome each token was used."""

from datetime import UTC, datetime, timedelta

from teleport.api.messages import TokenUse
from teleport.auth.records import build_time_key, decode, encode
from teleport.backend.protocol import Backend, Put

_TEXTS = ("host_id", "remote_addr", "role", "outcome", "subject")
"""In the order of a record, which is shorter where an older version wrote it."""


class Ledger:
    """Entries by token, newest first.

    Args:
        backend: where they are.
        retention: how long an entry stays.
    """

    def __init__(self, *, backend: Backend, retention: timedelta) -> None:
        self._backend = backend
        self._retention = retention

    def build_entry(self, lookup_id: str, use: TokenUse, now: datetime) -> Put:
        """Return the write of one entry; it goes into the commit of what it tells of."""
        key = f"{_prefix(lookup_id)}{build_time_key(now)}"
        record = [use.time.timestamp(), use.host_id, use.remote_addr, use.role, use.outcome, use.subject]
        return Put(key, encode(record), now + self._retention)

    async def list_newest(self, lookup_id: str, limit: int) -> list[TokenUse]:
        """Return the newest entries of a token."""
        items = await self._backend.range(_prefix(lookup_id), limit=limit, newest_first=True)
        return [_parse(item.value) for item in items]


def _prefix(lookup_id: str) -> str:
    return f"token_uses/{lookup_id}/"


def _parse(value: bytes) -> TokenUse:
    timestamp, *texts = decode(value)
    return TokenUse(time=datetime.fromtimestamp(timestamp, UTC), **dict(zip(_TEXTS, texts, strict=False)))
