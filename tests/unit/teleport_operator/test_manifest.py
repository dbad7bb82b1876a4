import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.auth import ADMIN, InProcessAuth
from support.declared import CASES, JUDGES, KUBERNETES, LONG_NAME, build_object, declare, find_problems
from teleport.resources.codec import parse_resource, to_plain
from teleport.resources.role import SystemRole
from teleport.resources.token import Token, TokenSpec
from teleport_operator.checks import MAX_REFUSALS
from teleport_operator.declaration import (
    AdoptionPolicy,
    DeletionPolicy,
    DriftPolicy,
    ExpirySource,
    NoteReason,
    SecretSource,
)
from teleport_operator.manifest import parse_declaration
from teleport_operator.problems import InvalidManifest, ProblemKind

MANY = {"x": "a", "spec": {"roles": ["Nodee"], "join_metod": "token", "limits": {"max_uses": 0}}}


def cases(section: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", CASES[section], ids=[case["id"] for case in CASES[section]])


def read(case: dict[str, Any]) -> list[str]:
    return [str(problem) for problem in find_problems(build_object(case.get("spec"), name=case.get("name", LONG_NAME)))]


@cases("accepted")
def test_what_the_schema_accepts_is_read_or_refused_with_a_reason(case: dict[str, Any]) -> None:
    problems = read(case)
    assert ("operator" in case) == bool(problems)
    assert any(case.get("operator", "") in problem for problem in problems or [""])


@cases("accepted")
async def test_auth_stores_whatever_is_read(case: dict[str, Any]) -> None:
    raw = build_object(case.get("spec"), name=case.get("name", LONG_NAME))
    if find_problems(raw):
        return
    auth = await InProcessAuth.start()
    token = parse_declaration(raw, judges=JUDGES).build_token(name="b" * 16, expires=None)
    stored = await auth.tokens.create(parse_resource(to_plain(token)), ADMIN)
    assert isinstance(stored, Token)
    assert stored.spec == token.spec


@cases("refused")
def test_what_the_schema_refuses_is_never_read(case: dict[str, Any]) -> None:
    assert read(case)


@pytest.mark.parametrize("ttl", CASES["accepted_ttls"])
def test_a_ttl_that_the_schema_accepts_is_read(ttl: str) -> None:
    assert declare({"roles": ["Node"], "ttl": ttl}).expiry.source is ExpirySource.TTL


@pytest.mark.parametrize("ttl", CASES["refused_ttls"])
def test_a_ttl_that_the_schema_refuses_is_refused_here(ttl: str) -> None:
    assert [problem.path for problem in find_problems(build_object({"roles": ["Node"], "ttl": ttl}))] == ["spec.ttl"]


def test_all_problems_are_told_at_once() -> None:
    assert [(problem.path, problem.kind) for problem in find_problems(build_object() | MANY)] == [
        ("x", ProblemKind.UNKNOWN_FIELD),
        ("spec.join_metod", ProblemKind.UNKNOWN_FIELD),
        ("spec.roles", ProblemKind.FAILED_TO_DECODE),
        ("spec.limits.max_uses", ProblemKind.FAILED_TO_DECODE),
    ]


def test_hostile_66_an_unknown_field_is_the_reason_even_beside_others() -> None:
    with pytest.raises(InvalidManifest, match="did you mean join_method") as refused:
        parse_declaration(build_object() | MANY, judges=JUDGES)
    assert refused.value.kind is ProblemKind.UNKNOWN_FIELD


def test_every_rule_with_a_fault_is_named() -> None:
    rules = [{"service_account": ":x"}, {"service_account": "apps:web"}, {"service_account": "apps:*"}]
    spec = {**KUBERNETES, "kubernetes": {"allow": rules}}
    assert [problem.path for problem in find_problems(build_object(spec))] == [
        "spec.kubernetes.allow[0].service_account",
        "spec.kubernetes.allow[2].service_account",
    ]


def test_so_many_refusals_are_told_and_no_more() -> None:
    spec = {**KUBERNETES, "kubernetes": {"allow": [{"service_account": ":x"}] * (MAX_REFUSALS + 1)}}
    assert len(find_problems(build_object(spec))) == MAX_REFUSALS


def test_a_faulty_field_does_not_raise_false_alarms_about_others() -> None:
    spec = {"roles": ["Node"], "join_method": 5, "secret": {"rotateEvery": "never"}}
    assert [problem.path for problem in find_problems(build_object(spec, name="short"))] == [
        "spec.join_method",
        "spec.secret.rotateEvery",
    ]


@pytest.mark.parametrize("spec", [[], "roles", 5, True])
def test_a_spec_that_is_no_mapping_is_refused(spec: object) -> None:
    problems = find_problems(build_object(spec))
    assert [str(problem) for problem in problems] == (
        ["spec: must be a mapping"] if spec else ["spec: token has no roles"]
    )


def test_hostile_67_values_that_may_be_secrets_are_not_quoted() -> None:
    spec = {
        "roles": ["Node"],
        "ttl": "hunter2",
        "secret": {"fromSecret": {"name": "hunter2 hunter2"}},
        "bot_name": ["hunter2"],
    }
    assert "hunter2" not in " ".join(str(problem) for problem in find_problems(build_object(spec)))


def test_a_secret_token_is_declared_without_its_secret() -> None:
    declaration = declare({"roles": ["Node"], "secret": {}}, name="agents")
    assert (declaration.token.name, declaration.token.spec.join_method) == ("", "token")
    assert declaration.secret is not None
    assert (declaration.secret.name, declaration.secret.source) == ("agents", None)
    assert not declaration.name_is_secret


def test_the_secret_section_is_read_with_its_defaults() -> None:
    secret = declare({"roles": ["Node"], "secret": {"fromSecret": {"name": "mine"}, "name": "theirs"}}).secret
    assert secret is not None
    assert (secret.name, secret.source) == ("theirs", SecretSource("mine", "auth-token"))


@pytest.mark.parametrize(
    ("section", "overlap"),
    [
        pytest.param({"rotateEvery": "24h"}, timedelta(hours=1), id="an hour"),
        pytest.param({"rotateEvery": "1h"}, timedelta(minutes=30), id="half of it"),
        pytest.param({"rotateEvery": "1h", "overlap": "5m"}, timedelta(minutes=5), id="given"),
        pytest.param({}, timedelta(hours=1), id="a rotation that somebody asks for"),
        pytest.param({"overlap": "0s"}, timedelta(), id="none"),
    ],
)
def test_the_former_secret_works_for_the_overlap(section: dict[str, str], overlap: timedelta) -> None:
    secret = declare({"roles": ["Node"], "secret": section}).secret
    assert secret is not None
    assert secret.overlap == overlap


def test_a_name_that_is_the_secret_is_noted() -> None:
    declaration = declare({"roles": ["Node"]})
    assert declaration.name_is_secret
    assert [note.reason for note in declaration.notes] == [NoteReason.NAME_IS_SECRET]
    assert declaration.build_token(expires=None).name == LONG_NAME


def test_the_name_of_a_kubernetes_token_is_noted_nowhere() -> None:
    declaration = declare(KUBERNETES, name="web")
    assert (declaration.name_is_secret, declaration.notes) == (False, ())


@pytest.mark.parametrize(("length", "refused"), [(15, True), (16, False)])
def test_a_name_is_a_secret_from_sixteen_characters_on(length: int, refused: bool) -> None:
    problems = find_problems(build_object({"roles": ["Node"]}, name="x" * length))
    assert bool(problems) is refused
    assert all("add `secret: {}`" in problem.remedy for problem in problems)


def test_hostile_67_a_representation_shows_no_name() -> None:
    assert LONG_NAME not in repr(declare({"roles": ["Node"]}))


def test_sections_of_other_methods_are_kept_and_noted() -> None:
    declaration = declare({**KUBERNETES, "github": {"allow": [{"repository": "a/b"}]}})
    assert [note.message for note in declaration.notes] == ["spec.github has no effect with join_method kubernetes"]
    assert declaration.token.spec.github == {"allow": [{"repository": "a/b"}]}


def test_null_and_empty_text_mean_absent() -> None:
    rule = {"service_account": "", "service_account_name": "web", "service_account_namespace": "apps"}
    section = {"type": "", "static_jwks": {"jwks": ""}, "oidc": None, "allow": [rule]}
    token = declare({**KUBERNETES, "kubernetes": section, "limits": None, "bot_name": ""}).token
    assert token.spec.kubernetes == {"allow": [{"service_account_name": "web", "service_account_namespace": "apps"}]}
    assert token.spec.limits is None


def test_an_empty_namespace_does_not_widen_a_rule() -> None:
    rule = {"service_account_name": "web", "service_account_namespace": ""}
    problems = find_problems(build_object({**KUBERNETES, "kubernetes": {"allow": [rule]}}))
    assert [problem.path for problem in problems] == ["spec.kubernetes.allow[0]"]


def test_policies_have_defaults() -> None:
    declaration = declare(KUBERNETES)
    assert (declaration.head.deletion_policy, declaration.drift_policy, declaration.adoption_policy) == (
        DeletionPolicy.DELETE,
        DriftPolicy.REPAIR,
        AdoptionPolicy.NEVER,
    )


def test_policies_are_read() -> None:
    policies = {"deletionPolicy": "Orphan", "driftPolicy": "None", "adoptionPolicy": "Always"}
    declaration = declare({**KUBERNETES, **policies})
    assert (declaration.head.deletion_policy, declaration.drift_policy, declaration.adoption_policy) == (
        DeletionPolicy.ORPHAN,
        DriftPolicy.NONE,
        AdoptionPolicy.ALWAYS,
    )


def test_the_description_is_taken_from_the_annotation() -> None:
    token = declare(KUBERNETES, annotations={"description": "web servers"}).token
    assert token.metadata.description == "web servers"


def test_a_token_for_the_store_has_its_name_and_its_end() -> None:
    expires = datetime(2026, 1, 2, tzinfo=UTC)
    token = declare({"roles": ["node"], "secret": {}}).build_token(name="made-by-the-operator", expires=expires)
    assert (token.name, token.metadata.expires, token.spec.roles) == (
        "made-by-the-operator",
        expires,
        (SystemRole.NODE,),
    )


def test_every_field_of_a_token_may_stand_in_an_object() -> None:
    token = declare({**KUBERNETES, "limits": {"max_uses": 3}, "suggested_labels": {"env": "prod"}}).token
    assert token.spec.limits is not None
    assert (token.spec.limits.max_uses, token.spec.suggested_labels) == (3, {"env": ["prod"]})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(["Node", "kubernetes", "1h", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*TokenSpec.model_fields, "ttl", "expires", "secret", "service_account", "type", "jwks"])
            | st.text(max_size=8),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(
    spec=JSON,
    annotations=st.dictionaries(st.sampled_from(["description", "resources.teleport.dev/expires"]), st.text()),
)
def test_whatever_stands_in_a_spec_is_read_or_refused(spec: object, annotations: dict[str, str]) -> None:
    find_problems(build_object(spec, annotations=annotations))


@given(applied=st.text(max_size=50) | JSON.map(json.dumps) | JSON.map(lambda inner: json.dumps({"metadata": inner})))
def test_whatever_kubectl_noted_is_read_or_refused(applied: str) -> None:
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": applied}
    find_problems(build_object(KUBERNETES, annotations=annotations))
