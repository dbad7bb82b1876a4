"""What a join with a ServiceAccount token would come to, for each token resource: the checks of auth, without auth."""

from collections.abc import Iterator
from dataclasses import dataclass

from teleport.auth import admission
from teleport.auth.admission import MethodMismatch
from teleport.errors import BadParameter, JoinRefused
from teleport.join.kubernetes.explaining import Explanation, Finding, View, explain_proof
from teleport.join.kubernetes.spec import KubernetesSpec, parse_spec
from teleport.resources.role import SystemRole
from teleport.resources.token import Token

METHOD = "kubernetes"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A token resource that might admit somebody."""

    token: Token
    spec: KubernetesSpec | None
    """None if it is of another method, or if its section cannot be read."""
    trouble: str = ""
    """Why the section cannot be read."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A join as it would be asked for.

    Args:
        view: the ServiceAccount token.
        role: which role is asked for; None leaves it open.
        address: from where; None leaves it open.
    """

    view: View
    role: SystemRole | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an attempt with one token resource."""

    candidate: Candidate
    explanation: Explanation

    @property
    def admits(self) -> bool:
        """Tell whether the pod would be let in, if the conditions hold."""
        return not self.findings

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return what speaks against the attempt, auth's own reason first."""
        return self.explanation.findings

    @property
    def name(self) -> str:
        """Return the token resource's name as lists show it."""
        return self.candidate.token.safe_name


def build_candidate(token: Token) -> Candidate:
    """Return the token with its section read, which is done once for all attempts."""
    if token.spec.join_method != METHOD:
        return Candidate(token, None)
    try:
        return Candidate(token, parse_spec(token))
    except BadParameter as error:
        return Candidate(token, None, error.message)


def rehearse(candidate: Candidate, attempt: Attempt) -> Verdict:
    """Judge an attempt as auth would, as far as that can be done without its store and without Kubernetes."""
    before = tuple(_list_refusals(candidate, attempt))
    if candidate.spec is None:
        return Verdict(candidate, Explanation(before))
    proof = explain_proof(candidate.spec, attempt.view)
    conditions = (*proof.conditions, *_list_conditions(candidate.token, attempt))
    findings = before + proof.findings
    return Verdict(candidate, Explanation(findings) if findings else Explanation((), proof.rule, conditions))


def _list_refusals(candidate: Candidate, attempt: Attempt) -> Iterator[Finding]:
    """Yield what speaks against the attempt before its proof is looked at, in auth's order."""
    token = candidate.token
    try:
        admission.check_in_time(token, attempt.view.now)
    except JoinRefused as refusal:
        yield Finding("life of the join token", refusal.reason, refusal.detail)
    try:
        admission.check_method(token, METHOD)
    except MethodMismatch:
        yield Finding("method", "method_mismatch", f"it is of method {token.spec.join_method!r}, not {METHOD!r}")
        return
    if attempt.address is not None:
        try:
            admission.check_address(token, attempt.address)
        except JoinRefused as refusal:
            yield Finding("address", refusal.reason, refusal.detail)
    if attempt.role is not None:
        try:
            admission.check_role(token, attempt.role)
        except JoinRefused as refusal:
            yield Finding("role", refusal.reason, refusal.detail)
    if candidate.trouble:
        yield Finding("section", "bad_request", candidate.trouble)


def _list_conditions(token: Token, attempt: Attempt) -> Iterator[str]:
    """Yield what else must hold."""
    if attempt.role is None:
        yield f"it asks for a role that is granted: {', '.join(token.spec.roles)}"
    limits = token.spec.limits
    if limits is None:
        return
    if attempt.address is None and limits.allow_cidrs:
        yield f"it comes from {' or '.join(map(str, limits.allow_cidrs))}"
    if limits.max_uses is not None or limits.max_joins_per_hour is not None:
        yield "the limits of uses are not reached"
