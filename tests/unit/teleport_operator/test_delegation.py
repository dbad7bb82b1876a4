from typing import Any

import pytest

from support.declared import declare
from teleport.errors import BadParameter
from teleport_operator.delegation import Delegation, parse_delegation

OWN = "teleport"
FILE = """
namespaces:
  team-a:
    roles: [app, node]
    methods: [kubernetes]
    max_ttl: 24h
  team-b:
    roles: [Bot, Node]
    methods: [token, kubernetes]
    bots: [robot]
    service_accounts: any
"""


def build_spec(*accounts: str, roles: tuple[str, ...] = ("App",), **more: Any) -> dict[str, Any]:
    """Return a spec that is within the bounds of team-a."""
    allow = [{"service_account": account} for account in accounts or ("team-a:app",)]
    return {"roles": list(roles), "join_method": "kubernetes", "kubernetes": {"allow": allow}, "ttl": "1h", **more}


def find_refusal(spec: dict[str, Any], namespace: str = "team-a", *, text: str = FILE) -> str:
    """Return why a namespace may not declare something."""
    return parse_delegation(text, OWN).find_refusal(declare(spec, namespace=namespace))


def test_what_a_namespace_was_granted_it_may_declare() -> None:
    assert find_refusal(build_spec()) == ""


def test_the_operator_s_own_namespace_may_declare_everything() -> None:
    assert find_refusal(build_spec("anywhere:at-all", roles=("Auth",)), OWN) == ""


def test_a_namespace_that_is_not_named_may_declare_nothing() -> None:
    assert "does not name it" in find_refusal(build_spec("team-c:app"), "team-c")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (build_spec(roles=("Proxy",)), "role Proxy"),
        (build_spec(roles=("Bot",), bot_name="robot"), "bot 'robot'"),
        ({"roles": ["App"], "secret": {}, "ttl": "1h"}, "join method 'token'"),
        (build_spec(ttl="25h"), "longer than"),
        ({**build_spec(), "ttl": None}, "longer than"),
        ({**build_spec(), "ttl": None, "expires": "2026-01-02T00:00:01Z"}, "longer than"),
        (build_spec("team-a:app", "team-b:app"), "'team-b'"),
    ],
    ids=["role", "bot", "method", "ttl", "no end", "late end", "another namespace's account"],
)
def test_whatever_goes_beyond_is_refused_with_its_reason(spec: dict[str, Any], reason: str) -> None:
    assert reason in find_refusal(spec)


def test_the_limits_themselves_are_within() -> None:
    assert find_refusal(build_spec(ttl="24h")) == ""
    assert find_refusal({**build_spec(), "ttl": None, "expires": "2026-01-02T00:00:00Z"}) == ""


@pytest.mark.parametrize("pattern", ["*", "team-?", "team-b"])
def test_a_pattern_is_not_the_own_namespace(pattern: str) -> None:
    rule = {"service_account_namespace": pattern, "service_account_name": "app"}
    assert "other namespaces" in find_refusal({**build_spec(), "kubernetes": {"allow": [rule]}})


def test_the_own_namespace_may_be_named_beside_a_pattern_for_accounts() -> None:
    rule = {"service_account_namespace": "team-a", "service_account_name": "*"}
    assert find_refusal({**build_spec(), "kubernetes": {"allow": [rule]}}) == ""


def test_pods_of_another_cluster_are_nobody_s_own() -> None:
    section = {"type": "oidc", "oidc": {"issuer": "https://example.com"}, "allow": [{"service_account": "team-a:app"}]}
    assert "other clusters" in find_refusal({**build_spec(), "kubernetes": section})


def test_a_bot_and_any_account_where_that_was_granted() -> None:
    assert find_refusal(build_spec("x:y", roles=("Bot",), bot_name="robot"), "team-b") == ""
    assert "bot 'operator'" in find_refusal(build_spec("x:y", roles=("Bot",), bot_name="operator"), "team-b")


def test_a_rotating_secret_lives_from_one_value_to_the_next_but_one() -> None:
    text = "namespaces: {team-a: {max_ttl: 24h}}"
    rotating = {"roles": ["Node"], "secret": {"rotateEvery": "23h", "overlap": "1h"}}
    assert find_refusal(rotating, text=text) == ""
    assert "longer than" in find_refusal({"roles": ["Node"], "secret": {"rotateEvery": "24h"}}, text=text)


def test_without_a_file_others_may_declare_services_of_their_own_accounts() -> None:
    without = Delegation(OWN, None)
    assert without.find_refusal(declare(build_spec(), namespace="team-a")) == ""
    assert "'team-b'" in without.find_refusal(declare(build_spec("team-b:app"), namespace="team-a"))
    assert "role Auth" in without.find_refusal(declare(build_spec(roles=("Auth",)), namespace="team-a"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "namespaces: {team-a: {role: [App]}}",
        "namespaces: {team-a: {roles: [Nobody]}}",
        "namespaces: {team-a: {max_ttl: soon}}",
        "namespaces: {team-a: {service_accounts: none}}",
        "namespaces: {}\n---\nnamespaces: {}",
    ],
)
def test_a_file_that_cannot_be_understood_is_refused(text: str) -> None:
    with pytest.raises(BadParameter):
        parse_delegation(text, OWN)
