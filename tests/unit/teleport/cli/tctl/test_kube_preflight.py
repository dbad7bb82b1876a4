"""How a preflight is asked for, and how its report is shown; what it finds on a real cluster is told elsewhere."""

import json

import pytest
import yaml

from support.fake_cluster import FakeCluster, run_tctl
from support.preflight_facts import FORBIDDEN, build_answers, build_facts, build_plan
from teleport.auth.preflight.check import Check, Status
from teleport.auth.preflight.report import PreflightReport, build_report
from teleport.auth.preflight.rights import EXCESS, REVIEW
from teleport.cli.output import render_json
from teleport.cli.tctl.preflight_text import render_report, to_plain
from teleport.errors import NotFound

NOWHERE = {"TELEPORT_CONFIG_FILE": "", "KUBERNETES_SERVICE_HOST": "", "KUBERNETES_SERVICE_PORT": ""}
LACKING = build_report(build_facts(build_answers(review=FORBIDDEN, denied=(REVIEW, *EXCESS))), build_plan())


def test_outside_of_kubernetes_it_says_where_to_run_it() -> None:
    result = run_tctl(FakeCluster(), "kube", "preflight", env=NOWHERE)
    assert isinstance(result.exception, NotFound)
    assert "kubectl exec" in result.exception.message
    assert "auth_service.kubernetes.api_server" in result.exception.message


def test_no_auth_server_is_asked() -> None:
    cluster = FakeCluster()
    run_tctl(cluster, "kube", "preflight", env=NOWHERE)
    assert cluster.calls == []


@pytest.mark.parametrize("name", ["", "Apps", "a b", "$(reboot)", "a" * 64])
def test_what_is_no_namespace_is_refused(name: str) -> None:
    result = run_tctl(FakeCluster(), "kube", "preflight", f"--namespace={name}", env=NOWHERE)
    assert result.exit_code == 2
    assert "no name of a namespace" in result.output


def test_each_check_is_a_line_with_its_remedy_below() -> None:
    lines = render_report(LACKING).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("missing  token reviews"))
    assert lines[at + 1].strip().startswith("to grant it: kubectl create clusterrole teleport-auth-tokenreviews")
    assert lines[0].startswith("ok       api server")


def test_the_objects_to_apply_are_yaml_at_the_end() -> None:
    documents = list(yaml.safe_load_all(render_report(LACKING).partition("as YAML:\n")[2]))
    assert [document["kind"] for document in documents] == ["ClusterRole", "ClusterRoleBinding"]


def test_where_nothing_is_missing_there_is_nothing_to_apply() -> None:
    ready = build_report(build_facts(build_answers()), build_plan())
    assert "apiVersion" not in render_report(ready)


def test_foreign_text_forges_no_line() -> None:
    report = PreflightReport((Check("version", Status.OK, "v1.34\nok       verification"),))
    assert len(render_report(report).splitlines()) == 1


def test_json_holds_everything_for_programs() -> None:
    plain = json.loads(render_json(to_plain(LACKING, build_plan())))
    assert (plain["ready"], plain["verification"], plain["cluster_name"]) == (False, "tokenreview", "example.com")
    assert plain["api_server_audiences"] == ["https://kubernetes.default.svc"]
    assert [each["kind"] for each in plain["rbac"]] == ["ClusterRole", "ClusterRoleBinding"]
    (lacking,) = [check for check in plain["checks"] if check["name"] == "token reviews"]
    assert (lacking["status"], lacking["command"].split()[0]) == ("missing", "kubectl")
