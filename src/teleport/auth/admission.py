"""Whether a token admits an attempt: a ladder of checks, one refusal a rung, without any I/O.

Every refusal tells the caller the same; its reason and its detail are for log, audit and metrics.
"""

from datetime import datetime
from ipaddress import ip_address

from teleport.auth.join_request import JoinAttempt
from teleport.auth.stores.tokens import StoredToken
from teleport.auth.stores.usage import Usage
from teleport.errors import BadParameter, JoinRefused
from teleport.resources.role import LOCAL_SERVICE_ROLES, SystemRole
from teleport.resources.token import Token, TokenLimits, is_expired


class MethodMismatch(BadParameter):
    """The caller wants to be judged by another join method than the token names."""


def check_found(stored: StoredToken | None, now: datetime) -> StoredToken:
    """Return the token if it exists and its time is not over.

    Raises:
        JoinRefused: it does not exist, it is expired, or its time has not come.
    """
    if stored is None:
        raise JoinRefused("token_not_found", "no token of this name exists")
    check_in_time(stored.token, now)
    return stored


def check_in_time(token: Token, now: datetime) -> None:
    """Refuse a token before its time and after it.

    Raises:
        JoinRefused: it is expired, or its time has not come.
    """
    if is_expired(token, now):
        raise JoinRefused("token_expired", f"token {token.safe_name!r} expired at {token.metadata.expires}")
    limits = token.spec.limits
    if limits is not None and limits.not_before is not None and now < limits.not_before:
        raise JoinRefused("token_not_yet_valid", f"token {token.safe_name!r} is good from {limits.not_before} on")


def check_method(token: Token, wanted: str) -> None:
    """Refuse a caller that wants to be judged in another way than the token says; to want none is allowed.

    Raises:
        MethodMismatch: the methods differ.
    """
    if wanted and wanted != token.spec.join_method:
        raise MethodMismatch(f"the request is for join method {wanted!r}, the token is for {token.spec.join_method!r}")


def check_address(token: Token, remote_addr: str) -> None:
    """Refuse callers from outside the networks that the token names.

    Raises:
        JoinRefused: the address is in none of them.
    """
    networks = token.spec.limits.allow_cidrs if token.spec.limits is not None else ()
    if networks and not any(ip_address(remote_addr) in network for network in networks):
        raise JoinRefused("address_not_allowed", f"{remote_addr} is in none of the token's allow_cidrs")


def check_role(token: Token, role: SystemRole) -> None:
    """Refuse a role that the token does not grant; role Instance stands for all its services.

    Raises:
        JoinRefused: the role is not granted.
    """
    granted = token.spec.roles
    if role is SystemRole.BOT and not token.spec.bot_name:
        raise JoinRefused("role_not_granted", "the token names no bot")
    if role is SystemRole.INSTANCE:
        if not LOCAL_SERVICE_ROLES.intersection(granted):
            raise JoinRefused("role_not_granted", f"token {token.safe_name!r} grants no service of a host")
    elif role not in granted or role not in LOCAL_SERVICE_ROLES | {SystemRole.BOT}:
        roles = ", ".join(granted)
        raise JoinRefused("role_not_granted", f"token {token.safe_name!r} grants {roles}, not {role}")


def check_limits(limits: TokenLimits, usage: Usage, now: datetime) -> None:
    """Refuse a use beyond the token's limits.

    Raises:
        JoinRefused: it was used as often as it may be, in all or within the last hour.
    """
    if limits.max_uses is not None and usage.uses >= limits.max_uses:
        raise JoinRefused("max_uses_reached", f"the token was used {usage.uses} times of {limits.max_uses}")
    if limits.max_joins_per_hour is not None and usage.uses_in_last_hour(now) >= limits.max_joins_per_hour:
        raise JoinRefused("max_joins_per_hour_reached", f"{limits.max_joins_per_hour} joins in the last hour")


def build_system_roles(token: Token, attempt: JoinAttempt) -> tuple[SystemRole, ...]:
    """Return the services an Instance certificate covers: the token's, and those that a known host had before."""
    if attempt.role is not SystemRole.INSTANCE:
        return ()
    granted = LOCAL_SERVICE_ROLES.intersection(token.spec.roles)
    before = attempt.known_host.system_roles if attempt.known_host is not None else frozenset()
    return tuple(sorted(granted | (LOCAL_SERVICE_ROLES & before)))
