"""Why a ServiceAccount token would be admitted or not, without anybody vouching for it. Pure.

The checks are the judge's own, in its order. They go on after the first refusal, so that a person can mend everything
in one go. What the API server would say of a sound token is foretold, see `foretelling.py`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from teleport.errors import JoinRefused
from teleport.join.kubernetes.claims import (
    VouchedToken,
    check_issuer,
    read_bound_token,
    read_expiry,
    read_reviewed_token,
    read_service_account,
)
from teleport.join.kubernetes.foretelling import foretell_review
from teleport.join.kubernetes.judge import check_life, check_rules
from teleport.join.kubernetes.rules import ServiceAccount, find_mismatches, find_nearest, find_rule
from teleport.join.kubernetes.spec import KubernetesSpec, ProofType, Rule
from teleport.pki.jwks import UnknownKey, verify_jwt
from teleport.pki.jwt import JwtError, UnverifiedJwt, check_times, read_audiences, read_time

USUAL_API_AUDIENCE = "https://kubernetes.default.svc"
"""What the API server's own audience starts with where nobody chose another; elsewhere it is mostly the issuer."""
BOUND_TO = "kubernetes.io"
"""The claim that tells what a token is bound to; one that comes from a Secret lacks it."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finding:
    """One check that a token fails."""

    check: str
    """What was looked at, as `audience`."""
    reason: str
    """As in the audit log."""
    detail: str


@dataclass(frozen=True, slots=True)
class View:
    """A ServiceAccount token, and from where it is looked at.

    Args:
        proof: the token.
        cluster_name: the audience that a pod's token should have.
        api_audiences: those of the API server, which auth learns from its own token.
        now: when the join would be.
        is_signed: whether the token is a real one, so that keys that are at hand can be tried.
    """

    proof: UnverifiedJwt
    cluster_name: str
    api_audiences: tuple[str, ...]
    now: datetime
    is_signed: bool = True

    @property
    def own_audiences(self) -> tuple[str, ...]:
        """Return whom the token is for; one that comes from a Secret does not say, and is for the API server."""
        claims = self.proof.claims
        return self.api_audiences if "aud" not in claims and BOUND_TO not in claims else read_audiences(claims)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would become of a token."""

    findings: tuple[Finding, ...]
    """What it fails, the judge's own reason first; none means that it is admitted under the conditions."""
    rule: int | None = None
    """The number of the rule that admits it, from 1 on."""
    conditions: tuple[str, ...] = ()
    """What only the join itself shows."""


def explain_proof(spec: KubernetesSpec, view: View) -> Explanation:
    """Say what would become of a token."""
    findings: list[Finding] = []
    vouched = None
    for check, judge in _list_checks(spec, view):
        finding, result = _try(check, judge)
        vouched = vouched or result
        if finding is not None and finding.reason not in {each.reason for each in findings}:
            findings.append(finding)
    account = vouched.account if vouched is not None else None
    rule = find_rule(spec.allow, account) if account is not None else None
    if findings or vouched is None or rule is None:
        return Explanation(tuple(findings))
    return Explanation((), spec.allow.index(rule) + 1, tuple(_list_conditions(spec, view, vouched)))


