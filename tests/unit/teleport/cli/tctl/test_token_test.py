import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from support.fake_cluster import NOW, FakeCluster, run_tctl
from support.jwt_tokens import build_jwks
from teleport.cli.tctl.token_files import parse_files
from teleport.cli.tctl.token_testing import run_suites
from teleport.errors import BadParameter
from teleport.join.kubernetes.rules import ServiceAccount, find_rule
from teleport.join.kubernetes.spec import Rule

SECRET = "abcd123-insecure-do-not-use-this"
STATIC = {"type": "static_jwks", "static_jwks": {"jwks": build_jwks()}}
OIDC = {"type": "oidc", "oidc": {"issuer": "https://issuer.example.com"}}


def build_token(name: str = "pods", *, allow: Any = None, section: Any = None, **metadata: Any) -> dict[str, Any]:
    rules = allow or [{"service_account": "apps:web"}]
    return {
        "kind": "token",
        "version": "v2",
        "metadata": {"name": name, **metadata},
        "spec": {"roles": ["App"], "join_method": "kubernetes", "kubernetes": {"allow": rules, **(section or {})}},
    }


def build_case(expect: str = "admitted", account: str = "apps:web", **fields: Any) -> dict[str, Any]:
    given = {"service_account": account, **fields.pop("given", {})}
    return {"name": "case", "given": given, "expect": expect, **fields}


def build_suite(*cases: Any, **fields: Any) -> dict[str, Any]:
    return {"cluster_name": "example.com", "cases": list(cases), **fields}


def run(*documents: Any, output_format: str = "json") -> tuple[int, str]:
    """Return the exit status and what is printed, and make sure that nobody is asked."""
    cluster = FakeCluster()
    text = documents[0] if isinstance(documents[0], str) else yaml.safe_dump_all(documents)
    result = run_tctl(cluster, "tokens", "test", "-f", "-", f"--format={output_format}", stdin=text)
    assert cluster.calls == []
    return result.exit_code, result.output


def got(*documents: Any) -> list[str]:
    """Return what became of each case."""
    return [case["got"] for case in json.loads(run(*documents)[1])["cases"]]


def test_a_suite_that_passes_is_a_table(tmp_path: Path) -> None:
    rules, cases = tmp_path / "rules.yaml", tmp_path / "cases.yaml"
    rules.write_text(yaml.safe_dump(build_token()))
    stories = [build_case(name="the app"), build_case("refused", "a:web", name="another", reason="no_rule_matched")]
    cases.write_text(yaml.safe_dump(build_suite(*stories)))
    for order in ([rules, cases], [cases, rules]):
        flags = [f"--file={path}" for path in order]
        result = run_tctl(FakeCluster(), "tokens", "test", *flags)
        assert result.exit_code == 0
        assert (
            result.output
            == """\
Case    Result Expected                  Got
------- ------ ------------------------- -------------------------
the app passed admitted                  admitted (pods)
another passed refused (no_rule_matched) refused (no_rule_matched)

2 passed, 0 failed
"""
        )


def test_a_case_that_fails_is_told_with_the_reason() -> None:
    status, output = run(build_token(), build_suite(build_case("admitted", "default:web")), output_format="text")
    assert status == 1
    assert "case FAILED admitted refused (no_rule_matched)\n" in output
    assert "\ncase:\n  pods: no rule admits default:web; the nearest is rule 1, which differs in " in output
    assert output.endswith("0 passed, 1 failed\n")


def test_a_pod_that_is_admitted_against_the_expectation_fails() -> None:
    assert run(build_token(), build_suite(build_case("refused")))[0] == 1


def test_another_reason_than_expected_fails() -> None:
    assert run(build_token(), build_suite(build_case("refused", "a:b", reason="no_rule_matched")))[0] == 0
    assert run(build_token(), build_suite(build_case("refused", "a:b", reason="wrong_audience")))[0] == 1


