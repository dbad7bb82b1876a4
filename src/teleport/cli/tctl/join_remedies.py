"""What helps a ServiceAccount token that would be refused: a sentence, and YAML to paste where there is some. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from teleport.cli.tctl.join_rehearsal import METHOD, Attempt, Candidate
from teleport.config.duration import render_duration
from teleport.errors import BadParameter, JoinRefused
from teleport.join.kubernetes.claims import read_service_account
from teleport.join.kubernetes.explaining import Finding
from teleport.join.kubernetes.spec import Rule, check_rule
from teleport.pki.jwt import UnverifiedJwt, read_time
from teleport.resources.model import parse_model, render_time
from teleport.resources.role import LOCAL_SERVICE_ROLES, SystemRole
from teleport.resources.strict_yaml import render_yaml

EXTENSION = timedelta(days=365)
"""By how much an expired token resource is suggested to live on."""
POD_TOKEN_SECONDS = 600
"""The shortest life that Kubernetes gives a token."""


_SAFE = re.compile(r"[!-~]{1,512}")
"""Of a stranger's claims only such go into YAML that somebody pastes."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do."""

    advice: str
    yaml: str = ""


def find_remedy(finding: Finding, candidate: Candidate, attempt: Attempt) -> Remedy | None:
    """Return what makes the check hold, or None where nothing does but another pod or another token."""
    build = _BY_CHECK.get(finding.check) or _BY_REASON.get(finding.reason)
    return build(candidate, attempt) if build is not None else None


def _extend(candidate: Candidate, attempt: Attempt) -> Remedy:
    now = attempt.view.now.replace(microsecond=0)
    expires = candidate.token.metadata.expires
    if expires is not None and expires < now:
        text = render_time(now + EXTENSION)
        return Remedy("let the token resource live on", render_yaml({"metadata": {"expires": text}}))
    return Remedy(
        "let the token resource be good from now on, or wait",
        render_yaml({"spec": {"limits": {"not_before": render_time(now)}}}),
    )


def _create(_candidate: Candidate, attempt: Attempt) -> Remedy | None:
    """Return a token resource that pods may use; nobody needs it where the account cannot be read."""
    rule = _build_rule(attempt.view.proof)
    if rule is None:
        return None
    resource = {
        "kind": "token",
        "version": "v2",
        "metadata": {"name": "kubernetes-token"},
        "spec": {
            "roles": [str(attempt.role or SystemRole.APP)],
            "join_method": METHOD,
            "kubernetes": {"allow": [rule]},
        },
    }
    return Remedy("pods need a token resource of their own; create this one", render_yaml(resource))


def _admit_address(candidate: Candidate, attempt: Attempt) -> Remedy:
    limits = candidate.token.spec.limits
    known = [str(network) for network in limits.allow_cidrs] if limits is not None else []
    networks = [*known, str(attempt.address)]
    return Remedy(
        "admit the address in the token resource", render_yaml({"spec": {"limits": {"allow_cidrs": networks}}})
    )


def _grant(candidate: Candidate, attempt: Attempt) -> Remedy | None:
    if attempt.role not in LOCAL_SERVICE_ROLES:
        return None
    roles = [*map(str, candidate.token.spec.roles), str(attempt.role)]
    return Remedy("grant the role in the token resource", render_yaml({"spec": {"roles": roles}}))


def _admit(_candidate: Candidate, attempt: Attempt) -> Remedy | None:
    rule = _build_rule(attempt.view.proof)
    if rule is None:
        return None
    return Remedy("add this rule to spec.kubernetes of the token resource", render_yaml({"allow": [rule]}))


def _project(_candidate: Candidate, attempt: Attempt) -> Remedy:
    token = {"path": "token", "audience": attempt.view.cluster_name, "expirationSeconds": POD_TOKEN_SECONDS}
    volume = {"name": "teleport-token", "projected": {"sources": [{"serviceAccountToken": token}]}}
    advice = "mount a projected token into the pod, and set KUBERNETES_TOKEN_PATH to its path"
    return Remedy(advice, render_yaml({"volumes": [volume]}))


def _allow_life(_candidate: Candidate, attempt: Attempt) -> Remedy | None:
    claims = attempt.view.proof.claims
    issued, expires = read_time(claims, "iat"), read_time(claims, "exp")
    if issued is None or expires is None:
        return None
    advice = f"ask for a shorter life in the pod (expirationSeconds: {POD_TOKEN_SECONDS}), or allow so long a one"
    return Remedy(advice, _section({"max_token_ttl": render_duration(expires - issued)}))


def _name_issuer(_candidate: Candidate, attempt: Attempt) -> Remedy | None:
    issuer = attempt.view.proof.claims.get("iss")
    if not isinstance(issuer, str) or not issuer.startswith("https://") or not _SAFE.fullmatch(issuer):
        return None
    return Remedy("name the issuer in the token resource, if you trust it", _section({"oidc": {"issuer": issuer}}))


def _fetch_keys(_candidate: Candidate, _attempt: Attempt) -> Remedy:
    return Remedy("put what `kubectl get --raw /openid/v1/jwks` prints in the pod's cluster into static_jwks.jwks")


def _read_again(_candidate: Candidate, _attempt: Attempt) -> Remedy:
    return Remedy("read the token out of the pod anew: the kubelet replaces it before it expires")


def _set_clock(_candidate: Candidate, _attempt: Attempt) -> Remedy:
    return Remedy("compare the clocks of this host and of the cluster")


def _section(fields: Mapping[str, Any]) -> str:
    return render_yaml({"spec": {METHOD: dict(fields)}})


def _build_rule(proof: UnverifiedJwt) -> dict[str, str] | None:
    """Return the rule for the one account, or None where no such rule can be written."""
    try:
        rule = parse_model(Rule, {"service_account": str(read_service_account(proof))}, "rule")
        check_rule(rule, "rule")
    except (JoinRefused, BadParameter):
        return None
    return rule.model_dump(exclude_defaults=True)


_Build = Callable[[Candidate, Attempt], Remedy | None]

_BY_CHECK: Mapping[str, _Build] = {
    "life of the join token": _extend,
    "method": _create,
    "address": _admit_address,
    "role": _grant,
}
_BY_REASON: Mapping[str, _Build] = {
    "no_rule_matched": _admit,
    "wrong_audience": _project,
    "not_pod_bound": _project,
    "legacy_token": _project,
    "token_ttl_too_long": _allow_life,
    "wrong_issuer": _name_issuer,
    "unknown_key": _fetch_keys,
    "token_expired": _read_again,
    "token_not_yet_valid": _set_clock,
    "token_issued_in_future": _set_clock,
}
