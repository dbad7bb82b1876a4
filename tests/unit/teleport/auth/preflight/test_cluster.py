from dataclasses import replace
from datetime import timedelta

import pytest

from support.preflight_facts import DEFAULT_AUDIENCE, NOW, OWN, build_plan
from teleport.auth.preflight.check import Plan, Status
from teleport.auth.preflight.cluster import (
    MAX_SKEW,
    judge_api_server,
    judge_audiences,
    judge_clock,
    judge_own_token,
    judge_version,
)
from teleport.kube.access import Verification
from teleport.kube.errors import BadAnswer, NoAnswer, Untrusted
from teleport.kube.server_version import ServerVersion, parse_version

MOMENT = timedelta(milliseconds=1)


def test_an_api_server_that_answers_is_named() -> None:
    check = judge_api_server("https://10.0.0.1", ServerVersion(1, 34, "v1.34.4"))
    assert (check.status, check.finding.split()[0]) == (Status.OK, "https://10.0.0.1")


@pytest.mark.parametrize(
    ("problem", "remedy"),
    [
        (NoAnswer("cannot ask"), "network policy"),
        (Untrusted("a certificate"), "ca.crt"),
        (BadAnswer("the Kubernetes API answered 401: Unauthorized"), "projected"),
    ],
)
def test_whatever_keeps_the_api_server_from_answering_has_its_remedy(problem: NoAnswer, remedy: str) -> None:
    check = judge_api_server("https://10.0.0.1", problem)
    assert (check.status, check.finding) == (Status.MISSING, problem.detail)
    assert remedy in check.remedy


@pytest.mark.parametrize(
    ("version", "status"), [("v1.28.15", Status.MISSING), ("v1.29.0", Status.OK), ("v1.34.4+k3s1", Status.OK)]
)
def test_a_version_before_1_29_is_missing_something(version: str, status: Status) -> None:
    assert judge_version(parse_version(version)).status is status


@pytest.mark.parametrize("sign", [1, -1])
def test_clocks_that_are_more_than_five_seconds_apart_are_warned_of(sign: int) -> None:
    assert judge_clock(sign * MAX_SKEW).status is Status.OK
    assert judge_clock(sign * (MAX_SKEW + MOMENT)).status is Status.WARNING


def test_the_warning_says_which_clock_is_behind() -> None:
    assert judge_clock(timedelta(seconds=60)).finding == "60 s behind the API server's"
    assert judge_clock(timedelta(seconds=-60)).finding == "60 s ahead of the API server's"


def test_an_api_server_that_does_not_tell_the_time_is_warned_of() -> None:
    assert judge_clock(None).status is Status.WARNING


def test_the_own_token_of_a_pod_is_well() -> None:
    check = judge_own_token(OWN, NOW)
    assert (check.status, check.finding) == (
        Status.OK,
        "system:serviceaccount:teleport:auth, bound to pod auth-0, until 2027-01-01 00:00:00 UTC",
    )


def test_an_own_token_that_is_bound_to_nothing_is_warned_of() -> None:
    assert judge_own_token(replace(OWN, pod=""), NOW).status is Status.WARNING
    assert judge_own_token(replace(OWN, expires=None), NOW).status is Status.WARNING


def test_an_own_token_that_has_expired_is_as_good_as_none() -> None:
    assert judge_own_token(replace(OWN, expires=NOW + MOMENT), NOW).status is Status.OK
    assert judge_own_token(replace(OWN, expires=NOW), NOW).status is Status.MISSING


def test_an_own_token_of_no_service_account_is_as_good_as_none() -> None:
    assert judge_own_token(replace(OWN, account=None, subject="admin"), NOW).status is Status.MISSING


def test_both_audiences_that_pods_may_present_are_named() -> None:
    check = judge_audiences(OWN, build_plan())
    assert check.status is Status.OK
    assert "example.com" in check.finding
    assert DEFAULT_AUDIENCE in check.finding


def test_where_the_cluster_s_name_is_not_known_the_command_that_shows_it_is_named() -> None:
    assert "tctl status" in judge_audiences(OWN, Plan(Verification.JWKS)).finding


def test_an_own_token_without_audiences_leaves_the_cluster_s_name_alone() -> None:
    check = judge_audiences(replace(OWN, audiences=()), build_plan())
    assert (check.status, "example.com" in check.finding) == (Status.WARNING, True)
