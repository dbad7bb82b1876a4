"""Resources by kind: what can be read, written and deleted over the API, and which audit event a change leaves."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from teleport.auth import audit
from teleport.auth.access import Caller
from teleport.auth.audit import AuditLog, EventType, Pending
from teleport.auth.stores import Stores
from teleport.auth.stores.authorities import AuthorityStore
from teleport.auth.stores.invites import Invite
from teleport.auth.stores.presence import PresenceStore
from teleport.backend.protocol import Write
from teleport.clock import Clock
from teleport.errors import BadParameter, NotFound, NotSupported
from teleport.join.catalog import find_method
from teleport.join.method import Judge
from teleport.resources.authority import AuthorityType
from teleport.resources.model import Resource
from teleport.resources.role import SystemRole
from teleport.resources.token import Token, check_token, fill_defaults, safe_name

Page = tuple[list[Resource], str]
"""Resources, and the mark of the next page or an empty one."""


class ResourceStore(Protocol):
    """One kind of resource as the API offers it."""

    async def get(self, name: str, *, with_secrets: bool) -> Resource:
        """Return a resource."""
        ...

    async def list_page(self, *, after: str, limit: int, with_secrets: bool) -> Page:
        """Return a page of them."""
        ...

    async def create(self, resource: Resource, caller: Caller) -> Resource:
        """Store a resource whose name is free."""
        ...

    async def upsert(self, resource: Resource, caller: Caller) -> Resource:
        """Store a resource, whatever was there."""
        ...

    async def update(self, resource: Resource, caller: Caller) -> Resource:
        """Replace a resource at a revision."""
        ...

    async def delete(self, name: str, revision: str, caller: Caller) -> str:
        """Remove a resource and return its name as lists show it."""
        ...


class ReadOnlyStore:
    """The answers of a kind that nobody writes over the API."""

    async def create(self, resource: Resource, caller: Caller) -> Resource:  # noqa: ARG002 - refused before a look
        """Refuse."""
        raise NotSupported(f"resources of kind {resource.kind} cannot be created")

    upsert = update = create

    async def delete(self, name: str, revision: str, caller: Caller) -> str:  # noqa: ARG002 - refused before a look
        """Refuse."""
        raise NotSupported("resources of this kind cannot be deleted")


class TokenResources:
    """Join tokens.

    Args:
        stores: the stored ones, and those from the configuration, which lists show and nobody deletes.
        judges: the join methods' judges, which know what may stand in their section.
        audit_log: told of every change, in the same commit.
        clock: for default lives.
    """

    def __init__(
        self,
        *,
        stores: Stores,
        judges: Mapping[str, Judge],
        audit_log: AuditLog,
        clock: Clock,
    ) -> None:
        self._tokens = stores.tokens
        self._static_tokens = stores.static_tokens
        self._invites = stores.invites
        self._backend = stores.backend
        self._judges = judges
        self._audit = audit_log
        self._clock = clock

    async def get(self, name: str, *, with_secrets: bool) -> Resource:
        """Return a token, its name masked unless secrets are asked for."""
        invite = await self._invites.find(name)
        if invite is not None:
            return invite.to_token()
        static = self._static_tokens.find(self._tokens.lookup_id(name))
        token = static.token if static is not None else await self._tokens.get(name)
        return token if with_secrets else _mask(token)

    async def list_page(self, *, after: str, limit: int, with_secrets: bool) -> Page:
        """Return a page of tokens; the static ones and users' invitations stand on the first."""
        stored, next_mark = await self._tokens.list_page(after=after, limit=limit)
        invites = [] if after else [invite.to_token() for invite in await self._invites.list_all()]
        tokens = [*([] if after else self._static_tokens.list_all()), *invites, *stored]
        return [token if with_secrets else _mask(token) for token in tokens], next_mark

    async def create(self, resource: Resource, caller: Caller) -> Resource:
        """Store a token whose name is free."""
        token = self._check(resource)
        trusted_cluster = SystemRole.TRUSTED_CLUSTER in token.spec.roles
        event = audit.TRUSTED_CLUSTER_TOKEN_CREATE if trusted_cluster else audit.TOKEN_CREATE
        return await self._record(event, token, caller, lambda write: self._tokens.create(token, [write]))

    async def upsert(self, resource: Resource, caller: Caller) -> Resource:
        """Store a token, whatever was there."""
        token = self._check(resource)
        return await self._record(audit.TOKEN_UPDATE, token, caller, lambda write: self._tokens.upsert(token, [write]))

    async def update(self, resource: Resource, caller: Caller) -> Resource:
        """Replace a token at its revision."""
        token = self._check(resource)
        return await self._record(audit.TOKEN_UPDATE, token, caller, lambda write: self._tokens.update(token, [write]))

    async def delete(self, name: str, revision: str, caller: Caller) -> str:
        """Remove a token.

        Raises:
            BadParameter: it is a static one.
        """
        if self._static_tokens.find(self._tokens.lookup_id(name)) is not None:
            raise BadParameter(
                f"token {safe_name(name)!r} is static; remove it from auth_service.tokens and restart the auth server"
            )
        invite = await self._invites.find(name)
        if invite is not None:
            return await self._end_invite(invite, caller)
        token = await self._tokens.get(name)
        await self._record(
            audit.TOKEN_DELETE, token, caller, lambda write: self._tokens.delete(name, revision, [write])
        )
        return token.safe_name

    async def _end_invite(self, invite: Invite, caller: Caller) -> str:
        token = invite.to_token()

        async def end(event: Write) -> Token:
            await self._backend.commit([invite.unchanged], [invite.removal, event])
            return token

        await self._record(audit.TOKEN_DELETE, token, caller, end)
        return token.safe_name

    def _check(self, resource: Resource) -> Token:
        if not isinstance(resource, Token):
            raise BadParameter(f"this is a {resource.kind} and no token")
        token = fill_defaults(resource, self._clock.now())
        check_token(token)
        find_method(token.spec.join_method)
        self._judges[token.spec.join_method].check_token(token)
        return token

    async def _record(
        self, event: EventType, token: Token, caller: Caller, change: Callable[[Write], Awaitable[Token]]
    ) -> Token:
        pending: Pending = self._audit.build(
            event,
            token_name=token.safe_name,
            roles=list(token.spec.roles),
            method=token.spec.join_method,
            token_expires=token.model_dump(mode="json")["metadata"]["expires"],
            user=caller.name,
            user_kind=caller.kind,
            remote_addr=caller.remote_addr,
        )
        changed = await change(pending.put)
        self._audit.committed(pending)
        return changed


