"""Whether token resources admit and refuse whom their cases say. Pure: nobody is asked, no signature is looked at."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from teleport.cli.tctl.join_rehearsal import METHOD, Attempt, Candidate, Verdict, build_candidate, rehearse
from teleport.cli.tctl.token_cases import Binding, Case, Expectation, Given, Suite
from teleport.cli.tctl.token_files import Files
from teleport.errors import BadParameter
from teleport.join.kubernetes.explaining import View
from teleport.kube.token_review import USERNAME_PREFIX
from teleport.pki.jwt import UnverifiedJwt
from teleport.resources.token import Token


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one case."""

    case: Case
    verdicts: tuple[Verdict, ...]
    passed: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What became of all."""

    results: tuple[Result, ...]
    not_testable: tuple[Token, ...]
    """Tokens of other methods: no case says anything about them."""

    @property
    def failed(self) -> int:
        """Return how many cases failed."""
        return sum(not result.passed for result in self.results)


def run_suites(files: Files, now: datetime) -> Report:
    """Judge every case.

    Raises:
        BadParameter: a token's section cannot be read, or a case names a token that is not testable.
    """
    candidates = {token.name: _prepare(token) for token in files.tokens if token.spec.join_method == METHOD}
    others = tuple(token for token in files.tokens if token.spec.join_method != METHOD)
    results = tuple(_run(case, suite, _choose(case, candidates), now) for suite in files.suites for case in suite.cases)
    return Report(results, others)


def _prepare(token: Token) -> Candidate:
    candidate = build_candidate(token)
    if candidate.trouble:
        raise BadParameter(f"token {token.safe_name!r}: {candidate.trouble}")
    return candidate


def _choose(case: Case, candidates: dict[str, Candidate]) -> Iterable[Candidate]:
    if case.given.token is None:
        return candidates.values()
    if case.given.token not in candidates:
        raise BadParameter(f"case {case.name!r} names a token that is not of method {METHOD!r}, and cannot be tested")
    return [candidates[case.given.token]]


def _run(case: Case, suite: Suite, candidates: Iterable[Candidate], now: datetime) -> Result:
    verdicts = tuple(rehearse(each, _build_attempt(case.given, suite, each, now)) for each in candidates)
    return Result(case, verdicts, _is_met(case, verdicts))


def _is_met(case: Case, verdicts: Sequence[Verdict]) -> bool:
    admitting = [verdict.candidate.token.name for verdict in verdicts if verdict.admits]
    if case.expect is Expectation.ADMITTED:
        return bool(admitting) and (not case.by or sorted(case.by) == sorted(admitting))
    reasons = {verdict.findings[0].reason for verdict in verdicts if not verdict.admits}
    return not admitting and (case.reason is None or case.reason in reasons)


def _build_attempt(given: Given, suite: Suite, candidate: Candidate, now: datetime) -> Attempt:
    moment = given.at or now
    proof = UnverifiedJwt("RS256", None, _build_claims(given, suite, candidate, moment), b"", b"")
    view = View(proof, suite.cluster_name, suite.api_audiences, moment, is_signed=False)
    return Attempt(view, given.role, given.address)


def _build_claims(given: Given, suite: Suite, candidate: Candidate, moment: datetime) -> dict[str, Any]:
    """Return what a token says that was issued this moment."""
    namespace, _, name = given.service_account.partition(":")
    issued = int(moment.timestamp())
    return {
        "iss": given.issuer or _find_issuer(candidate),
        "sub": f"{USERNAME_PREFIX}{given.service_account}",
        "aud": list(given.audiences or (suite.cluster_name,)),
        "iat": issued,
        "nbf": issued,
        "exp": issued + int(given.life.total_seconds()),
        "kubernetes.io": dict(_bind(given.bound_to, namespace, name)),
    }


def _bind(bound_to: Binding, namespace: str, account: str) -> Iterator[tuple[str, Any]]:
    yield "namespace", namespace
    yield "serviceaccount", {"name": account, "uid": "serviceaccount-uid"}
    if bound_to is not Binding.NOTHING:
        yield bound_to.value, {"name": bound_to.value, "uid": f"{bound_to}-uid"}


def _find_issuer(candidate: Candidate) -> str:
    spec = candidate.spec
    return spec.oidc.issuer if spec is not None and spec.oidc is not None else "https://kubernetes.default.svc"
