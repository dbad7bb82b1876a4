"""Failed logins, counted by name whether there is such a user or not; five in a row lock it for half an hour."""

from datetime import datetime, timedelta

from teleport.auth.records import decode, encode
from teleport.backend.protocol import Backend, Condition, Delete, Put
from teleport.clock import Clock
from teleport.errors import CompareFailed, LimitExceeded
from teleport.pki.seal import Sealer

PREFIX = "login_attempts/"
MAX_FAILURES = 5
LOCK = timedelta(minutes=30)
MAX_TRIES = 8


class LoginAttempts:
    """The count.

    An attempt is counted before the password is looked at, so that many at once are no more than five.

    Args:
        backend: where the records are.
        sealer: computes the keyed hashes: a name that was typed may be a password.
        clock: when a lock ends.
    """

    def __init__(self, *, backend: Backend, sealer: Sealer, clock: Clock) -> None:
        self._backend = backend
        self._sealer = sealer
        self._clock = clock

    async def begin(self, name: str) -> bool:
        """Count an attempt and tell whether it may be made; while a name is locked nothing is counted.

        Raises:
            LimitExceeded: so many are made at once that this one could not be counted.
        """
        key = self._key(name)
        for _ in range(MAX_TRIES):
            item = await self._backend.get(key)
            failures = 0 if item is None else int(decode(item.value))
            if failures >= MAX_FAILURES:
                return False
            put = Put(key, encode(failures + 1), self._clock.now() + LOCK)
            try:
                await self._backend.commit([Condition(key, item.revision if item else None)], [put])
            except CompareFailed:
                continue
            return True
        raise LimitExceeded("too many logins at once for this user", timedelta(seconds=1))

    def build_end(self, name: str) -> Delete:
        """Return the write that forgets the failures of a name, and ends its lock."""
        return Delete(self._key(name))

    async def find_lock_end(self, name: str) -> datetime | None:
        """Return until when a name is locked, or None."""
        item = await self._backend.get(self._key(name))
        return item.expires if item is not None and int(decode(item.value)) >= MAX_FAILURES else None

    def _key(self, name: str) -> str:
        return PREFIX + self._sealer.lookup_id(f"login {name}")
