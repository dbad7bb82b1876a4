import asyncio
from datetime import timedelta
from typing import Any

import orjson
import pytest
from prometheus_client import CollectorRegistry

from support.auth import ADMIN, CLUSTER, HOST_ID, REMOTE_ADDR, SECRET, InProcessAuth, build_token, to_der
from support.strangers import build_request
from teleport.api.joined import generate_keys
from teleport.api.operations import MAX_ANONYMOUS_BODY_BYTES, OPERATIONS
from teleport.auth.authority import HostGrant
from teleport.auth.endpoints import Endpoints
from teleport.auth.handlers import Handlers
from teleport.auth.join_limits import JoinLimits
from teleport.auth.resources import AuthorityResources, PresenceResources
from teleport.auth.token_changes import TokenChanges
from teleport.config.settings import ConnectionLimits, Rate
from teleport.errors import (
    AccessDenied,
    BadParameter,
    JoinRefused,
    LimitExceeded,
    NotFound,
    StorageError,
    TeleportError,
    Unauthenticated,
    VersionRefused,
)
from teleport.resources.codec import to_plain
from teleport.resources.presence import SERVER_ROLES
from teleport.resources.role import SystemRole
from teleport.version import VERSION
from teleport.web.call import Call, Peer, RequestHead
from teleport.web.metrics import Metrics

HOUR = timedelta(hours=1)
LIMITS = ConnectionLimits(refused_joins=Rate(timedelta(minutes=1), average=3, burst=3))


class Border:
    """The API of an auth server, asked with bytes and certificates."""

    def __init__(self, auth: InProcessAuth) -> None:
        self.auth = auth
        self.registry = CollectorRegistry()
        self.limits = JoinLimits(limits=LIMITS, audit_log=auth.audit_log, clock=auth.clock)
        kinds = [*SERVER_ROLES, "instance"]
        handlers = Handlers(
            authority=auth.authority,
            joining=auth.joining,
            issuing=auth.issuing,
            heartbeats=auth.heartbeats,
            stores=auth.stores,
            by_kind={
                **{kind: PresenceResources(presence=auth.stores.presence, kind=kind) for kind in kinds},
                "cert_authority": AuthorityResources(authorities=auth.stores.authorities),
                "token": auth.tokens,
                "user": auth.people.users,
                "role": auth.people.roles,
            },
            token_changes=TokenChanges(tokens=auth.stores.tokens),
            pod_lives=auth.pod_lives,
            people=auth.people.table,
        )
        endpoints = Endpoints(
            table=handlers.table,
            authority=auth.authority,
            roles=auth.roles,
            pod_lives=auth.pod_lives,
            limits=self.limits,
            metrics=Metrics(self.registry),
            clock=auth.clock,
        )
        self.routes = {route.path: route for route in endpoints.build_routes()}

    def show_host(self, *roles: SystemRole) -> bytes:
        grant = HostGrant(host_id=HOST_ID, role=SystemRole.INSTANCE, system_roles=roles or (SystemRole.NODE,))
        return to_der(self.auth.authority.issue_host(grant, self.auth.certify()).certificates.tls_certificate)

    def show_admin(self) -> bytes:
        grant = HostGrant(host_id=ADMIN.name, role=SystemRole.ADMIN)
        return to_der(self.auth.authority.issue_host(grant, self.auth.certify()).certificates.tls_certificate)

    def show_user(self, *roles: str) -> bytes:
        issued = self.auth.authority.issue_user(user="alice", roles=roles, ttl=HOUR, keys=self.auth.certify())
        return to_der(issued.certificates.tls_certificate)

    async def ask(self, name: str, body: Any = None, certificate: bytes | None = None) -> Any:
        raw = body if isinstance(body, bytes) else orjson.dumps(body) if body is not None else b""
        reply = await self.routes[f"/v1/{name}"].handler(Call(Peer(REMOTE_ADDR, certificate), raw))
        assert reply.status == 200
        return orjson.loads(reply.body)

    def count(self, metric: str, **labels: str) -> float:
        return self.registry.get_sample_value(metric, labels) or 0.0


@pytest.fixture
async def border() -> Border:
    return Border(await InProcessAuth.start())


def join_body(token: str = SECRET, **fields: Any) -> dict[str, Any]:
    return build_request(generate_keys(), token, **fields).model_dump(mode="json", exclude_none=True)


def test_every_operation_has_a_route_with_its_bounds(border: Border) -> None:
    for operation in OPERATIONS:
        route = border.routes[operation.path]
        assert (route.method, route.anonymous) == (operation.method, operation.anonymous)
        assert not operation.anonymous or route.max_body <= MAX_ANONYMOUS_BODY_BYTES
    assert len(border.routes) == len(OPERATIONS) + 1


