"""Who may do what: one pure function of the caller, the verb and the kind. What is not granted is denied."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from teleport.errors import AccessDenied, Unauthenticated
from teleport.resources.presence import SERVER_ROLES
from teleport.resources.role import LOCAL_SERVICE_ROLES, SystemRole

EDITOR = "editor"
AUDITOR = "auditor"
USER_ROLES = frozenset({EDITOR, AUDITOR})
"""The built-in roles of users."""
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

    @property
    def system_roles(self) -> frozenset[SystemRole]:
        """Return the services that a host's certificate covers."""
        if self.kind is not CallerKind.HOST:
            return frozenset()
        return frozenset(SystemRole(role) for role in self.roles)


Permission = tuple[str, str]
"""Verb and kind."""

_PRESENCE_KINDS = frozenset(SERVER_ROLES) | {"instance"}
_READ_PRESENCE = frozenset((verb, kind) for verb in ("read", "list") for kind in _PRESENCE_KINDS)
_READ_AUTHORITIES = frozenset({("read", "cert_authority"), ("list", "cert_authority"), ("read", "trust_bundle")})
_EVERYBODY = frozenset({("read", "trust"), ("create", "join")})
_CERTIFIED = _EVERYBODY | _READ_AUTHORITIES | {("read", "cluster"), ("read", "openapi")}

_GRANTS: dict[str, frozenset[Permission]] = {
    CallerKind.ANONYMOUS: _EVERYBODY,
    CallerKind.BOT: _CERTIFIED,
    CallerKind.HOST: _CERTIFIED | {("create", "host_certificate"), ("update", "presence"), ("delete", "presence")},
    AUDITOR: _CERTIFIED | _READ_PRESENCE | {("read", "token"), ("list", "token"), ("list", "token_use")},
    EDITOR: _CERTIFIED
    | _READ_PRESENCE
    | {(verb, "token") for verb in ("create", "upsert", "update", "read", "list", "delete", "read_secrets")}
    | {("delete", kind) for kind in _PRESENCE_KINDS}
    | {("list", "token_use")},
}
_BOT_GRANTS: dict[str, frozenset[Permission]] = {
    OPERATOR_BOT: _CERTIFIED
    | {(verb, "token") for verb in ("create", "update", "read", "read_secrets", "list", "delete")}
    | {("list", "token_use")},
}
"""Names of secret tokens are asked for only where one must end whose value is in no Secret any more."""
_GRANTS[CallerKind.ADMIN] = _GRANTS[EDITOR] | {("create", "user_certificate")}


def authorize(caller: Caller, verb: str, kind: str) -> None:
    """Let the caller pass or refuse it.

    Raises:
        Unauthenticated: a stranger asks for what needs a certificate.
        AccessDenied: the certificate does not entitle to this.
    """
    if any((verb, kind) in grant for grant in _find_grants(caller)):
        return
    if caller.kind is CallerKind.ANONYMOUS:
        raise Unauthenticated("this needs a client certificate of the cluster")
    raise AccessDenied(f"{caller.kind} {caller.name!r} may not {verb} {kind}")


def _find_grants(caller: Caller) -> Iterable[frozenset[Permission]]:
    match caller.kind:
        case CallerKind.USER:
            return [_GRANTS[role] for role in caller.roles & USER_ROLES]
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
