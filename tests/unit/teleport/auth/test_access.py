from itertools import product

import pytest

from support.auth import ADMIN, ANONYMOUS, HOST_ID, build_host, build_user
from teleport.auth.access import Caller, CallerKind, authorize, build_permissions, check_service_role
from teleport.errors import AccessDenied, Unauthenticated
from teleport.resources.access_role import Role, RoleConditions, RoleSpec, Rule
from teleport.resources.codec import KINDS
from teleport.resources.model import Metadata
from teleport.resources.role import SystemRole

CALLERS = {
    "anonymous": ANONYMOUS,
    "bot": Caller(CallerKind.BOT, "robot"),
    "operator": Caller(CallerKind.BOT, "operator"),
    "host": build_host(SystemRole.NODE),
    "user": build_user(),
    "stranger-role": build_user("nobody-made-this"),
    "access": build_user("access"),
    "proxy": build_host(SystemRole.PROXY),
    "app": build_host(SystemRole.APP),
    "user-named-proxy": build_user("Proxy", "App"),
    "auditor": build_user("auditor"),
    "editor": build_user("editor"),
    "auditor+editor": build_user("auditor", "editor"),
    "admin": ADMIN,
}
VERBS = ("create", "upsert", "update", "read", "read_secrets", "list", "watch", "delete")
OTHER_KINDS = (
    "trust",
    "join",
    "cluster",
    "openapi",
    "host_certificate",
    "user_certificate",
    "presence",
    "token_use",
    "membership",
    "trust_bundle",
    "login",
    "app",
    "app_session",
    "app_rules",
    "app_names",
    "app_launch",
    "app_assertion",
)
PRESENCE = (
    "app_server",
    "auth_server",
    "db_server",
    "discovery_service",
    "instance",
    "kube_server",
    "node",
    "proxy",
    "windows_desktop_service",
)

EVERYBODY = {("read", "trust"), ("create", "join")}
CERTIFIED = EVERYBODY | {
    ("read", "cluster"),
    ("read", "openapi"),
    ("read", "cert_authority"),
    ("list", "cert_authority"),
    ("read", "trust_bundle"),
}
READ_PRESENCE = set(product(("read", "list"), PRESENCE))
PEOPLE = ("user", "role")
USER = CERTIFIED | {("list", "app"), ("create", "app_session")}
ACCESS = USER | {("list", "node")}
AUDITOR = USER | READ_PRESENCE | set(product(("read", "list"), ("token", *PEOPLE))) | {("list", "token_use")}
EDITOR = (
    AUDITOR
    | set(product(VERBS, ("token",)))
    | set(product(set(VERBS) - {"read_secrets", "watch"}, PEOPLE))
    | set(product(("delete",), PRESENCE))
)
HOST = CERTIFIED | {("create", "host_certificate"), ("update", "presence"), ("delete", "presence")}

GOLDEN = {
    "anonymous": EVERYBODY,
    "bot": CERTIFIED,
    "operator": CERTIFIED
    | set(product(("create", "update", "read", "read_secrets", "list", "watch", "delete"), ("token",)))
    | {("list", "token_use")},
    "host": HOST,
    "proxy": HOST
    | {
        ("create", "login"),
        ("read", "app_names"),
        ("create", "app_launch"),
        ("list", "app"),
        ("create", "app_session"),
        ("list", "proxy"),
        ("list", "membership"),
    },
    "app": HOST | {("read", "app_rules"), ("create", "app_assertion")},
    "access": ACCESS,
    "user-named-proxy": set(),
    "user": set(),
    "stranger-role": set(),
    "auditor": AUDITOR,
    "editor": EDITOR,
    "auditor+editor": EDITOR,
    "admin": EDITOR | {("create", "user_certificate")},
}


@pytest.mark.parametrize("who", CALLERS)
def test_everything_that_is_not_granted_is_denied(who: str) -> None:
    kinds = sorted({*KINDS, *OTHER_KINDS})
    granted = {(verb, kind) for verb, kind in product(VERBS, kinds) if is_allowed(CALLERS[who], verb, kind)}
    assert granted == GOLDEN[who]


def is_allowed(caller: Caller, verb: str, kind: str) -> bool:
    try:
        authorize(caller, verb, kind)
    except (AccessDenied, Unauthenticated):
        return False
    return True


def test_the_golden_table_covers_every_sort_of_caller() -> None:
    assert {caller.kind for caller in CALLERS.values()} == set(CallerKind)