@pytest.mark.parametrize("version", ["", "0.1.0", "1.9.0", "2.0.0"])
async def test_a_client_that_names_a_version_beside_this_one_or_none_is_answered(border: Border, version: str) -> None:
    head = RequestHead("GET", "/v1/trust", {"teleport-version": version} if version else {})
    assert (await border.routes["/v1/trust"].handler(Call(Peer(REMOTE_ADDR), b"", head))).status == 200


@pytest.mark.parametrize("version", ["3.0.0", "latest"])
async def test_a_client_two_major_versions_away_is_refused_with_both_numbers(border: Border, version: str) -> None:
    head = RequestHead("GET", "/v1/trust", {"teleport-version": version})
    with pytest.raises(VersionRefused, match=f"{version}.*{VERSION}"):
        await border.routes["/v1/trust"].handler(Call(Peer(REMOTE_ADDR), b"", head))


async def test_a_join_two_major_versions_away_is_refused_before_the_token_is_looked_at(border: Border) -> None:
    await border.auth.add_token()
    with pytest.raises(VersionRefused):
        await border.ask("join", join_body(client_version="3.0.0"))
    assert await border.ask("join", join_body(client_version="2.0.0"))


@pytest.mark.parametrize(
    "operation", [found for found in OPERATIONS if not found.anonymous], ids=lambda found: found.name
)
async def test_a_stranger_is_refused_whatever_the_body_is(border: Border, operation: Any) -> None:
    fields = {"kind": "token", "name": "t", "resource": {"kind": "token"}} if operation.kind is None else {}
    body = {key: value for key, value in fields.items() if key in operation.request.model_fields}
    with pytest.raises(Unauthenticated):
        await border.ask(operation.name, body)


async def test_the_api_describes_itself_to_members_only(border: Border) -> None:
    assert (await border.ask("openapi.json", certificate=border.show_host()))["openapi"] == "3.1.0"
    with pytest.raises(Unauthenticated):
        await border.ask("openapi.json")


async def test_everybody_may_know_the_host_ca(border: Border) -> None:
    answer = await border.ask("trust")
    assert answer["cluster_name"] == CLUSTER
    assert answer["host_ca_certificates"] == list(border.auth.authority.host_ca_certificates)


async def test_a_join_succeeds_free_of_charge_and_is_counted(border: Border) -> None:
    await border.auth.add_token()
    reply = await border.routes["/v1/join"].handler(
        Call(Peer(REMOTE_ADDR), orjson.dumps(join_body(join_method="token")))
    )
    assert reply.free_of_charge
    assert border.count("teleport_joins_total", method="token", outcome="success", reason="") == 1


async def test_of_a_crowd_that_comes_at_once_few_are_judged_beyond_the_limit(border: Border) -> None:
    body = join_body()
    crowd = (border.ask("join", body) for _ in range(100))
    outcomes = await asyncio.gather(*crowd, return_exceptions=True)
    judged = [outcome for outcome in outcomes if not isinstance(outcome, LimitExceeded)]
    assert all(isinstance(outcome, JoinRefused) for outcome in judged)
    assert LIMITS.refused_joins.burst <= len(judged) <= 20
    assert border.limits.is_heeded_by(REMOTE_ADDR)  # all of them came before anybody was told to wait


async def test_a_refused_join_is_counted_with_its_reason(border: Border) -> None:
    with pytest.raises(JoinRefused):
        await border.ask("join", join_body("an-unknown-token", join_method="token"))
    labels = {"method": "token", "outcome": "refused", "reason": "token_not_found"}
    assert border.count("teleport_joins_total", **labels) == 1


async def test_what_a_stranger_writes_is_no_label_of_a_metric(border: Border) -> None:
    with pytest.raises(JoinRefused):
        await border.ask("join", join_body("an-unknown-token", join_method="made-up"))
    labels = {"method": "unknown", "outcome": "refused", "reason": "token_not_found"}
    assert border.count("teleport_joins_total", **labels) == 1


async def test_hostile_29_refusals_are_charged_and_end_in_a_limit(border: Border) -> None:
    await border.auth.add_token()
    for body in (join_body("an-unknown-token"), b"no json", join_body(SECRET, role="App")):
        with pytest.raises(TeleportError) as caught:
            await border.ask("join", body)
        assert not isinstance(caught.value, LimitExceeded)
    with pytest.raises(LimitExceeded):
        await border.ask("join", join_body())
    assert border.count("teleport_joins_total", method="unknown", outcome="refused", reason="limit_exceeded") == 1


