"""From a request to one use case and back; every operation of the API is one method and one line of the table."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from teleport.api import messages as m
from teleport.api import operations as ops
from teleport.auth.access import Caller, authorize
from teleport.auth.authority import Authority
from teleport.auth.certificates import CertificateIssuing
from teleport.auth.joining import Joining
from teleport.auth.pod_lives import PodLives
from teleport.auth.presence import Heartbeats
from teleport.auth.resources import ResourceStore
from teleport.auth.stores import Stores
from teleport.auth.token_changes import TokenChanges
from teleport.errors import BadParameter
from teleport.resources.codec import parse_kind, parse_resource, to_plain
from teleport.resources.model import Resource, check_name
from teleport.resources.presence import Server
from teleport.resources.token import safe_name
from teleport.version import VERSION

Handler = Callable[[Any, Caller], Awaitable[Any]]


class Handlers:
    """All operations.

    Args:
        authority: for what everybody may know of it.
        joining: admits services.
        issuing: gives certificates to those who have one.
        heartbeats: takes what hosts say of themselves.
        stores: where auth servers, proxies and the tokens' uses are found.
        by_kind: what can be read and written as resources.
        token_changes: tells who waits for changes of tokens.
        pod_lives: whether the lives last to which members are bound.
        people: the lines of the table about people.
    """

    def __init__(
        self,
        *,
        authority: Authority,
        joining: Joining,
        issuing: CertificateIssuing,
        heartbeats: Heartbeats,
        stores: Stores,
        by_kind: Mapping[str, ResourceStore],
        token_changes: TokenChanges,
        pod_lives: PodLives,
        people: Mapping[ops.Operation[Any, Any], Handler],
    ) -> None:
        self._authority = authority
        self._stores = stores
        self._by_kind = by_kind
        self._heartbeats = heartbeats
        self._pod_lives = pod_lives
        self.table: dict[ops.Operation[Any, Any], Handler] = {
            ops.TRUST: self._trust,
            ops.JOIN: joining.join,
            ops.PING: self._ping,
            ops.TRUST_BUNDLE: self._trust_bundle,
            ops.HOST_CERTIFICATES: issuing.issue_host,
            ops.USER_CERTIFICATES: issuing.issue_user,
            ops.HEARTBEAT: self._heartbeat,
            ops.GOODBYE: self._goodbye,
            ops.TOKEN_USES: self._token_uses,
            ops.TOKEN_CHANGES: token_changes.wait,
            ops.ENDED_MEMBERSHIPS: self._ended_memberships,
            ops.RESOURCE_CREATE: self._create,
            ops.RESOURCE_UPSERT: self._upsert,
            ops.RESOURCE_UPDATE: self._update,
            ops.RESOURCE_GET: self._get,
            ops.RESOURCE_LIST: self._list,
            ops.RESOURCE_DELETE: self._delete,
            **people,
        }

    async def _trust(self, _: m.Empty, __: Caller) -> m.TrustResponse:
        return m.TrustResponse(
            cluster_name=self._authority.cluster_name,
            server_version=VERSION,
            host_ca_certificates=self._authority.host_ca_certificates,
        )

    async def _ping(self, _: m.Empty, __: Caller) -> m.PingResponse:
        return m.PingResponse(
            cluster_name=self._authority.cluster_name,
            server_version=VERSION,
            auth_addresses=await self._addresses("auth_server"),
            proxy_addresses=await self._addresses("proxy"),
        )

    async def _addresses(self, kind: str) -> tuple[str, ...]:
        servers, _ = await self._stores.presence.list_page(kind, after="", limit=100)
        found = [server.spec.public_addr or server.spec.addr for server in servers if isinstance(server, Server)]
        return tuple(dict.fromkeys(address for address in found if address))

    async def _trust_bundle(self, request: m.TrustBundleRequest, _: Caller) -> m.TrustBundleResponse:
        bundle = self._authority.trust_bundle
        return m.TrustBundleResponse(bundle=None if request.known_revision == bundle.revision else bundle)

    async def _heartbeat(self, request: m.HeartbeatRequest, caller: Caller) -> m.HeartbeatResponse:
        ttl_seconds = await self._heartbeats.announce(request, caller)
        return m.HeartbeatResponse(ttl_seconds=ttl_seconds, trust_revision=self._authority.trust_bundle.revision)

    async def _goodbye(self, request: m.GoodbyeRequest, caller: Caller) -> m.Empty:
        await self._heartbeats.withdraw(request, caller)
        return m.Empty()

    async def _ended_memberships(self, request: m.EndedMembershipsRequest, _: Caller) -> m.EndedMembershipsResponse:
        return m.EndedMembershipsResponse(pod_uids=tuple(await self._pod_lives.list_ended(request.pod_uids)))

    async def _token_uses(self, request: m.TokenUsesRequest, _: Caller) -> m.TokenUsesResponse:
        check_name(request.name, "token name")
        lookup_id = self._stores.tokens.lookup_id(request.name)
        uses = await self._stores.ledger.list_newest(lookup_id, request.limit)
        if not uses and self._stores.static_tokens.find(lookup_id) is None:
            await self._stores.tokens.get(request.name)  # a token that is gone is shown while its uses are known
        return m.TokenUsesResponse(name=safe_name(request.name), uses=tuple(uses))

    async def _create(self, request: m.ResourceRequest, caller: Caller) -> m.ResourceResponse:
        resource, store = self._parse(request, caller, "create")
        return _render(await store.create(resource, caller))

    async def _upsert(self, request: m.ResourceRequest, caller: Caller) -> m.ResourceResponse:
        resource, store = self._parse(request, caller, "upsert")
        return _render(await store.upsert(resource, caller))

    async def _update(self, request: m.ResourceRequest, caller: Caller) -> m.ResourceResponse:
        resource, store = self._parse(request, caller, "update")
        return _render(await store.update(resource, caller))

    async def _get(self, request: m.GetRequest, caller: Caller) -> m.ResourceResponse:
        check_name(request.name, "resource name")
        store = self._store(request.kind, caller, "read", with_secrets=request.with_secrets)
        return _render(await store.get(request.name, with_secrets=request.with_secrets))

    async def _list(self, request: m.ListRequest, caller: Caller) -> m.ListResponse:
        store = self._store(request.kind, caller, "list", with_secrets=request.with_secrets)
        resources, next_mark = await store.list_page(
            after=request.page_token, limit=request.page_size, with_secrets=request.with_secrets
        )
        return m.ListResponse(resources=tuple(to_plain(resource) for resource in resources), next_page_token=next_mark)

    async def _delete(self, request: m.DeleteRequest, caller: Caller) -> m.DeleteResponse:
        check_name(request.name, "resource name")
        store = self._store(request.kind, caller, "delete")
        return m.DeleteResponse(name=await store.delete(request.name, request.revision, caller))

    def _parse(self, request: m.ResourceRequest, caller: Caller, verb: str) -> tuple[Resource, ResourceStore]:
        store = self._store(str(request.resource.get("kind", "")), caller, verb)
        return parse_resource(request.resource), store

    def _store(self, kind: str, caller: Caller, verb: str, *, with_secrets: bool = False) -> ResourceStore:
        """Return the store of a kind, for a caller that may do this with it."""
        kind = parse_kind(kind)
        authorize(caller, verb, kind)
        if with_secrets and kind == "token":
            authorize(caller, "read_secrets", kind)
        store = self._by_kind.get(kind)
        if store is None:
            raise BadParameter(f"resources of kind {kind} are not kept here")
        return store


def _render(resource: Resource) -> m.ResourceResponse:
    return m.ResourceResponse(resource=to_plain(resource))
