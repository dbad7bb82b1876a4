import pytest

from teleport_operator.fields import find_unknown
from teleport_operator.problems import ProblemKind
from teleport_operator.spec import DeclaredSpec


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"role": []}, "spec.role: unknown field; did you mean roles?"),
        ({"joinMethod": ""}, "spec.joinMethod: unknown field; did you mean join_method?"),
        ({"deletion_policy": ""}, "spec.deletion_policy: unknown field; did you mean deletionPolicy?"),
        ({"pigeon": 1}, "spec.pigeon: unknown field; take it away: nobody would look at it"),
        (
            {"kubernetes": {"allow": [{}, {"service_acount": ""}]}},
            "spec.kubernetes.allow[1].service_acount: unknown field; did you mean service_account?",
        ),
        (
            {"secret": {"fromSecret": {"names": ""}}},
            "spec.secret.fromSecret.names: unknown field; did you mean name?",
        ),
    ],
)
def test_an_unknown_field_is_named_with_what_was_meant(spec: dict[str, object], problem: str) -> None:
    (found,) = find_unknown(spec, DeclaredSpec, "spec")
    assert (str(found), found.kind) == (problem, ProblemKind.UNKNOWN_FIELD)


def test_known_fields_pass_whatever_they_hold() -> None:
    spec = {"roles": 5, "kubernetes": "text", "secret": None, "limits": {"max_uses": []}, "ttl": {}}
    assert list(find_unknown(spec, DeclaredSpec, "spec")) == []


def test_what_methods_of_others_hold_is_theirs() -> None:
    assert list(find_unknown({"github": {"anything": 1}, "allow": [{"aws": 1}]}, DeclaredSpec, "spec")) == []


def test_a_hostile_key_is_shown_short_and_escaped() -> None:
    (found,) = find_unknown({"\x1b[2J" + "x" * 1000: 1}, DeclaredSpec, "spec")
    assert found.path == "spec.\\x1b[2J" + "x" * 60
