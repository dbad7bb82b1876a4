"""Roles in the store; the presets are not in it."""

from collections.abc import Sequence

from teleport.auth.records import decode, encode
from teleport.backend.protocol import Backend, Condition, Delete, Item, Put, Write
from teleport.errors import AlreadyExists, CompareFailed, NotFound
from teleport.resources.access_role import Role
from teleport.resources.codec import to_plain

PREFIX = "roles/"
MAX_ROLES = 1000


class RoleStore:
    """The roles that people made.

    Args:
        backend: where they are.
    """

    def __init__(self, *, backend: Backend) -> None:
        self._backend = backend

    async def load(self) -> list[Role]:
        """Return all of them."""
        return [_parse(item) for item in await self._backend.range(PREFIX, limit=MAX_ROLES)]

    async def get(self, name: str) -> Role:
        """Return one.

        Raises:
            NotFound: there is none of this name.
        """
        item = await self._backend.get(PREFIX + name)
        if item is None:
            raise NotFound(f"role {name[:64]!r} not found")
        return _parse(item)

    async def create(self, role: Role, writes: Sequence[Write]) -> Role:
        """Store a role whose name is free.

        Raises:
            AlreadyExists: the name is taken.
        """
        try:
            return await self._put(role, [Condition(PREFIX + role.name, None)], writes)
        except CompareFailed as error:
            raise AlreadyExists(f"role {role.name!r} exists already; choose another name or use --force") from error

    async def upsert(self, role: Role, writes: Sequence[Write]) -> Role:
        """Store a role, whatever was there."""
        return await self._put(role, [], writes)

    async def update(self, role: Role, writes: Sequence[Write]) -> Role:
        """Replace a role at its revision.

        Raises:
            NotFound: there is none of this name.
            CompareFailed: it has moved on.
        """
        present = await self.get(role.name)
        if role.metadata.revision != present.metadata.revision:
            raise CompareFailed("the role changed since it was read; read it again and repeat the change")
        return await self._put(role, [Condition(PREFIX + role.name, int(present.metadata.revision))], writes)

    async def delete(self, name: str, revision: str, writes: Sequence[Write]) -> None:
        """Remove a role.

        Raises:
            NotFound: there is none of this name.
            CompareFailed: a revision was given and it has moved on.
        """
        present = await self.get(name)
        if revision and revision != present.metadata.revision:
            raise CompareFailed("the role changed since it was read; read it again and repeat the deletion")
        condition = Condition(PREFIX + name, int(present.metadata.revision))
        await self._backend.commit([condition], [Delete(PREFIX + name), *writes])

    async def _put(self, role: Role, conditions: Sequence[Condition], writes: Sequence[Write]) -> Role:
        put = Put(PREFIX + role.name, encode(to_plain(role.with_metadata(revision=""))))
        return role.with_metadata(revision=str(await self._backend.commit(conditions, [put, *writes])))


def _parse(item: Item) -> Role:
    return Role.model_validate(decode(item.value)).with_metadata(revision=str(item.revision))
