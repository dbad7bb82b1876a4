"""Which namespaces may declare which tokens: everything in the operator's own, and elsewhere what a file says. Pure.

Whoever may create objects in a namespace can make tokens for the whole cluster; so what is not said is refused.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal

from pydantic import Field, field_validator

from teleport.config.duration import parse_duration
from teleport.errors import BadParameter
from teleport.resources.model import Model, parse_model
from teleport.resources.role import LOCAL_SERVICE_ROLES, SystemRole, parse_role
from teleport.resources.strict_yaml import parse_documents
from teleport_operator.declaration import Declaration, ExpirySource

MAX_BYTES = 1024 * 1024
KUBERNETES = "kubernetes"
HARMLESS_ROLES = tuple(sorted(LOCAL_SERVICE_ROLES - {SystemRole.AUTH, SystemRole.PROXY}))
"""What namespaces may declare for which the file names no roles: no part of the cluster itself."""


class Grant(Model):
    """What one namespace may declare."""

    roles: tuple[SystemRole, ...] = HARMLESS_ROLES
    methods: tuple[str, ...] = (KUBERNETES, "token")
    bots: tuple[str, ...] = ()
    """Names of bots; role Bot needs no other word."""
    max_ttl: timedelta | None = None
    """Tokens must end, and live no longer than so; without it they may live for ever."""
    service_accounts: Literal["own", "any"] = "own"
    """Whether rules may admit pods of other namespaces, and of other clusters."""

    @field_validator("roles", mode="before")
    @classmethod
    def _parse_roles(cls, value: object) -> object:
        if not isinstance(value, list):
            return value
        try:
            return tuple(parse_role(str(item)) for item in value)
        except BadParameter as error:
            raise ValueError(error.message) from error

    @field_validator("max_ttl", mode="before")
    @classmethod
    def _parse_ttl(cls, value: object) -> object:
        try:
            return parse_duration(value) if isinstance(value, str) else value
        except BadParameter as error:
            raise ValueError(error.message) from error


class DelegationFile(Model):
    """The whole file."""

    namespaces: dict[str, Grant] = Field(max_length=10_000)


class Delegation:
    """What namespaces may declare.

    Args:
        own_namespace: of the operator, which may declare everything.
        grants: of others; None where there is no file, and each has what a grant says by itself.
    """

    def __init__(self, own_namespace: str, grants: Mapping[str, Grant] | None) -> None:
        self._own_namespace = own_namespace
        self._grants = grants

    def find_refusal(self, declaration: Declaration) -> str:
        """Return why a namespace may not declare this, or nothing where it may."""
        namespace = declaration.head.namespace
        if namespace == self._own_namespace:
            return ""
        grant = Grant() if self._grants is None else self._grants.get(namespace)
        if grant is None:
            return f"namespace {namespace} may declare no tokens; the operator's delegation file does not name it"
        refusal = _judge(declaration, grant)
        return f"namespace {namespace} may not declare {refusal}" if refusal else ""


def _judge(declaration: Declaration, grant: Grant) -> str:
    """Return what of a declaration goes beyond a grant: a ladder, one reason a rung."""
    spec, namespace = declaration.token.spec, declaration.head.namespace
    for role in spec.roles:
        if role is not SystemRole.BOT and role not in grant.roles:
            return f"role {role}"
    if spec.bot_name and spec.bot_name not in grant.bots:
        return f"bot {spec.bot_name[:64]!r}"
    if spec.join_method not in grant.methods:
        return f"join method {spec.join_method[:64]!r}"
    if grant.max_ttl is not None and _find_life(declaration) > grant.max_ttl:
        return f"tokens that live for longer than {grant.max_ttl}; give spec.ttl or spec.expires"
    if spec.join_method == KUBERNETES and grant.service_accounts == "own":
        return _judge_accounts(spec.kubernetes or {}, namespace)
    return ""


def _judge_accounts(section: Mapping[str, Any], namespace: str) -> str:
    if section.get("type") not in (None, "", "in_cluster"):
        return "tokens for pods of other clusters"
    for rule in section.get("allow") or ():
        named = str(rule.get("service_account") or "").partition(":")[0] or rule.get("service_account_namespace")
        if named != namespace:
            return f"rules for ServiceAccounts of other namespaces, as {str(named)[:64]!r}"
    return ""


def _find_life(declaration: Declaration) -> timedelta:
    """Return how long a token lives at most, from the object's creation or from when its value was made."""
    rule, secret = declaration.expiry, declaration.secret
    if rule.source is ExpirySource.NEVER:
        if secret is None or secret.rotate_every is None:
            return timedelta.max
        return secret.rotate_every + secret.overlap
    if rule.ttl is not None:
        return rule.ttl
    return timedelta.max if rule.at is None else rule.at - declaration.head.created


def parse_delegation(text: str, own_namespace: str) -> Delegation:
    """Read a delegation file.

    Raises:
        BadParameter: it cannot be understood; the message names the place.
    """
    documents = list(parse_documents(text))
    if len(documents) != 1:
        raise BadParameter("the delegation file must hold one document")
    return Delegation(own_namespace, parse_model(DelegationFile, documents[0], "delegation file").namespaces)
