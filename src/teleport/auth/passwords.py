"""Passwords: argon2id by OWASP's parameters, in threads, so many at once and no more."""

import asyncio
import unicodedata
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from teleport.errors import BadParameter, LimitExceeded

T = TypeVar("T")

MIN_CHARACTERS = 12
MAX_BYTES = 128
MEMORY_KIB = 19 * 1024
ITERATIONS = 2
LANES = 1
MAX_AT_ONCE = 2
MAX_WAITING = 64


def check_password(password: str) -> None:
    """Refuse a password that is too short, or longer than anybody types.

    Raises:
        BadParameter: says which.
    """
    if len(password) < MIN_CHARACTERS:
        raise BadParameter(f"a password has at least {MIN_CHARACTERS} characters")
    if len(_to_bytes(password)) > MAX_BYTES:
        raise BadParameter(f"a password has at most {MAX_BYTES} bytes")


class PasswordKeeper:
    """Hashes and verifies.

    Args:
        memory_kib: what one hash takes; tests take less.
    """

    def __init__(self, *, memory_kib: int = MEMORY_KIB) -> None:
        self._hasher = PasswordHasher(time_cost=ITERATIONS, memory_cost=memory_kib, parallelism=LANES)
        self._nobodys = self._hasher.hash("nobody's")
        self._turns = asyncio.Semaphore(MAX_AT_ONCE)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Return the hash of a password that was checked.

        Raises:
            LimitExceeded: too many wait already.
        """
        return await self._in_turn(lambda: self._hasher.hash(_to_bytes(password)))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Tell whether the password is the one; without a hash the answer is no, after as much work.

        Raises:
            LimitExceeded: too many wait already.
        """
        raw = _to_bytes(password)[: MAX_BYTES + 1]  # one byte more than any password has: it fits none
        is_good = await self._in_turn(lambda: self._verify(password_hash or self._nobodys, raw))
        return is_good and password_hash is not None

    def _verify(self, password_hash: str, raw: bytes) -> bool:
        try:
            return self._hasher.verify(password_hash, raw)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_turn(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise LimitExceeded("too many logins at once", timedelta(seconds=5))
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1


def _to_bytes(password: str) -> bytes:
    """Return the bytes of a password, however a keyboard composes its letters (RFC 8265, 4.2.2)."""
    return unicodedata.normalize("NFC", password).encode(errors="surrogatepass")
