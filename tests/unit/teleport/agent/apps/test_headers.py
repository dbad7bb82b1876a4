from typing import Any

import pytest

from support.clock import FakeClock
from teleport.agent.apps.headers import MAX_VALUES, build_plan, fill_templates
from teleport.agent.apps.judge import Admission
from teleport.config.settings import Rewrite, Target
from teleport.pki.assertion import Assertion
from teleport.web.forwarding.targets import parse_target


def build_admission(**traits: tuple[str, ...]) -> Admission:
    now = FakeClock().now()
    return Admission(Assertion("alice", (), traits, (), now, "whole"), told="told", fresh_until=now)


def build(uri: str = "http://10.0.0.5:8080", **rewrite: Any) -> Any:
    app = Target("app", uri=uri, rewrite=Rewrite(**rewrite))
    address = parse_target(uri, insecure_skip_verify=False)
    return build_plan(
        app, address, build_admission(team=("blue", "red"), bad=("a\r\nX: y", "good")), b"app.example:3080"
    )


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        ("plain", ("plain",)),
        ("Bearer {{internal.jwt}}", ("Bearer told",)),
        ("{{external.team}}", ("blue", "red")),
        ("team-{{ external.team }}!", ("team-blue!", "team-red!")),
        ("{{external.none}}", ()),
        ("x-{{external.none}}-{{internal.jwt}}", ()),
        ("{{external.bad}}", ("good",)),
    ],
)
def test_templates_stand_for_what_the_user_is(value: str, filled: tuple[str, ...]) -> None:
    assert fill_templates(value, build_admission(team=("blue", "red"), bad=("a\r\nX: y", "good"))) == filled


def test_a_trait_of_many_values_makes_so_many_headers_and_no_more() -> None:
    admission = build_admission(many=tuple(map(str, range(MAX_VALUES + 1))))
    assert len(fill_templates("{{external.many}}", admission)) == MAX_VALUES
    assert len(fill_templates("{{external.many}}{{external.many}}", admission)) == MAX_VALUES


def test_the_application_is_asked_under_its_own_name_unless_another_is_configured() -> None:
    assert build().host == b"10.0.0.5:8080"
    assert build(headers=(("Host", "internal.example"),)).host == b"internal.example"
    assert build(headers=(("Host", "{{external.none}}"),)).host == b"10.0.0.5:8080"


def test_the_assertion_is_always_set_and_others_as_configured() -> None:
    plan = build(headers=(("X-Team", "{{external.team}}"),))
    assert plan.set_headers == (
        (b"Teleport-Jwt-Assertion", b"told"),
        (b"X-Team", b"blue"),
        (b"X-Team", b"red"),
    )


def test_redirects_to_the_application_are_to_the_public_host() -> None:
    plan = build("http://App.internal", redirect=("other.internal", "third:8443"))
    assert plan.redirect_hosts >= {b"app.internal", b"app.internal:80", b"other.internal", b"third:8443"}
    assert plan.public_origin == b"https://app.example:3080"
