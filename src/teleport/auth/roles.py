"""The cluster's roles in memory: presets and stored ones, and what their rules come to."""

from collections.abc import Collection, Iterable
from datetime import timedelta
from functools import lru_cache

from teleport.auth.access import Permissions, build_permissions
from teleport.config.duration import parse_duration
from teleport.errors import BadParameter
from teleport.resources.access_role import PRESET_ROLES, Role, check_role

MIN_SESSION_TTL = timedelta(minutes=1)


class RoleTable:
    """All roles by name; the auth server replaces the stored ones whenever they change.

    Args:
        stored: the roles that the store holds.
    """

    def __init__(self, stored: Iterable[Role] = ()) -> None:
        self._by_name: dict[str, Role] = {}
        self.permissions = lru_cache(maxsize=1024)(self._build_permissions)
        """Return what the rules of roles come to, by the set of their names; unknown ones come to nothing."""
        self.replace(stored)

    def replace(self, stored: Iterable[Role]) -> None:
        """Judge by these roles, and the presets, from now on."""
        self._by_name = {role.name: role for role in stored} | PRESET_ROLES
        self.permissions.cache_clear()

    def find(self, names: Iterable[str]) -> tuple[Role, ...]:
        """Return the roles of these names that exist."""
        return tuple(self._by_name[name] for name in names if name in self._by_name)

    def list_all(self) -> list[Role]:
        """Return all roles by name."""
        return [self._by_name[name] for name in sorted(self._by_name)]

    def check_exist(self, names: Collection[str]) -> None:
        """Refuse names of roles that nobody made.

        Raises:
            BadParameter: names one.
        """
        unknown = set(names) - self._by_name.keys()
        if unknown:
            raise BadParameter(f"unknown role {min(unknown)[:64]!r}; the roles are {', '.join(sorted(self._by_name))}")

    def find_session_ttl(self, names: Iterable[str], longest: timedelta) -> timedelta:
        """Return the longest session that the roles allow."""
        bounds = [role.spec.options.max_session_ttl for role in self.find(names)]
        return min([longest, *(parse_duration(text) for text in bounds if text)])

    def _build_permissions(self, names: frozenset[str]) -> Permissions:
        return build_permissions(self.find(names))


def check_stored_role(role: Role) -> None:
    """Refuse a role that could not be judged by.

    Raises:
        BadParameter: a field of it is not one that is known here, or the name is a preset's.
    """
    if role.name in PRESET_ROLES:
        raise BadParameter(f"role {role.name!r} is a preset; it is always there and cannot be changed")
    check_role(role)
    build_permissions([role])
    text = role.spec.options.max_session_ttl
    if text and parse_duration(text) < MIN_SESSION_TTL:
        raise BadParameter("spec.options.max_session_ttl is shorter than a minute")
