"""The `kubernetes` section of a token: which kind of proof it wants, and which ServiceAccounts it admits."""

import re
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from teleport.config.duration import parse_duration
from teleport.errors import BadParameter
from teleport.pki.jwks import JwkSet, parse_jwks
from teleport.resources.model import Model, parse_model
from teleport.resources.token import Token

MAX_RULES = 256
DEFAULT_MAX_TTL = timedelta(minutes=30)
"""Of a token that is judged by its signature alone: nobody says whether its pod still lives."""

_LABEL = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_GLOB = re.compile(r"[a-z0-9.*?-]{1,253}")

Text = Annotated[str, Field(max_length=512)]


class ProofType(StrEnum):
    """Who vouches for a ServiceAccount token."""

    IN_CLUSTER = "in_cluster"
    """The API server of auth's own cluster, asked about each token."""
    STATIC_JWKS = "static_jwks"
    """A key set that stands in the token resource."""
    OIDC = "oidc"
    """The key set that a cluster publishes as an OpenID Connect issuer."""


class OnReuse(StrEnum):
    """What becomes of a ServiceAccount token that comes with another key than the first time."""

    SAME_ADDRESS = "allow_same_address"
    """Let it in from the address of the first time: a container restarted and lost its key."""
    REFUSE = "refuse"


class Rule(Model):
    """Whom one rule admits: all the parts that are given must match."""

    service_account: Text = ""
    """`namespace:name`, compared as a whole."""
    service_account_namespace: Text = ""
    """A pattern with `*` and `?`; goes with `service_account_name`."""
    service_account_name: Text = ""
    """A pattern with `*` and `?`; goes with `service_account_namespace`."""


class StaticJwks(Model):
    """Keys in the token resource."""

    jwks: Annotated[str, Field(max_length=256 * 1024)]


class Oidc(Model):
    """A cluster that publishes its keys."""

    issuer: Text
    insecure_allow_http_issuer: bool = False
    """For tests: the keys come over a connection that anybody can change."""


class KubernetesSpec(Model):
    """The section as it stands in the resource."""

    type: ProofType = ProofType.IN_CLUSTER
    allow: Annotated[tuple[Rule, ...], Field(max_length=MAX_RULES)] = ()
    static_jwks: StaticJwks | None = None
    oidc: Oidc | None = None
    require_own_audience: bool = False
    """Accept tokens for the cluster's name alone, and not those for the API server."""
    max_token_ttl: Text = ""
    """Bounds how long the ServiceAccount token lives in all, from `iat` to `exp`."""
    on_token_reuse: OnReuse = OnReuse.SAME_ADDRESS
    verify_pod: bool = False
    """Look at the pod itself after the API server vouched: it must be there with the same UID, and not be ending."""
    bind_to_pod: bool = False
    """End the membership with the life of the pod and of its ServiceAccount; includes `verify_pod`."""

    @property
    def max_ttl(self) -> timedelta | None:
        """Return the bound of a token's life; an automounted token in the cluster says a year, so none is set there."""
        if self.max_token_ttl:
            return parse_duration(self.max_token_ttl)
        return None if self.type is ProofType.IN_CLUSTER else DEFAULT_MAX_TTL

    @cached_property
    def keys(self) -> JwkSet:
        """Return the static keys.

        Raises:
            BadParameter: there are none, or the text is no key set.
        """
        if self.static_jwks is None:
            raise BadParameter("spec.kubernetes.static_jwks is missing")
        return parse_jwks(self.static_jwks.jwks)


def parse_spec(token: Token) -> KubernetesSpec:
    """Return the section of a token, checked.

    Raises:
        BadParameter: it is missing, or contradicts itself; the message names the field.
    """
    if token.spec.kubernetes is None:
        raise BadParameter("spec.kubernetes is missing; it says which ServiceAccounts may join")
    spec = parse_model(KubernetesSpec, dict(token.spec.kubernetes), "spec.kubernetes")
    if not spec.allow:
        raise BadParameter("spec.kubernetes.allow has no rules, so that nobody could join")
    for number, rule in enumerate(spec.allow):
        check_rule(rule, f"spec.kubernetes.allow[{number}]")
    _check_type(spec)
    ttl = spec.max_ttl
    if ttl is not None and ttl <= timedelta():
        raise BadParameter("spec.kubernetes.max_token_ttl must be longer than nothing")
    return spec


def check_rule(rule: Rule, where: str) -> None:
    """Refuse a rule that admits nobody, says nothing, or says less than it seems to.

    Raises:
        BadParameter: the rule is empty, has one pattern of two, or holds what no ServiceAccount's name can; the message
            names the place.
    """
    if not (rule.service_account or rule.service_account_namespace or rule.service_account_name):
        raise BadParameter(f"{where} is empty; give service_account as namespace:name")
    if bool(rule.service_account_namespace) != bool(rule.service_account_name):
        raise BadParameter(f"{where} must have service_account_namespace and service_account_name together; * is any")
    if rule.service_account:
        parts = rule.service_account.split(":")
        if len(parts) != 2 or not all(_LABEL.fullmatch(part) for part in parts):  # noqa: PLR2004 - namespace and name
            raise BadParameter(
                f"{where}.service_account must be namespace:name; patterns go into service_account_namespace "
                "and service_account_name"
            )
    for name in ("service_account_namespace", "service_account_name"):
        pattern = getattr(rule, name)
        if pattern and not _GLOB.fullmatch(pattern):
            raise BadParameter(f"{where}.{name} may hold lower-case letters, digits, - and ., and * and ? as wildcards")


def _check_type(spec: KubernetesSpec) -> None:
    if spec.type is not ProofType.STATIC_JWKS and spec.static_jwks is not None:
        raise BadParameter(f"spec.kubernetes.static_jwks must not be set for type {spec.type}")
    if spec.type is not ProofType.OIDC and spec.oidc is not None:
        raise BadParameter(f"spec.kubernetes.oidc must not be set for type {spec.type}")
    for name in ("verify_pod", "bind_to_pod"):
        if spec.type is not ProofType.IN_CLUSTER and getattr(spec, name):
            raise BadParameter(f"spec.kubernetes.{name} needs type in_cluster: auth sees no pods of other clusters")
    if spec.type is ProofType.STATIC_JWKS:
        _ = spec.keys
    if spec.type is ProofType.OIDC:
        _check_issuer(spec.oidc)


def _check_issuer(oidc: Oidc | None) -> None:
    if oidc is None or not oidc.issuer:
        raise BadParameter("spec.kubernetes.oidc.issuer is missing")
    try:
        parts = urlsplit(oidc.issuer)
        is_named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_named = False
    allowed = {"https", "http"} if oidc.insecure_allow_http_issuer else {"https"}
    if not is_named or parts.scheme not in allowed or parts.username or parts.query or parts.fragment:
        raise BadParameter("spec.kubernetes.oidc.issuer must be an https address without user, query and fragment")
