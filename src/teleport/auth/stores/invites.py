"""Links by which a user sets a password and a second factor, once; only a keyed hash of a link's id is stored."""

import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime

from teleport.auth.records import decode, encode
from teleport.backend.protocol import Backend, Condition, Delete, Item, Put
from teleport.errors import NotFound
from teleport.pki.base64url import encode_base64url
from teleport.pki.seal import Sealer
from teleport.resources.model import Metadata
from teleport.resources.role import SystemRole
from teleport.resources.token import TOKEN_METHOD, Token, TokenSpec

PREFIX = "invites/"
KIND = "invite"
USER_LABEL = "teleport.dev/user"
MAX_INVITES = 1000


@dataclass(frozen=True, slots=True)
class Invite:
    """Who is invited, and the second factor that is offered to them."""

    lookup_id: str
    user: str
    is_reset: bool
    totp_secret: str = field(repr=False)
    expires: datetime
    failures: int = 0
    revision: int = 0

    @property
    def unchanged(self) -> Condition:
        """Return what must hold when the invite is used."""
        return Condition(PREFIX + self.lookup_id, self.revision)

    @property
    def removal(self) -> Delete:
        """Return the write that ends the invite."""
        return Delete(PREFIX + self.lookup_id)

    def to_token(self) -> Token:
        """Return the invite as lists of tokens show it: by a name that lets nobody in."""
        return Token(
            metadata=Metadata(name=self.lookup_id, labels={USER_LABEL: self.user}, expires=self.expires),
            spec=TokenSpec(roles=(SystemRole.SIGNUP,), join_method=TOKEN_METHOD),
        )


def generate_id() -> str:
    """Make the id of a link or of a session: 256 random bits."""
    return encode_base64url(secrets.token_bytes(32))


class InviteStore:
    """The links that are open.

    Args:
        backend: where they are.
        sealer: seals the records and computes the keyed hashes.
    """

    def __init__(self, *, backend: Backend, sealer: Sealer) -> None:
        self._backend = backend
        self._sealer = sealer

    def lookup_id(self, invite_id: str) -> str:
        """Return what a link of this id is filed under."""
        return self._sealer.lookup_id(f"{KIND} {invite_id}")

    async def get(self, invite_id: str) -> Invite:
        """Return the invite of a link.

        Raises:
            NotFound: there is none, or its time is over.
        """
        found = await self.find(self.lookup_id(invite_id))
        if found is None:
            raise NotFound("this link is not known, was used, or its time is over; ask for another")
        return found

    async def find(self, lookup_id: str) -> Invite | None:
        """Return the invite that is filed under this hash, or None."""
        item = await self._backend.get(PREFIX + lookup_id)
        return None if item is None else self._open(item)

    async def list_all(self) -> list[Invite]:
        """Return all of them."""
        return [self._open(item) for item in await self._backend.range(PREFIX, limit=MAX_INVITES)]

    async def list_of_user(self, user: str) -> list[Invite]:
        """Return those of a user."""
        return [invite for invite in await self.list_all() if invite.user == user]

    def build_put(self, invite: Invite) -> Put:
        """Return the write that opens a link."""
        key = PREFIX + invite.lookup_id
        record = [invite.user, invite.is_reset, invite.totp_secret, invite.failures]
        return Put(key, self._sealer.seal(encode(record), key=key, kind=KIND), invite.expires)

    async def count_failure(self, invite: Invite, most: int) -> None:
        """Remember a wrong code; the last one that is borne ends the invite."""
        failed = replace(invite, failures=invite.failures + 1)
        write = invite.removal if failed.failures >= most else self.build_put(failed)
        await self._backend.commit([invite.unchanged], [write])

    def _open(self, item: Item) -> Invite:
        user, is_reset, secret, failures = decode(self._sealer.open(item.value, key=item.key, kind=KIND))
        if item.expires is None:
            raise TypeError(f"{item.key} has no end")
        return Invite(
            lookup_id=item.key.removeprefix(PREFIX),
            user=user,
            is_reset=is_reset,
            totp_secret=secret,
            expires=item.expires,
            failures=failures,
            revision=item.revision,
        )
