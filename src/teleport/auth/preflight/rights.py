"""Checks of what the own ServiceAccount may do: enough, and no more than that."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from teleport.auth.preflight.check import Check, Plan, Status
from teleport.auth.preflight.facts import Answers, OwnToken, Right
from teleport.kube.access import Verification
from teleport.kube.errors import Forbidden, NoAnswer
from teleport.kube.grants import (
    RBAC,
    Account,
    Grant,
    build_keys_grant,
    build_least_reviews_grant,
    build_pods_grant,
    build_watch_grant,
)
from teleport.kube.objects import AccessAnswer

REVIEW = Right("create", "tokenreviews", "authentication.k8s.io")
EXCESS = (
    Right("get", "secrets"),
    Right("create", "pods"),
    Right("create", "clusterrolebindings", RBAC),
)
"""What auth never does in all namespaces; whoever took over an auth server with these would have the cluster."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a setting of `spec.kubernetes` needs beyond judging tokens."""

    name: str
    setting: str
    build_grant: Callable[[Account, str], Grant]

    def list_rights(self, place: str) -> list[Right]:
        """Return what must be granted in a namespace."""
        rule = self.build_grant(Account(), place).rule
        pairs = product(rule.resources, rule.verbs) if rule is not None else ()
        return [Right(verb, resource, namespace=place) for resource, verb in pairs]


NEEDS = (
    Need("get pods", "verify_pod", build_pods_grant),
    Need("watch pods", "bind_to_pod", build_watch_grant),
)


def list_rights(plan: Plan) -> list[Right]:
    """Return what to ask about, each once."""
    needed = [right for place in plan.places for need in NEEDS for right in need.list_rights(place)]
    return list(dict.fromkeys([REVIEW, *needed, *EXCESS]))


def judge_reviews(answers: Answers, own: OwnToken, plan: Plan) -> Check:
    """Say whether tokens can be reviewed; the proof is that the own one was."""
    if plan.verification is not Verification.TOKENREVIEW:
        return _judge_spare_reviews(answers)
    review = answers.review
    if isinstance(review, Forbidden):
        grant = build_least_reviews_grant(_name_account(own))
        return Check("token reviews", Status.MISSING, f"{review.detail}{_explain(answers)}", grant=grant)
    if isinstance(review, NoAnswer):
        return Check(
            "token reviews", Status.MISSING, review.detail, "try again; auth waits for the API server likewise"
        )
    if own.audiences and not (review.authenticated and set(review.audiences) & set(own.audiences)):
        problem = review.error or "none of its audiences is confirmed"
        return Check("token reviews", Status.MISSING, f"the own token was reviewed and refused: {problem}")
    return Check("token reviews", Status.OK, f"granted, and the own token was reviewed{_explain(answers)}")


def _judge_spare_reviews(answers: Answers) -> Check:
    """Say whether there is a right that the mode makes no use of."""
    if _is_granted(answers.rights[REVIEW]):
        finding = "granted, and not used in mode jwks"
        return Check(
            "token reviews", Status.WARNING, finding, "set verification: tokenreview, which sees more, or revoke it"
        )
    return Check("token reviews", Status.OPTIONAL, "not granted, and not needed in mode jwks")


def judge_keys(answers: Answers, own: OwnToken, plan: Plan) -> Check:
    """Say whether the keys by which tokens are signed can be read, and which issuer they are of."""
    is_needed = plan.verification is Verification.JWKS
    keys, issuer = answers.keys, answers.issuer
    if isinstance(keys, NoAnswer):
        if not is_needed:
            return Check("cluster keys", Status.OPTIONAL, f"{keys.detail}; only needed in mode jwks")
        grant = build_keys_grant(_name_account(own)) if isinstance(keys, Forbidden) else None
        return Check("cluster keys", Status.MISSING, keys.detail, grant=grant)
    if isinstance(issuer, NoAnswer):
        return Check("cluster keys", Status.WARNING, f"can be read, but not whose they are: {issuer.detail}")
    if is_needed and own.issuer != issuer:
        finding = f"the issuer is {issuer}; pods must have that of the own token, {own.issuer!r}"
        return Check("cluster keys", Status.MISSING, finding, "mount a projected ServiceAccount token that is fresh")
    return Check("cluster keys", Status.OK, f"can be read; the issuer is {issuer}")


def _explain(answers: Answers) -> str:
    """Return by which binding the API server grants reviews, in its own words."""
    answer = answers.rights[REVIEW]
    return f" ({answer.reason})" if isinstance(answer, AccessAnswer) and answer.reason else ""


def judge_need(need: Need, answers: Answers, own: OwnToken, plan: Plan, place: str) -> Check:
    """Say whether a setting could be used for the pods of one namespace."""
    name = f"{need.name} in {place}" if place else need.name
    found = {right: answers.rights[right] for right in need.list_rights(place)}
    lacking = [f"{right.verb} {right.resource}" for right, answer in found.items() if not _is_granted(answer)]
    if not lacking:
        return Check(name, Status.OK, f"granted, for {need.setting}")
    unknown = next((answer.detail for answer in found.values() if isinstance(answer, NoAnswer)), "")
    finding = unknown or f"may not {', '.join(lacking)}"
    grant = None if unknown else need.build_grant(_name_account(own), place)
    if need.setting not in plan.settings:
        return Check(name, Status.OPTIONAL, f"{finding}; only needed for {need.setting}")
    return Check(name, Status.MISSING, finding, grant=grant)


def judge_excess(answers: Answers) -> Check:
    """Say whether there are rights by which an auth server that is taken over opens the whole cluster."""
    granted = [f"{right.verb} {right.resource}" for right in EXCESS if _is_granted(answers.rights[right])]
    if granted:
        finding = f"in all namespaces it may {', '.join(granted)}, which auth never does"
        return Check("other rights", Status.WARNING, finding, "give auth a ServiceAccount of its own")
    return Check("other rights", Status.OK, "none that would open the whole cluster")


def _is_granted(answer: AccessAnswer | NoAnswer) -> bool:
    return isinstance(answer, AccessAnswer) and answer.allowed


def _name_account(own: OwnToken) -> Account:
    return own.account or Account()