def test_yaml_says_what_json_says() -> None:
    documents = (build_token(), build_suite(build_case()))
    assert yaml.safe_load(run(*documents, output_format="yaml")[1]) == json.loads(run(*documents)[1])


@pytest.mark.parametrize(
    ("given", "section", "expected"),
    [
        ({"role": "app"}, {}, "admitted (pods)"),
        ({"role": "node"}, {}, "refused (role_not_granted)"),
        ({"audience": "example.com"}, {}, "admitted (pods)"),
        ({"audience": ["vault", "example.com"]}, {}, "admitted (pods)"),
        ({"audience": "vault"}, {}, "refused (wrong_audience)"),
        ({"audience": "https://kubernetes.default.svc.cluster.local"}, {}, "admitted (pods)"),
        (
            {"audience": "https://kubernetes.default.svc.cluster.local"},
            {"require_own_audience": True},
            "refused (wrong_audience)",
        ),
        ({"bound_to": "pod"}, {}, "admitted (pods)"),
        ({"bound_to": "secret"}, {}, "refused (not_pod_bound)"),
        ({"bound_to": "node"}, {}, "refused (not_pod_bound)"),
        ({"bound_to": "nothing"}, STATIC, "refused (not_pod_bound)"),
        ({"life": "365d"}, {}, "admitted (pods)"),
        ({"life": "30m"}, STATIC, "admitted (pods)"),
        ({"life": "1801s"}, STATIC, "refused (token_ttl_too_long)"),
        ({"life": "1801s"}, STATIC | {"max_token_ttl": "1h"}, "admitted (pods)"),
        ({}, OIDC, "admitted (pods)"),
        ({"issuer": "https://issuer.example.com"}, OIDC, "admitted (pods)"),
        ({"issuer": "https://issuer.example.com/"}, OIDC, "refused (wrong_issuer)"),
    ],
)
def test_what_is_given_is_judged(given: dict[str, Any], section: dict[str, Any], expected: str) -> None:
    assert got(build_token(section=section), build_suite(build_case(given=given))) == [expected]


def test_hostile_10_a_token_of_a_year_is_refused_where_its_life_is_bounded() -> None:
    case = build_case("refused", given={"life": "365d"}, reason="token_ttl_too_long")
    assert run(build_token(section=STATIC), build_suite(case))[0] == 0


def test_hostile_15_a_namespace_that_only_starts_like_the_rule_s_is_refused() -> None:
    suite = build_suite(build_case("refused", "apps-evil:web"), build_case("refused", "Apps:web"))
    assert run(build_token(allow=[{"service_account_namespace": "apps", "service_account_name": "*"}]), suite)[0] == 0


def test_the_api_server_s_audience_can_be_named() -> None:
    case = build_case(given={"audience": "mine"})
    assert got(build_token(), build_suite(case, api_audiences=["other", "mine"])) == ["admitted (pods)"]


def test_a_case_may_be_at_another_time() -> None:
    token = build_token(expires="2023-06-01T00:00:00Z")
    before, after = (build_case(given={"at": f"2023-06-0{day}T00:00:00Z"}) for day in (1, 2))
    assert got(token, build_suite(before, after)) == ["admitted (pods)", "refused (token_expired)"]


def test_an_address_is_judged_where_it_is_given() -> None:
    token = build_token()
    token["spec"]["limits"] = {"allow_cidrs": ["192.0.2.0/24"]}
    cases = [build_case(given=each) for each in ({}, {"address": "192.0.2.7"}, {"address": "198.51.100.7"})]
    assert got(token, build_suite(*cases)) == ["admitted (pods)", "admitted (pods)", "refused (address_not_allowed)"]


