from dataclasses import replace

import pytest

from support.preflight_facts import FORBIDDEN, OWN, build_answers, build_plan
from teleport.auth.preflight.check import Status
from teleport.auth.preflight.facts import Right
from teleport.auth.preflight.rights import (
    EXCESS,
    NEEDS,
    REVIEW,
    Need,
    judge_excess,
    judge_keys,
    judge_need,
    judge_reviews,
    list_rights,
)
from teleport.kube.access import Verification
from teleport.kube.errors import BadAnswer, NoAnswer
from teleport.kube.objects import AccessAnswer
from teleport.kube.token_review import ReviewStatus

JWKS = build_plan(Verification.JWKS)
GET_PODS, WATCH_PODS = NEEDS


def test_each_right_is_asked_about_once_in_each_namespace() -> None:
    rights = list_rights(build_plan(namespaces=("a", "b")))
    assert len(rights) == len(set(rights))
    assert [right.namespace for right in rights if right.resource == "pods" and right.verb == "watch"] == ["a", "b"]
    assert Right("watch", "pods") in list_rights(build_plan())


def test_a_review_of_the_own_token_is_the_proof() -> None:
    answers = build_answers()
    reason = AccessAnswer(allowed=True, reason='RBAC: allowed by ClusterRoleBinding "auth"')
    check = judge_reviews(replace(answers, rights={**answers.rights, REVIEW: reason}), OWN, build_plan())
    assert check.status is Status.OK
    assert 'ClusterRoleBinding "auth"' in check.finding


def test_a_missing_right_to_review_comes_with_the_least_role_that_helps() -> None:
    check = judge_reviews(build_answers(review=FORBIDDEN, denied=(REVIEW,)), OWN, build_plan())
    assert check.status is Status.MISSING
    assert check.grant is not None
    assert "--verb=create --resource=tokenreviews.authentication.k8s.io" in check.grant.command
    assert "--serviceaccount=teleport:auth" in check.grant.command


def test_an_api_server_that_is_down_asks_for_no_rights() -> None:
    check = judge_reviews(build_answers(review=NoAnswer("too busy")), OWN, build_plan())
    assert (check.status, check.finding, check.grant) == (Status.MISSING, "too busy", None)


@pytest.mark.parametrize(
    "review",
    [
        ReviewStatus(error="service account token has been invalidated"),
        ReviewStatus(authenticated=True, audiences=()),
        ReviewStatus(authenticated=True, audiences=("another",)),
    ],
)
def test_an_own_token_that_is_not_vouched_for_shows_that_none_would_be(review: ReviewStatus) -> None:
    assert judge_reviews(build_answers(review=review), OWN, build_plan()).status is Status.MISSING


def test_of_an_own_token_without_audience_any_answer_is_proof() -> None:
    answers = build_answers(review=ReviewStatus(error="token audiences [] is invalid"))
    assert judge_reviews(answers, replace(OWN, audiences=()), build_plan()).status is Status.OK


def test_in_mode_jwks_nobody_needs_to_review() -> None:
    check = judge_reviews(build_answers(review=FORBIDDEN, denied=(REVIEW,)), OWN, JWKS)
    assert (check.status, check.grant) == (Status.OPTIONAL, None)


def test_in_mode_jwks_a_right_to_review_is_more_than_is_used() -> None:
    assert judge_reviews(build_answers(), OWN, JWKS).status is Status.WARNING


def test_in_mode_jwks_the_keys_must_be_readable() -> None:
    check = judge_keys(build_answers(keys=FORBIDDEN), OWN, JWKS)
    assert check.status is Status.MISSING
    assert check.grant is not None
    assert "system:service-account-issuer-discovery" in check.grant.command


def test_an_issuer_that_cannot_be_read_keeps_nothing_from_working() -> None:
    assert judge_keys(build_answers(issuer=FORBIDDEN), OWN, JWKS).status is Status.WARNING


def test_keys_that_cannot_be_used_ask_for_no_rights() -> None:
    check = judge_keys(build_answers(keys=BadAnswer("no key can be used")), OWN, JWKS)
    assert (check.status, check.grant) == (Status.MISSING, None)


def test_without_mode_jwks_nobody_needs_the_keys() -> None:
    assert judge_keys(build_answers(keys=FORBIDDEN), OWN, build_plan()).status is Status.OPTIONAL


def test_in_mode_jwks_the_own_token_must_be_of_the_issuer_of_the_others() -> None:
    legacy = replace(OWN, issuer="kubernetes/serviceaccount")
    assert judge_keys(build_answers(), OWN, JWKS).status is Status.OK
    assert judge_keys(build_answers(), legacy, JWKS).status is Status.MISSING
    assert judge_keys(build_answers(), legacy, build_plan()).status is Status.OK


@pytest.mark.parametrize("need", NEEDS)
def test_what_a_setting_needs_is_missing_only_where_the_setting_is_used(need: Need) -> None:
    denied = tuple(need.list_rights("apps"))
    unused = build_plan(namespaces=("apps",))
    used = build_plan(Verification.TOKENREVIEW, need.setting, namespaces=("apps",))
    optional = judge_need(need, build_answers(unused, denied=denied), OWN, unused, "apps")
    missing = judge_need(need, build_answers(used, denied=denied), OWN, used, "apps")
    assert (optional.status, optional.grant) == (Status.OPTIONAL, None)
    assert missing.status is Status.MISSING
    assert missing.grant is not None
    assert "--namespace=apps" in missing.grant.command


def test_what_is_lacking_is_named_and_nothing_else() -> None:
    plan = build_plan(Verification.TOKENREVIEW, "bind_to_pod")
    answers = build_answers(plan, denied=(Right("watch", "pods"), Right("list", "serviceaccounts")))
    assert judge_need(WATCH_PODS, answers, OWN, plan, "").finding == "may not watch pods, list serviceaccounts"
    assert judge_need(GET_PODS, answers, OWN, plan, "").status is Status.OK


def test_a_right_that_nobody_could_tell_of_counts_as_lacking() -> None:
    plan = build_plan(Verification.TOKENREVIEW, "verify_pod")
    answers = build_answers(plan)
    rights = {**answers.rights, Right("get", "pods"): NoAnswer("too busy")}
    check = judge_need(GET_PODS, replace(answers, rights=rights), OWN, plan, "")
    assert (check.status, check.finding, check.grant) == (Status.MISSING, "too busy", None)


@pytest.mark.parametrize("right", EXCESS)
def test_each_right_that_opens_the_cluster_is_warned_of(right: Right) -> None:
    denied = tuple(each for each in EXCESS if each != right)
    check = judge_excess(build_answers(denied=denied))
    assert check.status is Status.WARNING
    assert f"may {right.verb} {right.resource}," in check.finding


def test_auth_s_own_rights_are_not_too_many() -> None:
    assert judge_excess(build_answers()).status is Status.OK