class PresenceResources(ReadOnlyStore):
    """One kind of presence record; hosts write them by heartbeats, and an administrator may delete one."""

    def __init__(self, *, presence: PresenceStore, kind: str) -> None:
        self._presence = presence
        self._kind = kind

    async def get(self, name: str, *, with_secrets: bool) -> Resource:  # noqa: ARG002 - there are none
        """Return a record."""
        return await self._presence.get(self._kind, name)

    async def list_page(self, *, after: str, limit: int, with_secrets: bool) -> Page:  # noqa: ARG002 - there are none
        """Return a page of records."""
        return await self._presence.list_page(self._kind, after=after, limit=limit)

    async def delete(self, name: str, revision: str, caller: Caller) -> str:  # noqa: ARG002 - a record has no history
        """Remove a record."""
        await self._presence.delete(self._kind, name)
        return name


class AuthorityResources(ReadOnlyStore):
    """The certificate authorities, without their private keys: those leave the auth server on no path."""

    def __init__(self, *, authorities: AuthorityStore) -> None:
        self._authorities = authorities

    async def get(self, name: str, *, with_secrets: bool) -> Resource:  # noqa: ARG002 - they stay here
        """Return the authority of a type.

        Raises:
            NotFound: there is no such type.
        """
        try:
            kind = AuthorityType(name.split("/", maxsplit=1)[0])
        except ValueError as error:
            raise NotFound(f"there is no authority of type {name[:64]!r}") from error
        return (await self._authorities.get(kind)).without_private_keys()

    async def list_page(self, *, after: str, limit: int, with_secrets: bool) -> Page:  # noqa: ARG002 - one page holds all
        """Return all authorities, in the order of `tctl status`."""
        authorities = await self._authorities.load()
        return [authorities[kind].without_private_keys() for kind in AuthorityType if kind in authorities], ""


def _mask(token: Token) -> Token:
    return token.with_metadata(name=token.safe_name)
