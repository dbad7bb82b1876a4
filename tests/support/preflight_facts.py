"""Facts about an API server as a preflight finds them where all is well; a test changes what it is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from support.jwt_tokens import build_jwks
from teleport.auth.preflight.check import Plan
from teleport.auth.preflight.facts import Answers, KubeFacts, OwnToken, Right
from teleport.auth.preflight.rights import EXCESS, list_rights
from teleport.kube.access import Verification
from teleport.kube.errors import Forbidden, NoAnswer
from teleport.kube.grants import Account
from teleport.kube.objects import AccessAnswer
from teleport.kube.server_version import ServerVersion
from teleport.kube.token_review import ReviewStatus
from teleport.pki.jwks import parse_jwks

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEFAULT_AUDIENCE = "https://kubernetes.default.svc"
OWN = OwnToken(
    account=Account("teleport", "auth"),
    subject="system:serviceaccount:teleport:auth",
    pod="auth-0",
    audiences=(DEFAULT_AUDIENCE,),
    issuer=DEFAULT_AUDIENCE,
    expires=NOW + timedelta(days=365),
)
FORBIDDEN = Forbidden('it is forbidden: User "system:serviceaccount:teleport:auth" cannot do that')


def build_plan(
    verification: Verification = Verification.TOKENREVIEW, *settings: str, namespaces: tuple[str, ...] = ()
) -> Plan:
    """Return what auth shall do."""
    return Plan(verification, "example.com", namespaces, frozenset(settings))


def build_answers(plan: Plan | None = None, *, denied: tuple[Right, ...] = EXCESS, **changes: Any) -> Answers:
    """Return answers that grant everything but what is denied."""
    rights = {
        right: AccessAnswer(allowed=right not in denied, reason="") for right in list_rights(plan or build_plan())
    }
    found = Answers(
        skew=timedelta(),
        review=ReviewStatus(authenticated=True, audiences=(DEFAULT_AUDIENCE,)),
        issuer=DEFAULT_AUDIENCE,
        keys=parse_jwks(build_jwks()),
        rights=rights,
    )
    return replace(found, **changes)


def build_facts(
    answers: Answers | None, *, own: OwnToken | NoAnswer = OWN, version: ServerVersion | NoAnswer | None = None
) -> KubeFacts:
    """Return facts with these answers."""
    return KubeFacts("https://10.0.0.1", NOW, own, version or ServerVersion(1, 34, "v1.34.4"), answers)
