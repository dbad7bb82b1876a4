from typing import Any

import pytest

from support.declared import JUDGES, KUBERNETES, LONG_NAME
from teleport.join.method import Judge
from teleport.resources.codec import parse_resource
from teleport.resources.token import SAFE_SECRET_LENGTH, Token
from teleport_operator.checks import MAX_REFUSALS, find_contradictions, find_refusals
from teleport_operator.spec import DeclaredSpec

SECRET: dict[str, Any] = {"roles": ["Node"], "join_method": "token"}


def find_paths(spec: dict[str, Any], name: str = LONG_NAME, *, is_secret: bool = False) -> list[str]:
    """Return where a spec contradicts itself."""
    problems = find_contradictions(DeclaredSpec.model_validate(spec), name, is_secret=is_secret)
    return [problem.path for problem in problems]


def with_rules(*rules: dict[str, str]) -> dict[str, Any]:
    return {**KUBERNETES, "kubernetes": {"allow": list(rules)}}


def refuse(spec: dict[str, Any], judges: dict[str, Judge] | None = None) -> list[str]:
    """Return where auth would refuse a token."""
    token = parse_resource({"kind": "token", "version": "v2", "metadata": {"name": LONG_NAME}, "spec": spec})
    assert isinstance(token, Token)
    return [problem.path for problem in find_refusals(token, JUDGES if judges is None else judges)]


@pytest.mark.parametrize(("length", "paths"), [(SAFE_SECRET_LENGTH - 1, ["metadata.name"]), (SAFE_SECRET_LENGTH, [])])
def test_a_name_that_is_the_secret_is_long_enough(length: int, paths: list[str]) -> None:
    assert find_paths(SECRET, "a" * length, is_secret=True) == paths
    assert find_paths(SECRET | {"secret": {}}, "a" * length, is_secret=True) == []
    assert find_paths(KUBERNETES, "a" * length) == []


def test_only_a_token_whose_name_is_the_secret_has_a_secret_section() -> None:
    assert find_paths(KUBERNETES | {"secret": {}}) == ["spec.secret"]


@pytest.mark.parametrize(
    ("section", "paths"),
    [
        ({"fromSecret": {"name": "theirs"}}, []),
        ({"fromSecret": {"name": "theirs"}, "rotateEvery": "24h"}, ["spec.secret.rotateEvery"]),
        ({"rotateEvery": "24h", "overlap": "23h"}, []),
        ({"rotateEvery": "24h", "overlap": "24h"}, ["spec.secret.overlap"]),
        ({"overlap": "24h"}, []),
    ],
)
def test_the_parts_of_a_secret_section_fit_together(section: dict[str, Any], paths: list[str]) -> None:
    assert find_paths(SECRET | {"secret": section}, is_secret=True) == paths


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ({"service_account": "apps:web"}, 0),
        ({"service_account_name": "web", "service_account_namespace": "apps"}, 0),
        ({"service_account": "apps:web", "service_account_name": "web", "service_account_namespace": "apps"}, 1),
        ({"service_account": "apps:web", "service_account_name": "web"}, 1),
    ],
)
def test_a_rule_is_an_account_or_patterns(rule: dict[str, str], found: int) -> None:
    assert find_paths(with_rules({"service_account": "a:b"}, rule)) == ["spec.kubernetes.allow[1]"] * found


def test_what_auth_would_take_has_no_refusals() -> None:
    assert refuse(KUBERNETES) == []
    assert refuse(SECRET) == []


def test_every_rule_that_auth_would_refuse_is_named() -> None:
    spec = with_rules(
        {"service_account": ":x"}, {"service_account": "a:b"}, {"service_account": "a:*"}, {"service_account_name": "a"}
    )
    assert refuse(spec) == [
        "spec.kubernetes.allow[0].service_account",
        "spec.kubernetes.allow[2].service_account",
        "spec.kubernetes.allow[3]",
    ]


@pytest.mark.parametrize(("wrong", "named"), [(MAX_REFUSALS, MAX_REFUSALS), (MAX_REFUSALS + 1, MAX_REFUSALS)])
def test_no_more_refusals_are_named_than_anybody_reads(wrong: int, named: int) -> None:
    assert len(refuse(with_rules(*[{"service_account": ":x"}] * wrong))) == named


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"roles": ["Node"], "join_method": "github"}, "spec.join_method"),
        ({"roles": ["Node"], "join_method": "carrier-pigeon"}, "spec"),
        ({"roles": ["Bot"], "join_method": "kubernetes", "kubernetes": KUBERNETES["kubernetes"]}, "spec"),
        ({"roles": ["App"], "join_method": "kubernetes", "kubernetes": {"allow": []}}, "spec.kubernetes.allow"),
        ({"roles": ["App"], "join_method": "kubernetes"}, "spec.kubernetes"),
    ],
)
def test_a_refusal_has_its_place(spec: dict[str, Any], path: str) -> None:
    assert refuse(spec) == [path]


def test_what_a_refusal_says_quotes_no_value() -> None:
    token = parse_resource(
        {
            "kind": "token",
            "version": "v2",
            "metadata": {"name": LONG_NAME},
            "spec": with_rules({"service_account": ":x-1"}),
        }
    )
    assert isinstance(token, Token)
    assert "x-1" not in "".join(map(str, find_refusals(token, JUDGES)))
