"""Users and roles as resources: who they are and what they may; never by what somebody proves who they are."""

from collections.abc import Awaitable, Callable

from teleport.auth import audit
from teleport.auth.access import Caller
from teleport.auth.audit import AuditLog, EventType
from teleport.auth.resources import Page
from teleport.auth.roles import RoleTable, check_stored_role
from teleport.auth.stores import Stores
from teleport.auth.stores.users import StoredUser
from teleport.backend.protocol import Write
from teleport.errors import BadParameter, CompareFailed
from teleport.resources.access_role import PRESET_ROLES, Role
from teleport.resources.model import Resource
from teleport.resources.user import User, UserStatus, check_user


class UserResources:
    """Users.

    Args:
        stores: where they, their invitations and their failures are.
        roles: those that a user may have.
        audit_log: told of every change, in the same commit.
    """

    def __init__(self, *, stores: Stores, roles: RoleTable, audit_log: AuditLog) -> None:
        self._users = stores.users
        self._invites = stores.invites
        self._attempts = stores.login_attempts
        self._roles = roles
        self._audit = audit_log

    async def get(self, name: str, *, with_secrets: bool) -> Resource:  # noqa: ARG002 - they stay here
        """Return a user and how they fare."""
        return await self._with_status(await self._users.get(name))

    async def list_page(self, *, after: str, limit: int, with_secrets: bool) -> Page:  # noqa: ARG002 - they stay here
        """Return a page of users and how they fare."""
        users, next_mark = await self._users.list_page(after=after, limit=limit)
        return [await self._with_status(stored) for stored in users], next_mark

    async def create(self, resource: Resource, caller: Caller) -> User:
        """Store a user whose name is free."""
        return await self.create_with(self.check(resource), caller, [])

    async def create_with(self, user: User, caller: Caller, writes: list[Write]) -> User:
        """Store a user whose name is free, and what belongs to them."""
        return await self._record(
            audit.USER_CREATE, user, caller, lambda event: self._users.create(user, [*writes, event])
        )

    async def upsert(self, resource: Resource, caller: Caller) -> Resource:
        """Store a user, whatever was there; what they prove themselves by stays."""
        user = self.check(resource)
        present = await self._users.find(user.name)
        return await self.create(user, caller) if present is None else await self._replace(user, present, caller)

    async def update(self, resource: Resource, caller: Caller) -> Resource:
        """Replace a user at a revision."""
        user = self.check(resource)
        present = await self._users.get(user.name)
        if user.metadata.revision != str(present.revision):
            raise CompareFailed("the user changed since it was read; read it again and repeat the change")
        return await self._replace(user, present, caller)

    async def delete(self, name: str, revision: str, caller: Caller) -> str:
        """Remove a user: their sessions and invitations end with them."""
        present = await self._users.get(name)
        if revision and revision != str(present.revision):
            raise CompareFailed("the user changed since it was read; read it again and repeat the deletion")
        removals: list[Write] = [invite.removal for invite in await self._invites.list_of_user(name)]
        removals.append(self._attempts.build_end(name))

        async def remove(event: Write) -> User:
            await self._users.delete(present, [*removals, event])
            return present.user

        await self._record(audit.USER_DELETE, present.user, caller, remove)
        return name

    def check(self, resource: Resource) -> User:
        """Return a user that may be stored.

        Raises:
            BadParameter: it is none, malformed, or has a role that nobody made.
        """
        if not isinstance(resource, User):
            raise BadParameter(f"this is a {resource.kind} and no user")
        check_user(resource)
        self._roles.check_exist(resource.spec.roles)
        return resource

    async def _replace(self, user: User, present: StoredUser, caller: Caller) -> User:
        return await self._record(
            audit.USER_UPDATE, user, caller, lambda event: self._users.replace(user, present, [event])
        )

    async def _with_status(self, stored: StoredUser) -> User:
        name = stored.user.name
        status = UserStatus(
            is_enrolled=await self._users.find_credentials(name) is not None,
            locked_until=await self._attempts.find_lock_end(name),
        )
        return stored.user.model_copy(update={"spec": stored.user.spec.model_copy(update={"status": status})})

    async def _record(
        self, event: EventType, user: User, caller: Caller, change: Callable[[Write], Awaitable[User]]
    ) -> User:
        pending = self._audit.build(
            event,
            name=user.name,
            roles=list(user.spec.roles),
            user=caller.name,
            user_kind=caller.kind,
            remote_addr=caller.remote_addr,
        )
        changed = await change(pending.put)
        self._audit.committed(pending)
        return changed


class RoleResources:
    """Roles; a change counts from the moment that it is stored.

    Args:
        stores: where they are.
        roles: the table that everything is judged by.
        audit_log: told of every change, in the same commit.
    """

    def __init__(self, *, stores: Stores, roles: RoleTable, audit_log: AuditLog) -> None:
        self._stored = stores.roles
        self._table = roles
        self._audit = audit_log

    async def reload(self) -> None:
        """Judge by what is stored now."""
        self._table.replace(await self._stored.load())

    async def get(self, name: str, *, with_secrets: bool) -> Resource:  # noqa: ARG002 - there are none
        """Return a role."""
        return PRESET_ROLES.get(name) or await self._stored.get(name)

    async def list_page(self, *, after: str, limit: int, with_secrets: bool) -> Page:  # noqa: ARG002 - one page holds all
        """Return all roles."""
        return list(self._table.list_all()), ""

    async def create(self, resource: Resource, caller: Caller) -> Resource:
        """Store a role whose name is free."""
        role = _check_role(resource)
        return await self._record(audit.ROLE_CREATE, role, caller, lambda event: self._stored.create(role, [event]))

    async def upsert(self, resource: Resource, caller: Caller) -> Resource:
        """Store a role, whatever was there."""
        role = _check_role(resource)
        return await self._record(audit.ROLE_UPDATE, role, caller, lambda event: self._stored.upsert(role, [event]))

    async def update(self, resource: Resource, caller: Caller) -> Resource:
        """Replace a role at its revision."""
        role = _check_role(resource)
        return await self._record(audit.ROLE_UPDATE, role, caller, lambda event: self._stored.update(role, [event]))

    async def delete(self, name: str, revision: str, caller: Caller) -> str:
        """Remove a role: from now on it gives nothing to those who have it.

        Raises:
            BadParameter: it is a preset.
        """
        if name in PRESET_ROLES:
            raise BadParameter(f"role {name!r} is a preset; it is always there and cannot be removed")
        role = await self._stored.get(name)

        async def remove(event: Write) -> Role:
            await self._stored.delete(name, revision, [event])
            return role

        await self._record(audit.ROLE_DELETE, role, caller, remove)
        return name

    async def _record(
        self, event: EventType, role: Role, caller: Caller, change: Callable[[Write], Awaitable[Role]]
    ) -> Role:
        pending = self._audit.build(
            event, name=role.name, user=caller.name, user_kind=caller.kind, remote_addr=caller.remote_addr
        )
        changed = await change(pending.put)
        self._audit.committed(pending)
        await self.reload()
        return changed


def _check_role(resource: Resource) -> Role:
    if not isinstance(resource, Role):
        raise BadParameter(f"this is a {resource.kind} and no role")
    check_stored_role(resource)
    return resource