def guess_api_audiences(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Return which of a token's audiences are likely the API server's own: auth alone can tell.

    An API server that was told of none accepts its issuer (kube-apiserver, `--api-audiences`).
    """
    issuer = claims.get("iss")
    try:
        audiences = read_audiences(claims)
    except JwtError:
        return ()
    return tuple(each for each in audiences if each == issuer or each.startswith(USUAL_API_AUDIENCE))


def describe_difference(rule: Rule, account: ServiceAccount) -> str:
    """Say in which fields a rule differs from an account."""
    actual = {
        "service_account": str(account),
        "service_account_namespace": account.namespace,
        "service_account_name": account.name,
    }
    return ", ".join(
        f"{name} ({getattr(rule, name)!r}, and the token says {actual[name]!r})"
        for name in find_mismatches(rule, account)
    )


def _list_checks(spec: KubernetesSpec, view: View) -> Iterator[tuple[str, Callable[[], VouchedToken | None]]]:
    """Yield the judge's ladder, and after it what lies behind a refused audience, or a pod that is missing."""
    accepted = _accepted_audiences(spec, view)
    yield "times", lambda: check_times(view.proof.claims, view.now)
    if spec.type is ProofType.OIDC and spec.oidc is not None:
        issuer = spec.oidc.issuer
        yield "issuer", lambda: check_issuer(view.proof, issuer)
    if spec.type is ProofType.STATIC_JWKS and view.is_signed:
        yield "signature", lambda: _check_signature(spec, view.proof)
    yield "identity", lambda: _read(spec, view, accepted)
    yield "identity", lambda: _read(spec, view, view.own_audiences)
    yield "life", lambda: check_life(read_time(view.proof.claims, "iat"), read_expiry(view.proof), spec)
    yield "rules", lambda: _check_rules(read_service_account(view.proof), spec)


def _try(check: str, judge: Callable[[], T]) -> tuple[Finding | None, T | None]:
    try:
        return None, judge()
    except JoinRefused as refusal:
        return Finding(_CHECKS.get(refusal.reason, check), refusal.reason, refusal.detail), None
    except JwtError as error:
        return Finding(_CHECKS.get(error.reason, check), error.reason, error.message), None


_CHECKS = {
    "wrong_audience": "audience",
    "not_pod_bound": "pod binding",
    "legacy_token": "pod binding",
    "missing_claim": "times",
    "token_malformed": "claims",
}
"""Which check a refusal is of, where one step makes several."""


def _accepted_audiences(spec: KubernetesSpec, view: View) -> tuple[str, ...]:
    if spec.type is not ProofType.IN_CLUSTER or spec.require_own_audience:
        return (view.cluster_name,)
    return tuple(dict.fromkeys([view.cluster_name, *view.api_audiences]))


def _read(spec: KubernetesSpec, view: View, audiences: tuple[str, ...]) -> VouchedToken:
    if spec.type is ProofType.IN_CLUSTER:
        status = foretell_review(view.proof.claims, view.own_audiences, audiences)
        return read_reviewed_token(view.proof, status, audiences)
    return read_bound_token(view.proof, audiences)


def _check_signature(spec: KubernetesSpec, proof: UnverifiedJwt) -> None:
    """Verify by the static keys, and name the keys where the right one is missing."""
    try:
        verify_jwt(proof, spec.keys)
    except UnknownKey as error:
        known = ", ".join(key.key_id or "a key without a name" for key in spec.keys.keys)
        named = f"key {proof.key_id!r}" if proof.key_id else f"an unnamed {proof.algorithm} key"
        raise JwtError(error.reason, f"the token is signed by {named}, and static_jwks has {known}") from error


def _check_rules(account: ServiceAccount, spec: KubernetesSpec) -> None:
    """Refuse what the judge's check refuses, and say more of the nearest rule."""
    try:
        check_rules(account, spec)
    except JoinRefused as refusal:
        nearest = find_nearest(spec.allow, account)
        difference = describe_difference(nearest, account)
        number = spec.allow.index(nearest) + 1
        detail = f"no rule admits {account}; the nearest is rule {number}, which differs in {difference}"
        raise JoinRefused(refusal.reason, detail) from refusal


def _list_conditions(spec: KubernetesSpec, view: View, vouched: VouchedToken) -> Iterator[str]:
    if spec.type is ProofType.IN_CLUSTER:
        yield "the API server of auth's cluster vouches for it"
    elif spec.type is ProofType.OIDC and spec.oidc is not None:
        yield f"a key that {spec.oidc.issuer} publishes has signed it"
    elif not view.is_signed:
        yield "a key of static_jwks has signed it"
    if view.cluster_name not in vouched.audiences:
        yield f"{vouched.audiences[0]!r} is the API server's own audience"
    if spec.verify_pod or spec.bind_to_pod:
        yield f"pod {vouched.pod_name!r} is there with the UID {vouched.pod_uid}, and neither finished nor ending"
    yield "no other key has shown it before"