def test_a_token_that_admits_too_is_noticed_where_the_admitting_ones_are_named() -> None:
    everybody = {"service_account_namespace": "*", "service_account_name": "*"}
    tokens = [build_token("narrow"), build_token("wide", allow=[everybody])]
    assert run(*tokens, build_suite(build_case()))[0] == 0
    assert run(*tokens, build_suite(build_case(by=["wide", "narrow"])))[0] == 0
    assert run(*tokens, build_suite(build_case(by="narrow")))[0] == 1
    assert run(*tokens, build_suite(build_case(given={"token": "narrow"}, by="narrow")))[0] == 0
    assert run(*tokens, build_suite(build_case("refused", "a:b", given={"token": "narrow"})))[0] == 0
    assert run(*tokens, build_suite(build_case("refused", "a:b")))[0] == 1


def test_tokens_of_other_methods_are_named_as_not_testable_and_masked() -> None:
    other = {"kind": "token", "version": "v2", "metadata": {"name": SECRET}, "spec": {"roles": ["App"]}}
    for output_format in ("text", "json", "yaml"):
        status, output = run(other, build_token(), build_suite(build_case()), output_format=output_format)
        assert status == 0
        assert SECRET not in output
        assert "use-this" in output
    status, output = run(other, build_suite(build_case()), output_format="text")
    assert status == 1
    assert "there is no token of method kubernetes" in output
    assert run(other, build_suite(build_case(given={"token": SECRET})))[0] == 2


@pytest.mark.parametrize(
    ("documents", "problem"),
    [
        ([build_token()], "there are no cases"),
        ([build_suite(build_case())], "there is no token resource"),
        ([build_token(), build_token(), build_suite(build_case())], "stands in the files twice"),
        ([build_token(), build_suite()], "there is no case"),
        ([build_token(section={"alow": []}), build_suite(build_case())], "alow: unknown field"),
        ([build_token(allow=[{"service_account": "apps"}]), build_suite(build_case())], "must be namespace:name"),
        ([{**build_token(), "kind": "instance"}, build_suite(build_case())], "instance"),
        ([{"cluster_name": "x"}, build_suite(build_case())], "unknown resource kind"),
        ([["cases"], build_suite(build_case())], "a resource must be a mapping"),
        ([build_token(), build_suite(build_case(given={"token": "other"}))], "no such token"),
        ([build_token(), build_suite(build_case(by="other"))], "no such token"),
        ([build_token("a"), build_token("b"), build_suite(build_case("refused", reason="x"))], "given.token"),
        ([build_token(), build_suite(build_case(reason="no_rule_matched"))], "goes with expect: refused"),
        ([build_token(), build_suite(build_case("refused", by="pods"))], "goes with expect: admitted"),
        ([build_token(), {"cases": [build_case(given={"audience": "x"})]}], "needs cluster_name"),
        ([build_token(), build_suite(build_case("maybe"))], "expected admitted or refused"),
        ([build_token(), build_suite({"name": "case", "expect": "admitted"})], "service_account: is missing"),
        ([build_token(), build_suite({"given": {"service_account": "a:b"}})], "name: is missing"),
        ([build_token(), build_suite(build_case(account="apps"))], "expected namespace:name"),
        ([build_token(), build_suite(build_case(given={"bound_to": "pods"}))], "expected one of pod, secret, node"),
        ([build_token(), build_suite(build_case(given={"life": "0"}))], "life: expected from"),
        ([build_token(), build_suite(build_case(given={"address": "x"}))], "expected an IP address"),
        ([build_token(), build_suite(build_case(given={"at": "tomorrow"}))], "a time is written like"),
        ([build_token(), build_suite(build_case(given={"role": "x"}))], "invalid role"),
        ([build_token(), build_suite(build_case(), okta_service={})], "unknown key"),
    ],
)
def test_what_cannot_be_read_is_a_usage_error_and_says_why(documents: list[Any], problem: str) -> None:
    status, output = run(*documents)
    assert status == 2
    assert problem in output


