"""System roles: what a certificate lets a process be, and how people spell them."""

from collections.abc import Iterable
from enum import StrEnum

from teleport.errors import BadParameter


class SystemRole(StrEnum):
    """The canonical names; the strings go into certificates and must not change."""

    AUTH = "Auth"
    PROXY = "Proxy"
    NODE = "Node"
    KUBE = "Kube"
    APP = "App"
    DB = "Db"
    WINDOWS_DESKTOP = "WindowsDesktop"
    DISCOVERY = "Discovery"
    OKTA = "Okta"
    MDM = "MDM"
    BOT = "Bot"
    INSTANCE = "Instance"
    TRUSTED_CLUSTER = "Trusted_cluster"
    SIGNUP = "Signup"
    REMOTE_PROXY = "RemoteProxy"
    ADMIN = "Admin"
    PROVISION_TOKEN = "ProvisionToken"  # noqa: S105 - a role's name
    NOP = "Nop"

    @property
    def display_name(self) -> str:
        """Return the name in lists, where the original shows Signup as Password."""
        return "Password" if self is SystemRole.SIGNUP else self.value


LOCAL_SERVICE_ROLES = frozenset(
    {
        SystemRole.AUTH,
        SystemRole.PROXY,
        SystemRole.NODE,
        SystemRole.KUBE,
        SystemRole.APP,
        SystemRole.DB,
        SystemRole.WINDOWS_DESKTOP,
        SystemRole.DISCOVERY,
        SystemRole.OKTA,
        SystemRole.MDM,
    }
)
"""Roles of services that run in a process of their own host; only these go into an Instance certificate."""

_SPELLINGS = {role.value.lower(): role for role in SystemRole} | {
    "windows_desktop": SystemRole.WINDOWS_DESKTOP,
    "trustedcluster": SystemRole.TRUSTED_CLUSTER,
    "remote_proxy": SystemRole.REMOTE_PROXY,
}


def parse_role(text: str) -> SystemRole:
    """Read one role in any spelling that the original accepts.

    Raises:
        BadParameter: there is no such role.
    """
    role = _SPELLINGS.get(text.strip().lower())
    if role is None:
        raise BadParameter(f"invalid role {text.strip()[:64]!r}")
    return role


def parse_roles(text: str) -> tuple[SystemRole, ...]:
    """Read a comma-separated list of roles.

    Raises:
        BadParameter: an element is empty or no role, or a role stands twice.
    """
    return unique_roles(parse_role(part) for part in text.split(","))


def unique_roles(roles: Iterable[SystemRole]) -> tuple[SystemRole, ...]:
    """Return the roles in their order.

    Raises:
        BadParameter: a role stands twice.
    """
    seen: list[SystemRole] = []
    for role in roles:
        if role in seen:
            raise BadParameter(f"role {role} is given twice")
        seen.append(role)
    return tuple(seen)
