from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.errors import AccessDenied, BadParameter
from teleport.resources.access_role import (
    PRESET_ROLES,
    AppLabels,
    Role,
    RoleConditions,
    RoleSpec,
    check_app_access,
    check_role,
)
from teleport.resources.codec import parse_resource, to_plain
from teleport.resources.model import Metadata

Rules = dict[str, tuple[str, ...]]
RULES = st.dictionaries(
    st.sampled_from("abc*"), st.lists(st.sampled_from(["1", "2", "*"]), min_size=1).map(tuple), max_size=3
)
GIVEN = st.dictionaries(st.sampled_from("abc"), st.lists(st.sampled_from("12"), min_size=1).map(tuple))
DECLARED = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"))


def build_role(allow: Rules | None = None, deny: Rules | None = None, name: str = "dev") -> Role:
    spec = RoleSpec(allow=RoleConditions(app_labels=allow or {}), deny=RoleConditions(app_labels=deny or {}))
    return Role(metadata=Metadata(name=name), spec=spec)


def is_open(roles: list[Role], given: Rules, declared: dict[str, str] | None = None) -> bool:
    try:
        check_app_access(roles, AppLabels(given, declared or {}))
    except AccessDenied:
        return False
    return True


@pytest.mark.parametrize(
    ("allow", "given", "is_allowed"),
    [
        ({"env": ("dev",)}, {"env": ("dev",)}, True),
        ({"env": ("dev",)}, {"env": ("prod",)}, False),
        ({"env": ("dev",)}, {}, False),
        ({"env": ("dev", "test")}, {"env": ("test",)}, True),
        ({"env": ("dev",)}, {"env": ("prod", "dev")}, True),
        ({"env": ("dev",), "team": ("a",)}, {"env": ("dev",)}, False),
        ({"env": ("dev",), "team": ("a",)}, {"env": ("dev",), "team": ("a",), "more": ("x",)}, True),
        ({"env": ("*",)}, {"env": ("anything",)}, True),
        ({"env": ("*",)}, {}, False),
        ({"*": ("*",)}, {}, True),
        ({}, {"env": ("dev",)}, False),
    ],
)
def test_all_labels_must_match_each_by_any_of_its_values(allow: Rules, given: Rules, is_allowed: bool) -> None:
    assert is_open([build_role(allow)], given) is is_allowed


def test_without_a_role_nothing_is_open() -> None:
    assert not is_open([], {"env": ("dev",)})


def test_the_preset_opens_everything_and_the_others_nothing() -> None:
    assert is_open([PRESET_ROLES["access"]], {})
    assert not is_open([PRESET_ROLES["editor"], PRESET_ROLES["auditor"]], {"env": ("dev",)})


def test_deny_wins_over_another_role() -> None:
    denies = build_role(deny={"env": ("prod",)}, name="no-prod")
    assert is_open([PRESET_ROLES["access"], denies], {"env": ("dev",)})
    assert not is_open([PRESET_ROLES["access"], denies], {"env": ("prod",)})


def test_hostile_69_labels_that_an_agent_declares_open_nothing() -> None:
    assert not is_open([build_role({"env": ("dev",)})], {"env": ("prod",)}, {"env": "dev"})
    assert not is_open([build_role({"env": ("dev",)})], {}, {"env": "dev"})
    assert not is_open([build_role({"env": ("*",)})], {}, {"env": "dev"})


def test_hostile_69_labels_that_an_agent_declares_can_close() -> None:
    roles = [PRESET_ROLES["access"], build_role(deny={"env": ("prod",)})]
    assert not is_open(roles, {}, {"env": "prod"})
    assert not is_open(roles, {"env": ("prod",)}, {"env": "dev"})


@given(allow=RULES, deny=RULES, labels=GIVEN, declared=DECLARED)
def test_hostile_69_no_declared_label_ever_widens_access(
    allow: Rules, deny: Rules, labels: Rules, declared: dict[str, str]
) -> None:
    roles = [build_role(allow, deny)]
    assert is_open(roles, labels) or not is_open(roles, labels, declared)


@given(allow=RULES, deny=RULES, labels=GIVEN)
def test_a_further_denial_never_widens_access_and_a_further_role_that_allows_never_narrows_it(
    allow: Rules, deny: Rules, labels: Rules
) -> None:
    held, denies, allows = [build_role({"a": ("1",)})], build_role(deny=deny), build_role(allow)
    assert is_open(held, labels) or not is_open([*held, denies], labels)
    assert is_open([*held, allows], labels) or not is_open(held, labels)


def build_document(**spec: Any) -> dict[str, Any]:
    return {"kind": "role", "version": "v7", "metadata": {"name": "dev"}, "spec": spec}


def test_a_role_is_written_as_the_original_writes_it() -> None:
    role = parse_resource(
        build_document(
            allow={
                "app_labels": {"env": "dev", "team": ["a", "b"]},
                "rules": [{"resources": ["token"], "verbs": ["*"]}],
            },
            deny={"app_labels": {"env": ["prod"]}},
            options={"max_session_ttl": "8h"},
        )
    )
    assert isinstance(role, Role)
    check_role(role)
    assert role.spec.allow.app_labels == {"env": ("dev",), "team": ("a", "b")}
    assert parse_resource(to_plain(role)) == role


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"allow": {"node_labels": {"*": "*"}}}, "spec.allow.node_labels: unknown field"),
        ({"deny": {"logins": ["root"]}}, "spec.deny.logins: unknown field"),
        ({"options": {"forward_agent": True}}, "spec.options.forward_agent: unknown field"),
    ],
)
def test_a_field_without_effect_here_is_refused_by_its_name(spec: dict[str, Any], named: str) -> None:
    with pytest.raises(BadParameter, match=named):
        parse_resource(build_document(**spec))


@pytest.mark.parametrize(
    ("role", "reason"),
    [
        (build_role({"env": ("^dev.*$",)}), "is a pattern"),
        (build_role({"env": ("dev*",)}), "is a pattern"),
        (build_role({"env": ("{{external.team}}",)}), "is a pattern"),
        (build_role({"*": ("dev",)}), "takes the value '\\*' only"),
        (build_role(deny={"env": ()}), "has no value"),
        (build_role(name="a,b"), "a role's name"),
        (build_role(name="a" * 65), "a role's name"),
        (build_role(name=""), "a role's name"),
    ],
)
def test_a_role_of_which_a_part_would_not_mean_what_it_says_is_refused(role: Role, reason: str) -> None:
    with pytest.raises(BadParameter, match=reason):
        check_role(role)


def test_a_name_of_64_characters_is_a_name() -> None:
    check_role(build_role(name="a" * 64))
