"""Static tokens: written in the auth server's configuration, kept in the cluster as one record.

The last auth server to start decides what they are, as in the original. They never expire and cannot be deleted.
"""

from collections.abc import Sequence

from teleport.auth.records import decode, encode
from teleport.auth.stores.tokens import StoredToken
from teleport.backend.protocol import Backend, Put
from teleport.pki.seal import Sealer
from teleport.resources.model import Metadata
from teleport.resources.role import SystemRole
from teleport.resources.token import TOKEN_METHOD, Token, TokenSpec

KEY = "static_tokens"
KIND = "static_tokens"
ORIGIN_LABEL = "teleport.dev/origin"
ORIGIN = "config-file"


class StaticTokenStore:
    """The static tokens, by the keyed hash of their name.

    Args:
        backend: where the record is.
        sealer: seals it.
    """

    def __init__(self, *, backend: Backend, sealer: Sealer) -> None:
        self._backend = backend
        self._sealer = sealer
        self._by_id: dict[str, StoredToken] = {}

    async def replace(self, tokens: Sequence[tuple[tuple[SystemRole, ...], str]]) -> None:
        """Make these, roles and secret each, the static tokens of the cluster."""
        record = [{"roles": list(roles), "token": secret} for roles, secret in tokens]
        await self._backend.commit([], [Put(KEY, self._sealer.seal(encode(record), key=KEY, kind=KIND))])
        await self.reload()

    async def reload(self) -> None:
        """Read what the cluster's static tokens are at present."""
        item = await self._backend.get(KEY)
        record = decode(self._sealer.open(item.value, key=KEY, kind=KIND)) if item is not None else []
        found = [self._build(entry["token"], entry["roles"]) for entry in record]
        self._by_id = {stored.lookup_id: stored for stored in found}

    def find(self, lookup_id: str) -> StoredToken | None:
        """Return the static token that is filed under this hash."""
        return self._by_id.get(lookup_id)

    def list_all(self) -> list[Token]:
        """Return all of them."""
        return [stored.token for stored in self._by_id.values()]

    def _build(self, secret: str, roles: Sequence[str]) -> StoredToken:
        token = Token(
            metadata=Metadata(name=secret, labels={ORIGIN_LABEL: ORIGIN}),
            spec=TokenSpec(roles=tuple(SystemRole(role) for role in roles), join_method=TOKEN_METHOD),
        )
        return StoredToken(token=token, lookup_id=self._sealer.lookup_id(secret), revision=None)
