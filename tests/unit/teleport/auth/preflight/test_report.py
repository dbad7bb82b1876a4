from dataclasses import replace

from support.preflight_facts import DEFAULT_AUDIENCE, FORBIDDEN, OWN, build_answers, build_facts, build_plan
from teleport.auth.preflight.check import Check, Plan, Status
from teleport.auth.preflight.report import PreflightReport, build_report
from teleport.auth.preflight.rights import EXCESS, NEEDS, REVIEW
from teleport.kube.access import Verification
from teleport.kube.errors import BadAnswer, NoAnswer
from teleport.kube.server_version import ServerVersion

PODS = tuple(right for need in NEEDS for right in need.list_rights(""))


def find(report: PreflightReport, name: str) -> Check:
    return next(check for check in report.checks if check.name == name)


def test_the_least_rights_are_enough() -> None:
    report = build_report(build_facts(build_answers(denied=(*EXCESS, *PODS))), build_plan())
    assert report.is_ready
    assert {check.status for check in report.checks} == {Status.OK, Status.OPTIONAL}
    assert (report.audiences, report.issuer, report.grants) == ((DEFAULT_AUDIENCE,), DEFAULT_AUDIENCE, [])


def test_a_mode_that_cannot_work_is_named() -> None:
    report = build_report(build_facts(build_answers(review=FORBIDDEN, denied=(REVIEW, *EXCESS))), build_plan())
    assert not report.is_ready
    assert find(report, "verification").status is Status.MISSING
    assert [grant.suffix for grant in report.grants] == ["tokenreviews"]


def test_the_other_mode_works_with_no_right_at_all() -> None:
    answers = build_answers(review=FORBIDDEN, denied=(REVIEW, *EXCESS, *PODS))
    report = build_report(build_facts(answers), build_plan(Verification.JWKS))
    assert report.is_ready
    assert "goes unseen" in find(report, "verification").finding


def test_a_mode_works_although_a_setting_cannot_be_used() -> None:
    plan = build_plan(Verification.TOKENREVIEW, "verify_pod")
    report = build_report(build_facts(build_answers(plan, denied=(*EXCESS, *PODS))), plan)
    assert not report.is_ready
    assert find(report, "verification").status is Status.OK
    assert [grant.suffix for grant in report.grants] == ["pods"]


def test_both_modes_need_a_version_whose_answers_are_understood() -> None:
    for mode in Verification:
        facts = build_facts(build_answers(), version=ServerVersion(1, 28, "v1.28.0"))
        assert find(build_report(facts, Plan(mode)), "verification").status is Status.MISSING


def test_where_nobody_answers_only_that_is_said() -> None:
    report = build_report(build_facts(None, version=NoAnswer("cannot ask")), build_plan())
    assert not report.is_ready
    assert [(check.name, check.status) for check in report.checks] == [
        ("api server", Status.MISSING),
        ("own token", Status.OK),
    ]


def test_an_own_token_that_cannot_be_read_is_all_there_is_to_say() -> None:
    report = build_report(build_facts(None, own=BadAnswer("cannot read token")), build_plan())
    assert not report.is_ready
    assert [check.finding for check in report.checks] == ["cannot read token"]


def test_warnings_do_not_keep_auth_from_working() -> None:
    report = build_report(build_facts(build_answers(denied=()), own=replace(OWN, pod="")), build_plan())
    assert report.is_ready
    assert find(report, "other rights").status is Status.WARNING
