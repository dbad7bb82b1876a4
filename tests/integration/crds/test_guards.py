"""The cases of `tests/cases/crd.yaml` against a real API server."""

from typing import Any

import pytest

from support.declared import CASES, KUBERNETES, LONG_NAME
from support.token_objects import OBJECTS, TokenObjects, build
from teleport.resources.token import METHODS_OF_THE_ORIGINAL


def cases(section: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", CASES[section], ids=[case["id"] for case in CASES[section]])


@cases("accepted")
def test_an_object_is_accepted_and_nothing_of_it_is_lost(installed: TokenObjects, case: dict[str, Any]) -> None:
    answer = installed.create(case.get("name", LONG_NAME), case["spec"], "dryRun=All&fieldValidation=Strict")
    assert answer.accepted, answer
    kept = {key: value for key, value in case["spec"].items() if value is not None}
    assert {key: value for key, value in answer.body["spec"].items() if value is not None} == kept


@cases("refused")
def test_an_object_is_refused_at_its_field(installed: TokenObjects, case: dict[str, Any]) -> None:
    answer = installed.create(case.get("name", LONG_NAME), case.get("spec"), "dryRun=All")
    assert answer.code == 422
    assert case["at"] in answer.fields


@pytest.mark.parametrize("ttl", CASES["accepted_ttls"])
def test_a_ttl_is_accepted(installed: TokenObjects, ttl: str) -> None:
    assert installed.create(LONG_NAME, {"roles": ["Node"], "ttl": ttl}, "dryRun=All").accepted


@pytest.mark.parametrize("ttl", CASES["refused_ttls"])
def test_a_ttl_is_refused_with_what_is_wanted(installed: TokenObjects, ttl: str) -> None:
    answer = installed.create(LONG_NAME, {"roles": ["Node"], "ttl": ttl}, "dryRun=All")
    assert (answer.code, answer.fields) == (422, ["spec.ttl"])
    assert "ttl: 1m to 87600h, written with h, m and s" in answer.message


METHODS_WITH_SECTIONS = sorted(METHODS_OF_THE_ORIGINAL - {"token", "ec2", "iam"})


@pytest.mark.parametrize("method", METHODS_WITH_SECTIONS)
def test_a_method_without_its_section_is_refused_by_name(installed: TokenObjects, method: str) -> None:
    answer = installed.create(LONG_NAME, {"roles": ["Node"], "join_method": method}, "dryRun=All")
    assert answer.code == 422
    assert f"join_method {method} needs the section spec.{method}" in answer.message


UNKNOWN = [
    pytest.param({**KUBERNETES, "pod": "web"}, ["pod"], id="spec"),
    pytest.param(
        {**KUBERNETES, "kubernetes": {**KUBERNETES["kubernetes"], "pod": "web"}}, ["kubernetes", "pod"], id="section"
    ),
    pytest.param(
        {**KUBERNETES, "kubernetes": {"allow": [{"service_account": "apps:web", "pod": "web"}]}},
        ["kubernetes", "allow", 0, "pod"],
        id="rule",
    ),
    pytest.param({**KUBERNETES, "limits": {"pod": "web"}}, ["limits", "pod"], id="limits"),
    pytest.param({"roles": ["Node"], "secret": {"pod": "web"}}, ["secret", "pod"], id="secret"),
]


@pytest.mark.parametrize("validation", ["Ignore", "Warn", "Strict"])
@pytest.mark.parametrize(("spec", "path"), UNKNOWN)
def test_hostile_66_an_unknown_field_reaches_the_operator_from_every_client(
    installed: TokenObjects, spec: dict[str, Any], path: list[Any], validation: str
) -> None:
    query = f"dryRun=All&fieldValidation={validation}"
    for answer in (installed.create(LONG_NAME, spec, query), installed.apply(LONG_NAME, spec, query)):
        assert answer.accepted, answer
        found = answer.body["spec"]
        for part in path:
            found = found[part]
        assert found == "web"


def test_an_unknown_field_at_the_root_reaches_the_operator(installed: TokenObjects) -> None:
    raw = {**build("web", KUBERNETES), "spek": {"roles": []}}
    answer = installed.ask("POST", f"{OBJECTS}?dryRun=All", raw)
    assert answer.body["spek"] == {"roles": []}
