"""What does not fit together in a spec whose fields are right by themselves.

Auth's own judgement comes last and decides; what is checked before it is what only objects have.
"""

import re
from collections.abc import Iterator, Mapping

from teleport.errors import BadParameter, NotSupported
from teleport.join.catalog import find_method
from teleport.join.kubernetes.spec import Rule
from teleport.join.method import Judge
from teleport.resources.token import SAFE_SECRET_LENGTH, Token, check_token
from teleport_operator.problems import Problem
from teleport_operator.spec import DeclaredSpec, SecretSection

MAX_REFUSALS = 20

_PLACED = re.compile(r"(?P<path>spec(?:\.[a-z_]+(?:\[[0-9]+\])?)+):? (?P<sentence>.+)", re.DOTALL)
_IN_RULE = re.compile(r"spec\.kubernetes\.allow\[(?P<number>[0-9]+)\]")
_SOUND_RULE = {"service_account": "namespace:name"}


def find_contradictions(spec: DeclaredSpec, name: str, *, is_secret: bool) -> Iterator[Problem]:
    """Yield what auth cannot judge: it knows neither Secrets nor names of objects."""
    if is_secret and spec.secret is None and len(name) < SAFE_SECRET_LENGTH:
        yield Problem(
            "metadata.name",
            f"is the secret of a token without spec.secret, and has fewer than {SAFE_SECRET_LENGTH} characters",
            "add `secret: {}` to the spec, and the operator makes a secret",
        )
    if spec.secret is not None and not is_secret:
        yield Problem("spec.secret", "is only for join_method token", "take it away: this token's name is no secret")
    elif spec.secret is not None:
        yield from _find_in_secret(spec.secret)
    for number, rule in enumerate(spec.kubernetes.allow if spec.kubernetes else ()):
        yield from _find_in_rule(rule, f"spec.kubernetes.allow[{number}]")


def _find_in_secret(secret: SecretSection) -> Iterator[Problem]:
    if secret.from_secret is not None and secret.rotate_every is not None:
        yield Problem("spec.secret.rotateEvery", "stands beside fromSecret", "change that Secret to rotate the token")
    if secret.overlap is not None and secret.rotate_every is not None and secret.overlap >= secret.rotate_every:
        yield Problem("spec.secret.overlap", "is not shorter than rotateEvery", "give a shorter one, or none")


def _find_in_rule(rule: Rule, path: str) -> Iterator[Problem]:
    """Yield what the schema refuses as well, and auth does not: all parts of such a rule must match."""
    if rule.service_account and (rule.service_account_name or rule.service_account_namespace):
        yield Problem(path, "has service_account and patterns", "make two rules of it")


def find_refusals(token: Token, judges: Mapping[str, Judge]) -> Iterator[Problem]:
    """Yield why auth would not take a token; of each rule what comes first."""
    candidate: Token | None = token
    for _ in range(MAX_REFUSALS):
        if candidate is None:
            return
        problem = _find_refusal(candidate, judges)
        if problem is not None:
            yield problem
        candidate = _without_rule(candidate, problem)


def _find_refusal(token: Token, judges: Mapping[str, Judge]) -> Problem | None:
    method, place = token.spec.join_method, "spec"
    try:
        check_token(token)
        place = "spec.join_method"
        find_method(method)
        place = f"spec.{method}" if getattr(token.spec, method, None) is not None else "spec"
        judges[method].check_token(token)
    except (BadParameter, NotSupported) as error:
        placed = _PLACED.fullmatch(error.message)
        return Problem(placed["path"], placed["sentence"]) if placed else Problem(place, error.message)
    return None


def _without_rule(token: Token, problem: Problem | None) -> Token | None:
    """Return the token with the rule of a problem replaced by a sound one, so that the next one shows; or nothing."""
    place = _IN_RULE.match(problem.path) if problem is not None else None
    if place is None or token.spec.kubernetes is None:
        return None
    rules = list(token.spec.kubernetes["allow"])
    rules[int(place["number"])] = _SOUND_RULE
    section = {**token.spec.kubernetes, "allow": rules}
    return token.model_copy(update={"spec": token.spec.model_copy(update={"kubernetes": section})})