def test_unknown_keys_are_told_with_their_lines_and_what_was_meant() -> None:
    text = """\
---
kind: token
version: v2
metadata: {name: pods}
spec: {roles: [App], join_method: kubernetes, kubernetes: {allow: [{service_account: "apps:web"}]}}
---
cases:
- name: case
  expct: admitted
  given:
    servce_account: "apps:web"
"""
    status, output = run(text)
    assert status == 2
    assert "<stdin>: line 9: cases[].expct: unknown key; did you mean expect?" in output
    assert "<stdin>: line 11: cases[].given.servce_account: unknown key; did you mean service_account?" in output


@pytest.mark.parametrize("text", ["{", "a: &x 1\nb: *x\n", "cases: []\ncases: []\n", "\0"])
def test_what_is_no_plain_yaml_is_a_usage_error_with_the_file_and_the_line(text: str) -> None:
    status, output = run(text)
    assert status == 2
    assert "<stdin>: " in output


def test_the_page_s_own_example_passes_and_prints_what_stands_there(tmp_path: Path) -> None:
    page = (Path(__file__).parents[5] / "docs" / "join-methods" / "kubernetes.md").read_text()
    rules, *_, cases = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    printed = re.search(r"```console\n\$ tctl tokens test .*?\n(.*?)```", page, re.DOTALL)
    paths = [tmp_path / "rules.yaml", tmp_path / "cases.yaml"]
    for path, text in zip(paths, (rules, cases), strict=True):
        path.write_text(text)
    result = run_tctl(FakeCluster(), "tokens", "test", *(f"-f{path}" for path in paths))
    assert printed
    assert result.output == printed[1]


def test_files_are_needed() -> None:
    assert run_tctl(FakeCluster(), "tokens", "test").exit_code == 2
    assert run_tctl(FakeCluster(), "tokens", "test", "-f", "/nowhere").exit_code == 2


@pytest.mark.parametrize(("number", "status"), [(64, 0), (65, 2)])
def test_the_number_of_files_is_bounded(number: int, status: int, tmp_path: Path) -> None:
    paths = [tmp_path / str(each) for each in range(number)]
    for path in paths:
        path.write_text("")
    paths[0].write_text(yaml.safe_dump_all([build_token(), build_suite(build_case())]))
    assert run_tctl(FakeCluster(), "tokens", "test", *(f"-f{path}" for path in paths)).exit_code == status


WORDS = st.sampled_from(["a", "b", "ab", "a-b"])
PATTERNS = st.sampled_from(["a", "a*", "*b", "?", "*"])
RULES = st.one_of(
    st.builds(lambda namespace, name: {"service_account": f"{namespace}:{name}"}, WORDS, WORDS),
    st.builds(
        lambda namespace, name: {"service_account_namespace": namespace, "service_account_name": name},
        PATTERNS,
        PATTERNS,
    ),
)


@given(st.lists(RULES, min_size=1, max_size=4), WORDS, WORDS)
def test_a_case_is_decided_by_the_rules_as_a_join_is(rules: list[dict[str, str]], namespace: str, name: str) -> None:
    admitted = find_rule([Rule.model_validate(rule) for rule in rules], ServiceAccount(namespace, name)) is not None
    cases = [build_case(expect, f"{namespace}:{name}") for expect in ("admitted", "refused")]
    text = yaml.safe_dump_all([build_token(allow=rules), build_suite(*cases)])
    report = run_suites(parse_files([("cases.yaml", text)], NOW), NOW)
    assert [result.passed for result in report.results] == [admitted, not admitted]


KEYS = ["cases", "name", "given", "expect", "service_account", "audience", "life", "at", "by", "kind", "spec", "role"]
PLAIN = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(["token", "a:b"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from([*KEYS, "other"]), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(st.lists(PLAIN, max_size=3))
def test_whatever_stands_in_a_file_is_read_or_refused(documents: list[Any]) -> None:
    text = yaml.safe_dump_all([build_token(), *documents, build_suite(build_case())])
    try:
        report = run_suites(parse_files([("cases.yaml", text)], NOW), NOW)
    except BadParameter as error:
        assert "cases.yaml" in error.message or "case " in error.message or "token " in error.message  # noqa: PT017 - both are fine
    else:
        assert report.results