async def test_joins_that_succeed_and_failures_of_ours_cost_nothing(border: Border) -> None:
    await border.auth.add_token()
    for _ in range(5):
        await border.ask("join", join_body())
        border.auth.backend.fail_next(StorageError("the disk is full"))
        with pytest.raises(StorageError):
            await border.ask("join", join_body())
    await border.ask("join", join_body())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b'{"a": 1}', b"\xff", b"[" * 10_000])
async def test_what_is_no_request_is_refused(border: Border, body: bytes) -> None:
    with pytest.raises(BadParameter):
        await border.ask("resources/get", body, border.show_admin())
    with pytest.raises(BadParameter):
        await border.ask("join", body)


@pytest.mark.parametrize("expires", [b"0", b"-1", b"1e12", b"NaN", b"Infinity", b'"NaN"'])
async def test_hostile_43_an_end_that_is_no_moment_is_refused(border: Border, expires: bytes) -> None:
    body = orjson.dumps(join_body(role="Bot"))[:-1] + b', "expires": ' + expires + b"}"
    with pytest.raises(BadParameter, match="expires"):
        await border.ask("join", body)


async def test_a_certificate_that_is_not_ours_is_no_stranger(border: Border) -> None:
    other = Border(await InProcessAuth.start())
    with pytest.raises(AccessDenied):
        await border.ask("ping", {}, other.show_host())


async def test_ping_tells_where_auth_is(border: Border) -> None:
    answer = await border.ask("ping", {}, border.show_host())
    assert (answer["cluster_name"], answer["server_version"]) == (CLUSTER, VERSION)
    assert answer["auth_addresses"] == answer["proxy_addresses"] == []


async def test_the_trust_bundle_comes_once(border: Border) -> None:
    certificate = border.show_host()
    first = await border.ask("trust_bundle", {}, certificate)
    again = await border.ask("trust_bundle", {"known_revision": first["bundle"]["revision"]}, certificate)
    assert again["bundle"] is None


async def test_heartbeats_are_taken_and_counted_and_withdrawn(border: Border) -> None:
    certificate = border.show_host(SystemRole.PROXY)
    server = {"kind": "proxy", "metadata": {}, "spec": {"public_addr": "proxy.example.com:443"}}
    body = {"hostname": "proxy", "version": VERSION, "servers": [server]}
    assert (await border.ask("heartbeat", body, certificate))["ttl_seconds"] == 600
    assert border.count("teleport_heartbeats_total") == 1
    assert (await border.ask("ping", {}, certificate))["proxy_addresses"] == ["proxy.example.com:443"]
    await border.ask("goodbye", {}, certificate)
    assert (await border.ask("ping", {}, certificate))["proxy_addresses"] == []
    with pytest.raises(AccessDenied):
        await border.ask("heartbeat", body, border.show_user("editor"))


async def test_a_token_goes_through_its_life(border: Border) -> None:
    admin = border.show_admin()
    created = await border.ask("resources/create", {"resource": to_plain(build_token())}, admin)
    assert created["resource"]["metadata"]["name"] == SECRET
    changed = {**created["resource"], "spec": {**created["resource"]["spec"], "roles": ["App"]}}
    updated = await border.ask("resources/update", {"resource": changed}, admin)
    assert updated["resource"]["spec"]["roles"] == ["App"]
    shown = await border.ask("resources/get", {"kind": "tokens", "name": SECRET, "with_secrets": True}, admin)
    assert shown == updated
    await border.ask("resources/upsert", {"resource": to_plain(build_token())}, admin)
    listed = await border.ask("resources/list", {"kind": "token"}, admin)
    assert [token["metadata"]["name"] for token in listed["resources"]] == ["*" * 24 + SECRET[24:]]
    deleted = await border.ask("resources/delete", {"kind": "token", "name": SECRET}, admin)
    assert deleted == {"name": "*" * 24 + SECRET[24:]}
    with pytest.raises(NotFound):
        await border.ask("resources/get", {"kind": "token", "name": SECRET}, admin)


async def test_secrets_are_shown_to_whoever_may_see_them_and_to_nobody_else(border: Border) -> None:
    await border.auth.add_token()
    body = {"kind": "token", "name": SECRET, "with_secrets": True}
    assert (await border.ask("resources/get", body, border.show_user("editor")))["resource"]["metadata"][
        "name"
    ] == SECRET
    auditor = border.show_user("auditor")
    with pytest.raises(AccessDenied, match="read_secrets"):
        await border.ask("resources/get", body, auditor)
    with pytest.raises(AccessDenied, match="read_secrets"):
        await border.ask("resources/list", {"kind": "token", "with_secrets": True}, auditor)
    masked = await border.ask("resources/get", {**body, "with_secrets": False}, auditor)
    assert masked["resource"]["metadata"]["name"] == "*" * 24 + SECRET[24:]


