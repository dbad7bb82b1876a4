"""Users in the store, and apart from them, sealed, by what they prove who they are."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from teleport.auth.records import decode, encode
from teleport.backend.protocol import Backend, Condition, Delete, Item, Put, Write
from teleport.errors import AlreadyExists, CompareFailed, NotFound
from teleport.pki.seal import Sealer
from teleport.resources.codec import to_plain
from teleport.resources.user import User, UserStatus

PREFIX = "users/"
CREDENTIALS = "credentials/"
CREDENTIALS_KIND = "credentials"


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A user; sessions are good for the epoch in which they began, and a reset begins another."""

    user: User
    epoch: str
    revision: int

    @property
    def unchanged(self) -> Condition:
        """Return what must hold when something is committed that this user was judged by."""
        return Condition(PREFIX + self.user.name, self.revision)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A password's hash, the second factor's secret, and the step of the last code that was accepted."""

    password_hash: str = field(repr=False)
    totp_secret: str = field(repr=False)
    last_step: int


class UserStore:
    """The users.

    Args:
        backend: where they are.
        sealer: seals the credentials.
    """

    def __init__(self, *, backend: Backend, sealer: Sealer) -> None:
        self._backend = backend
        self._sealer = sealer

    async def find(self, name: str) -> StoredUser | None:
        """Return a user, or None."""
        item = await self._backend.get(PREFIX + name)
        return None if item is None else _parse(item)

    async def get(self, name: str) -> StoredUser:
        """Return a user.

        Raises:
            NotFound: there is none of this name.
        """
        found = await self.find(name)
        if found is None:
            raise NotFound(f"user {name[:128]!r} not found")
        return found

    async def list_page(self, *, after: str, limit: int) -> tuple[list[StoredUser], str]:
        """Return a page of users, and the mark of the next page or an empty one."""
        items = await self._backend.range(PREFIX, after=after, limit=limit)
        return [_parse(item) for item in items], items[-1].key if len(items) == limit else ""

    async def create(self, user: User, writes: Sequence[Write]) -> User:
        """Store a user whose name is free.

        Raises:
            AlreadyExists: the name is taken.
        """
        try:
            return await self._put(user, _new_epoch(), [Condition(PREFIX + user.name, None)], writes)
        except CompareFailed as error:
            raise AlreadyExists(f"user {user.name!r} exists already") from error

    async def replace(self, user: User, present: StoredUser, writes: Sequence[Write]) -> User:
        """Store a user in the place of one that is still as it was read; sessions go on, by the new roles.

        Raises:
            CompareFailed: the user has moved on.
        """
        return await self._put(user, present.epoch, [present.unchanged], writes)

    async def reset(self, present: StoredUser, writes: Sequence[Write]) -> None:
        """Forget by what a user proves who they are, and end their sessions."""
        forget = Delete(CREDENTIALS + present.user.name)
        await self._put(present.user, _new_epoch(), [present.unchanged], [forget, *writes])

    async def delete(self, present: StoredUser, writes: Sequence[Write]) -> None:
        """Remove a user; with the epoch their sessions end."""
        name = present.user.name
        await self._backend.commit([present.unchanged], [Delete(PREFIX + name), Delete(CREDENTIALS + name), *writes])

    async def find_credentials(self, name: str) -> tuple[Credentials, Condition] | None:
        """Return by what a user proves who they are, and the condition that it is still that."""
        item = await self._backend.get(CREDENTIALS + name)
        if item is None:
            return None
        record = decode(self._sealer.open(item.value, key=item.key, kind=CREDENTIALS_KIND))
        return Credentials(**record), Condition(item.key, item.revision)

    def build_credentials(self, name: str, credentials: Credentials) -> Put:
        """Return the write that stores by what a user proves who they are."""
        key = CREDENTIALS + name
        record = {
            "password_hash": credentials.password_hash,
            "totp_secret": credentials.totp_secret,
            "last_step": credentials.last_step,
        }
        return Put(key, self._sealer.seal(encode(record), key=key, kind=CREDENTIALS_KIND))

    async def _put(self, user: User, epoch: str, conditions: Sequence[Condition], writes: Sequence[Write]) -> User:
        bare = user.model_copy(update={"spec": user.spec.model_copy(update={"status": UserStatus()})})
        record = {"user": to_plain(bare.with_metadata(revision="")), "epoch": epoch}
        revision = await self._backend.commit(conditions, [Put(PREFIX + user.name, encode(record)), *writes])
        return bare.with_metadata(revision=str(revision))


def _new_epoch() -> str:
    return secrets.token_hex(16)


def _parse(item: Item) -> StoredUser:
    record = decode(item.value)
    user = User.model_validate(record["user"]).with_metadata(revision=str(item.revision))
    return StoredUser(user, record["epoch"], item.revision)