def test_a_stranger_is_told_that_a_certificate_is_needed() -> None:
    with pytest.raises(Unauthenticated, match="client certificate"):
        authorize(ANONYMOUS, "list", "token")


def test_a_known_caller_is_told_what_it_may_not_do() -> None:
    with pytest.raises(AccessDenied, match=f"host '{HOST_ID}' may not list token"):
        authorize(build_host(SystemRole.NODE), "list", "token")


def test_a_host_whose_role_is_called_like_a_users_gains_nothing() -> None:
    with pytest.raises(AccessDenied):
        authorize(Caller(CallerKind.HOST, HOST_ID, frozenset({"editor"})), "list", "token")


def test_a_host_speaks_for_the_services_of_its_certificate() -> None:
    check_service_role(build_host(SystemRole.NODE, SystemRole.APP), SystemRole.APP)


@pytest.mark.parametrize("role", [SystemRole.DB, SystemRole.ADMIN, SystemRole.INSTANCE, SystemRole.BOT])
def test_a_host_speaks_for_no_other_service(role: SystemRole) -> None:
    with pytest.raises(AccessDenied, match=f"does not cover role {role}"):
        check_service_role(build_host(SystemRole.NODE), role)


@pytest.mark.parametrize("kind", [CallerKind.HOST, CallerKind.USER])
def test_whoever_else_is_called_operator_gains_nothing(kind: CallerKind) -> None:
    with pytest.raises(AccessDenied):
        authorize(Caller(kind, "operator"), "create", "token")


def test_a_role_of_no_service_is_refused_even_if_the_certificate_has_it() -> None:
    with pytest.raises(AccessDenied):
        check_service_role(build_host(SystemRole.ADMIN), SystemRole.ADMIN)


def test_only_hosts_have_system_roles() -> None:
    assert build_user("editor").system_roles == frozenset()
    assert ADMIN.system_roles == frozenset()


def build_ruled(
    allow: tuple[tuple[str, ...], tuple[str, ...]] | None, deny: tuple[tuple[str, ...], tuple[str, ...]] | None = None
) -> Caller:
    """Return a user of one role, with a rule or none on each side: resources, and verbs."""
    allowed, denied = (
        RoleConditions(rules=(Rule(resources=rule[0], verbs=rule[1]),)) if rule else RoleConditions()
        for rule in (allow, deny)
    )
    role = Role(metadata=Metadata(name="own"), spec=RoleSpec(allow=allowed, deny=denied))
    return Caller(CallerKind.USER, "alice", frozenset({"own", "editor"}), permissions=build_permissions([role]))


def build_only(resources: tuple[str, ...], *verbs: str) -> Caller:
    caller = build_ruled((resources, verbs))
    return Caller(CallerKind.USER, "alice", frozenset({"own"}), permissions=caller.permissions)


def test_a_role_of_ones_own_gives_its_rules_and_what_every_user_has() -> None:
    caller = build_only(("tokens",), "list", "readnosecrets")
    granted = {
        (verb, kind) for verb, kind in product(VERBS, sorted({*KINDS, *OTHER_KINDS})) if is_allowed(caller, verb, kind)
    }
    assert granted == USER | {("list", "token"), ("read", "token")}


def test_to_upsert_takes_both_verbs() -> None:
    assert is_allowed(build_only(("token",), "create", "update"), "upsert", "token")
    assert not is_allowed(build_only(("token",), "create"), "upsert", "token")
    assert not is_allowed(build_only(("token",), "update"), "upsert", "token")


def test_reading_without_secrets_is_not_reading_with_them() -> None:
    assert is_allowed(build_only(("token",), "read"), "read_secrets", "token")
    assert not is_allowed(build_only(("token",), "readnosecrets"), "read_secrets", "token")


def test_a_role_that_denies_wins_over_a_preset() -> None:
    denied = build_ruled(None, (("token",), ("delete",)))
    assert not is_allowed(denied, "delete", "token")
    assert is_allowed(denied, "create", "token")


@pytest.mark.parametrize("verb", ["create", "update"])
def test_who_may_not_write_may_not_upsert_either(verb: str) -> None:
    assert not is_allowed(build_ruled(None, (("token",), (verb,))), "upsert", "token")


def test_any_resource_is_every_kind_and_no_other_permission() -> None:
    caller = build_only(("*",), "*")
    assert is_allowed(caller, "delete", "role")
    assert not is_allowed(caller, "create", "user_certificate")
    assert not is_allowed(caller, "create", "login")