@pytest.mark.parametrize("name", ["resources/create", "resources/upsert", "resources/update"])
async def test_a_host_changes_no_resource(border: Border, name: str) -> None:
    with pytest.raises(AccessDenied):
        await border.ask(name, {"resource": to_plain(build_token())}, border.show_host())


async def test_gen_005_an_empty_name_is_refused(border: Border) -> None:
    admin = border.show_admin()
    for name in ("resources/get", "resources/delete"):
        with pytest.raises(BadParameter, match="resource name is missing"):
            await border.ask(name, {"kind": "token", "name": ""}, admin)
    with pytest.raises(BadParameter, match="token name is missing"):
        await border.ask("token_uses", {"name": ""}, admin)


async def test_the_uses_of_a_token_are_shown_without_its_name(border: Border) -> None:
    await border.auth.add_token()
    await border.auth.join()
    answer = await border.ask("token_uses", {"name": SECRET}, border.show_user("auditor"))
    assert answer["name"] == "*" * 24 + SECRET[24:]
    assert [use["outcome"] for use in answer["uses"]] == ["success"]


async def test_an_unknown_token_has_no_uses_and_is_not_found(border: Border) -> None:
    with pytest.raises(NotFound, match="not found"):
        await border.ask("token_uses", {"name": "unknown-token"}, border.show_admin())


async def test_a_token_that_nobody_has_used_has_an_empty_ledger(border: Border) -> None:
    await border.auth.add_token()
    answer = await border.ask("token_uses", {"name": SECRET}, border.show_admin())
    assert answer["uses"] == []


async def test_the_uses_of_a_token_that_was_revoked_are_still_shown(border: Border) -> None:
    await border.auth.add_token()
    await border.auth.join()
    await border.ask("resources/delete", {"kind": "token", "name": SECRET}, border.show_admin())
    answer = await border.ask("token_uses", {"name": SECRET}, border.show_admin())
    assert [use["outcome"] for use in answer["uses"]] == ["success"]


async def test_private_keys_leave_on_no_path(border: Border) -> None:
    admin = border.show_admin()
    listed = await border.ask("resources/list", {"kind": "cert_authority", "with_secrets": True}, admin)
    got = await border.ask("resources/get", {"kind": "ca", "name": "host", "with_secrets": True}, admin)
    assert len(listed["resources"]) == 6
    assert "PRIVATE" not in f"{listed}{got}"


async def test_an_administrator_signs_and_a_user_does_not(border: Border) -> None:
    body = {
        "user": "alice",
        "roles": ["editor"],
        "ttl_seconds": 3600,
        "keys": generate_keys().build_public_keys("alice").model_dump(),
    }
    assert "tls_certificate" in await border.ask("user_certificates", body, border.show_admin())
    with pytest.raises(AccessDenied):
        await border.ask("user_certificates", body, border.show_user("editor"))


async def test_a_proxy_learns_which_memberships_have_ended_and_lists_proxies_and_other_hosts_do_not(
    border: Border,
) -> None:
    proxy, node = border.show_host(SystemRole.PROXY), border.show_host(SystemRole.NODE)
    assert await border.ask("memberships/ended", {"pod_uids": ["pod-1"]}, proxy) == {"pod_uids": ["pod-1"]}
    assert (await border.ask("resources/list", {"kind": "proxy"}, proxy))["resources"] == []
    for name, body in (("memberships/ended", {"pod_uids": ["pod-1"]}), ("resources/list", {"kind": "proxy"})):
        with pytest.raises(AccessDenied):
            await border.ask(name, body, node)
    with pytest.raises(AccessDenied):
        await border.ask("resources/list", {"kind": "node"}, proxy)


@pytest.mark.parametrize(("count", "is_taken"), [(1000, True), (1001, False)])
async def test_a_proxy_asks_about_so_many_pods_at_once(border: Border, count: int, *, is_taken: bool) -> None:
    body = {"pod_uids": [f"pod-{number}" for number in range(count)]}
    proxy = border.show_host(SystemRole.PROXY)
    if is_taken:
        assert len((await border.ask("memberships/ended", body, proxy))["pod_uids"]) == count
    else:
        with pytest.raises(BadParameter):
            await border.ask("memberships/ended", body, proxy)
