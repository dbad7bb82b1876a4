"""The whole report: every check in its order, and whether the mode that is configured can work."""

from collections.abc import Sequence
from dataclasses import dataclass

from teleport.auth.preflight.check import Check, Plan, Status
from teleport.auth.preflight.cluster import (
    judge_api_server,
    judge_audiences,
    judge_clock,
    judge_own_token,
    judge_unreadable_token,
    judge_version,
)
from teleport.auth.preflight.facts import Answers, KubeFacts, OwnToken
from teleport.auth.preflight.rights import NEEDS, judge_excess, judge_keys, judge_need, judge_reviews
from teleport.kube.access import Verification
from teleport.kube.errors import NoAnswer
from teleport.kube.grants import Grant
from teleport.kube.server_version import ServerVersion

_MODES = {
    Verification.TOKENREVIEW: "tokenreview works; tokens of pods that are gone are refused",
    Verification.JWKS: "jwks works; that a pod is gone goes unseen until its token expires",
}


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """What was looked at, and what the API server's tokens are for."""

    checks: tuple[Check, ...]
    audiences: tuple[str, ...] = ()
    """Those of the API server, learned from the own token."""
    issuer: str = ""

    @property
    def is_ready(self) -> bool:
        """Tell whether nothing that is needed is missing."""
        return not _lacks(self.checks)

    @property
    def grants(self) -> list[Grant]:
        """Return what has to be granted."""
        return [check.grant for check in self.checks if check.grant is not None]


def build_report(facts: KubeFacts, plan: Plan) -> PreflightReport:
    """Return what there is to say; where nobody answers that is all."""
    if isinstance(facts.own_token, NoAnswer):
        return PreflightReport((judge_unreadable_token(facts.own_token),))
    own = judge_own_token(facts.own_token, facts.now)
    reached = judge_api_server(facts.url, facts.version)
    if isinstance(facts.version, NoAnswer) or facts.answers is None:
        return PreflightReport((reached, own), facts.own_token.audiences)
    basis = (reached, own, *_judge_basis(facts.own_token, facts.version, facts.answers, plan))
    needs = [judge_need(need, facts.answers, facts.own_token, plan, place) for place in plan.places for need in NEEDS]
    checks = (*basis, _judge_mode(basis, plan), *needs, judge_excess(facts.answers))
    issuer = "" if isinstance(facts.answers.issuer, NoAnswer) else facts.answers.issuer
    return PreflightReport(checks, facts.own_token.audiences, issuer)


def _judge_basis(own: OwnToken, version: ServerVersion, answers: Answers, plan: Plan) -> list[Check]:
    return [
        judge_version(version),
        judge_clock(answers.skew),
        judge_audiences(own, plan),
        judge_reviews(answers, own, plan),
        judge_keys(answers, own, plan),
    ]


def _judge_mode(basis: Sequence[Check], plan: Plan) -> Check:
    if _lacks(basis):
        return Check("verification", Status.MISSING, f"{plan.verification} cannot work before the above is there")
    return Check("verification", Status.OK, _MODES[plan.verification])


def _lacks(checks: Sequence[Check]) -> bool:
    return any(check.status is Status.MISSING for check in checks)
