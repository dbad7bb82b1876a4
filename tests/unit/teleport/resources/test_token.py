from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.auth import build_token
from support.clock import START
from teleport.errors import BadParameter
from teleport.resources.model import Metadata, parse_model
from teleport.resources.role import SystemRole
from teleport.resources.token import (
    DEFAULT_TTL,
    METHODS_OF_THE_ORIGINAL,
    Token,
    TokenLimits,
    TokenSpec,
    check_token,
    fill_defaults,
    generate_token_name,
    is_expired,
    safe_name,
)

NODE = SystemRole.NODE


def test_a_secret_lives_half_an_hour_unless_somebody_chose() -> None:
    assert fill_defaults(build_token(), START).metadata.expires == START + DEFAULT_TTL
    chosen = START + timedelta(days=1)
    assert fill_defaults(build_token(expires=chosen), START).metadata.expires == chosen


@pytest.mark.parametrize("method", sorted(METHODS_OF_THE_ORIGINAL - {"token"}))
def test_a_delegated_token_without_an_end_never_expires(method: str) -> None:
    assert fill_defaults(build_token(method=method), START).metadata.expires is None


def test_an_open_method_is_ec2_with_rules_and_token_without() -> None:
    assert fill_defaults(build_token(method=""), START).spec.join_method == "token"
    ruled = Token(metadata=Metadata(name="t"), spec=TokenSpec(roles=(NODE,), allow=({"aws_account": "1"},)))
    assert fill_defaults(ruled, START).spec.join_method == "ec2"


def test_the_instant_of_the_expiry_is_still_good() -> None:
    token = build_token(expires=START)
    assert not is_expired(token, START)
    assert is_expired(token, START + timedelta(microseconds=1))
    assert not is_expired(build_token(), START + timedelta(days=36500))


@given(st.text(max_size=200))
def test_a_safe_name_has_the_same_length_and_shows_a_quarter_at_most(name: str) -> None:
    safe = safe_name(name)
    assert len(safe) == len(name)
    shown = len(name) - int(0.75 * len(name)) if len(name) >= 16 else 0
    assert safe == "*" * (len(name) - shown) + name[len(name) - shown :]


def test_the_method_decides_whether_a_name_is_secret() -> None:
    assert safe_name("kubernetes-token", "kubernetes") == "kubernetes-token"
    assert safe_name("kubernetes-token", "") == "*" * 12 + "oken"
    assert build_token().is_secret
    assert not build_token(method="kubernetes").is_secret


def test_generated_names_differ() -> None:
    assert len({generate_token_name() for _ in range(100)}) == 100


def test_a_sound_token_passes() -> None:
    check_token(build_token("t", SystemRole.BOT, bot_name="robot"))


@pytest.mark.parametrize(
    ("metadata", "spec", "what"),
    [
        ({"name": ""}, {}, "name is missing"),
        ({"labels": {"": "x"}}, {}, "metadata.labels: a label's key is missing"),
        ({}, {"roles": []}, "no roles"),
        ({}, {"roles": ["Bot"]}, "needs spec.bot_name"),
        ({}, {"bot_name": "b"}, "only for tokens with role Bot"),
        ({}, {"roles": ["Bot"], "bot_name": "a\nb"}, "bot's user name"),
        ({}, {"roles": ["Bot"], "bot_name": "b" * 1021}, "bot's user name"),
        ({}, {"join_method": "pigeon"}, "unknown join method 'pigeon'"),
        ({}, {"join_method": ""}, "unknown join method"),
        ({}, {"suggested_labels": {"a": "x\ny"}}, "spec.suggested_labels"),
        ({}, {"suggested_agent_matcher_labels": {"a": ["x" * 2000]}}, "spec.suggested_agent_matcher_labels"),
    ],
)
def test_refusals_come_in_order_and_name_the_field(metadata: dict[str, Any], spec: dict[str, Any], what: str) -> None:
    raw = {"metadata": {"name": "t", **metadata}, "spec": {"roles": ["Node"], "join_method": "token", **spec}}
    with pytest.raises(BadParameter, match=what):
        check_token(parse_model(Token, raw, "token"))


def test_the_first_thing_wrong_is_the_one_that_is_told() -> None:
    with pytest.raises(BadParameter, match="name is missing"):
        check_token(parse_model(Token, {"spec": {"join_method": "pigeon"}}, "token"))


@pytest.mark.parametrize(
    "limits",
    [
        {"max_uses": 1},
        {"max_uses": 1_000_000_000},
        {"max_joins_per_hour": 1},
        {"allow_cidrs": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"]},
        {"allow_cidrs": ["10.0.0.0/8"] * 256},
        {"not_before": "2026-01-01T00:00:00Z"},
    ],
)
def test_limits_within_their_bounds_pass(limits: dict[str, Any]) -> None:
    parse_model(TokenLimits, limits, "limits")


@pytest.mark.parametrize(
    "limits",
    [
        {"max_uses": 0},
        {"max_uses": -1},
        {"max_uses": 1_000_000_001},
        {"max_uses": 1.5},
        {"max_joins_per_hour": 0},
        {"allow_cidrs": ["10.0.0.1/8"]},
        {"allow_cidrs": ["everywhere"]},
        {"allow_cidrs": ["10.0.0.0/8"] * 257},
        {"not_before": "tomorrow"},
        {"max_agents": 1},
    ],
)
def test_limits_outside_their_bounds_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(BadParameter, match=r"^limits: "):
        parse_model(TokenLimits, limits, "limits")


def test_hostile_33_a_role_in_any_spelling_stands_once() -> None:
    with pytest.raises(BadParameter, match="given twice"):
        parse_model(TokenSpec, {"roles": ["Node", " nODE "]}, "spec")


@pytest.mark.parametrize("roles", ["node,app", [1], [None], {"Node": True}, [["Node"]]])
def test_hostile_33_what_is_no_list_of_roles_is_refused(roles: object) -> None:
    with pytest.raises(BadParameter, match=r"spec: roles"):
        parse_model(TokenSpec, {"roles": roles}, "spec")


def test_one_suggested_value_is_a_list_of_one() -> None:
    spec = parse_model(TokenSpec, {"roles": ["Node"], "suggested_labels": {"a": "x", "b": ["y", "z"]}}, "spec")
    assert spec.suggested_labels == {"a": ["x"], "b": ["y", "z"]}
