"""Who may do what: one pure function of the caller, the verb and the kind. What is not granted is denied."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from teleport.errors import AccessDenied, Unauthenticated
from teleport.resources.access_role import ANY, Role, RoleConditions
from teleport.resources.codec import KINDS, parse_kind
from teleport.resources.presence import SERVER_ROLES
from teleport.resources.role import LOCAL_SERVICE_ROLES, SystemRole

Permission = tuple[str, str]
"""Verb and kind."""

ACCESS = "access"
EDITOR = "editor"
AUDITOR = "auditor"
OPERATOR_BOT = "operator"
"""The bot that keeps join tokens as objects of Kubernetes declare them; every other bot may only look around."""


class CallerKind(StrEnum):
    """What sort of party asks."""

    ANONYMOUS = "anonymous"
    HOST = "host"
    BOT = "bot"
    USER = "user"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Permissions:
    """What the rules of a user's own roles come to; deny wins, also over the presets."""

    allowed: frozenset[Permission] = frozenset()
    denied: frozenset[Permission] = frozenset()
    is_known: bool = False
    """At least one of the roles exists."""


NO_PERMISSIONS = Permissions()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as their certificate proves it; made by `auth/callers.py` and nowhere else."""

    kind: CallerKind
    name: str = ""
    """The host id, the user's or the bot's name; for audit and for what belongs to the caller."""
    roles: frozenset[str] = frozenset()
    """System roles of a host, role names of a user."""
    remote_addr: str = ""
    pod_uid: str = ""
    """The pod to whose life the membership is bound, if it is bound to one."""
    permissions: Permissions = field(default=NO_PERMISSIONS, repr=False, compare=False)
    """Of a user, by the cluster's roles as they are now."""

    @property
    def system_roles(self) -> frozenset[SystemRole]:
        """Return the services that a host's certificate covers."""
        if self.kind is not CallerKind.HOST:
            return frozenset()
        return frozenset(SystemRole(role) for role in self.roles)


_PRESENCE_KINDS = frozenset(SERVER_ROLES) | {"instance"}
_READ_PRESENCE = frozenset((verb, kind) for verb in ("read", "list") for kind in _PRESENCE_KINDS)
_READ_AUTHORITIES = frozenset({("read", "cert_authority"), ("list", "cert_authority"), ("read", "trust_bundle")})
_EVERYBODY = frozenset({("read", "trust"), ("create", "join")})
_CERTIFIED = _EVERYBODY | _READ_AUTHORITIES | {("read", "cluster"), ("read", "openapi")}

_ROLE_KINDS = ("user", "role")
_USER = _CERTIFIED | {("list", "app"), ("create", "app_session")}

_GRANTS: dict[str, frozenset[Permission]] = {
    CallerKind.ANONYMOUS: _EVERYBODY,
    CallerKind.BOT: _CERTIFIED,
    CallerKind.HOST: _CERTIFIED | {("create", "host_certificate"), ("update", "presence"), ("delete", "presence")},
    ACCESS: _USER | {("list", "node")},
    AUDITOR: _USER
    | _READ_PRESENCE
    | {(verb, kind) for verb in ("read", "list") for kind in ("token", *_ROLE_KINDS)}
    | {("list", "token_use")},
    EDITOR: _USER
    | _READ_PRESENCE
    | {(verb, "token") for verb in ("create", "upsert", "update", "read", "list", "watch", "delete", "read_secrets")}
    | {(verb, kind) for verb in ("create", "upsert", "update", "read", "list", "delete") for kind in _ROLE_KINDS}
    | {("delete", kind) for kind in _PRESENCE_KINDS}
    | {("list", "token_use")},
}
_BOT_GRANTS: dict[str, frozenset[Permission]] = {
    OPERATOR_BOT: _CERTIFIED
    | {(verb, "token") for verb in ("create", "update", "read", "read_secrets", "list", "watch", "delete")}
    | {("list", "token_use")},
}
"""Names of secret tokens are asked for only where one must end whose value is in no Secret any more."""
_PRESETS = frozenset({ACCESS, EDITOR, AUDITOR})
_SERVICE_GRANTS: dict[str, frozenset[Permission]] = {
    SystemRole.PROXY: frozenset(
        {
            ("create", "login"),
            ("list", "app"),
            ("read", "app_names"),
            ("create", "app_launch"),
            ("create", "app_session"),
            ("list", "proxy"),
            ("list", "membership"),
        }
    ),
    SystemRole.APP: frozenset({("read", "app_rules"), ("create", "app_assertion")}),
}
"""What a host may do beside, by the services that its certificate covers."""
_GRANTS[CallerKind.ADMIN] = _GRANTS[EDITOR] | {("create", "user_certificate")}


def authorize(caller: Caller, verb: str, kind: str) -> None:
    """Let the caller pass or refuse it.

    Raises:
        Unauthenticated: a stranger asks for what needs a certificate.
        AccessDenied: the certificate does not entitle to this.
    """
    permission = (verb, kind)
    granted = any(permission in grant for grant in _find_grants(caller))
    if granted and permission not in caller.permissions.denied:
        return
    if caller.kind is CallerKind.ANONYMOUS:
        raise Unauthenticated("this needs a client certificate of the cluster")
    raise AccessDenied(f"{caller.kind} {caller.name!r} may not {verb} {kind}")


def _find_grants(caller: Caller) -> Iterable[frozenset[Permission]]:
    match caller.kind:
        case CallerKind.USER:
            presets = [_GRANTS[role] for role in caller.roles if role in _PRESETS]
            return [*presets, caller.permissions.allowed, *([_USER] if caller.permissions.is_known else [])]
        case CallerKind.HOST:
            services = [_SERVICE_GRANTS[role] for role in caller.roles if role in _SERVICE_GRANTS]
            return [_GRANTS[CallerKind.HOST], *services]
        case CallerKind.BOT:
            return [_BOT_GRANTS.get(caller.name, _GRANTS[CallerKind.BOT])]
        case _:
            return [_GRANTS[caller.kind]]


def check_service_role(caller: Caller, role: SystemRole) -> None:
    """Refuse a host that speaks for a service which its certificate does not cover.

    Raises:
        AccessDenied: the role is not among the certificate's, or is no service's.
    """
    if role not in LOCAL_SERVICE_ROLES or role not in caller.system_roles:
        raise AccessDenied(f"the certificate of host {caller.name!r} does not cover role {role}")


_VERBS: dict[str, frozenset[str]] = {
    "create": frozenset({"create"}),
    "read": frozenset({"read", "read_secrets"}),
    "readnosecrets": frozenset({"read"}),
    "list": frozenset({"list"}),
    "update": frozenset({"update"}),
    "delete": frozenset({"delete"}),
}
_ALL_VERBS = frozenset({"create", "upsert", "update", "read", "read_secrets", "list", "delete"})


def build_permissions(roles: Iterable[Role]) -> Permissions:
    """Return what the rules of roles come to, once, so that a question is a look into a set.

    Raises:
        BadParameter: a rule names a kind that is not known.
    """
    known = tuple(roles)
    return Permissions(
        allowed=frozenset().union(*(_expand(role.spec.allow, denies=False) for role in known)),
        denied=frozenset().union(*(_expand(role.spec.deny, denies=True) for role in known)),
        is_known=bool(known),
    )


def _expand(conditions: RoleConditions, *, denies: bool) -> set[Permission]:
    permissions: set[Permission] = set()
    for rule in conditions.rules:
        kinds = KINDS if ANY in rule.resources else [parse_kind(kind) for kind in rule.resources]
        verbs = _ALL_VERBS if ANY in rule.verbs else _expand_verbs(rule.verbs, denies=denies)
        permissions.update((verb, kind) for verb in verbs for kind in kinds)
    return permissions


def _expand_verbs(named: Iterable[str], *, denies: bool) -> set[str]:
    """Return our verbs for the original's: to upsert is to create and to update."""
    verbs = {verb for name in named for verb in _VERBS[name]}
    writes = verbs & {"create", "update"}
    if writes and (denies or len(writes) == len(("create", "update"))):
        verbs.add("upsert")
    if denies and "read" in verbs:
        verbs.add("read_secrets")
    return verbs
