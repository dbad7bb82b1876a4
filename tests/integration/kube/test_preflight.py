"""`tctl kube preflight` on a real API server: what it finds is so, and what it prints is what helps."""

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.kube_apiserver import ADMIN_TOKEN, ISSUER, KubeApiServer, find_kubectl
from support.processes import run_program
from support.tls_certificates import ThrowawayAuthority
from teleport.resources.strict_yaml import render_yaml

NUMBERS = count()


class Preflight:
    """An auth server's ServiceAccount without any rights, and the configuration by which it is known."""

    def __init__(self, kubernetes: KubeApiServer, folder: Path) -> None:
        self.kubernetes = kubernetes
        self.namespace = f"preflight-{next(NUMBERS)}"
        self.token_file = folder / "token"
        self.ca_file = folder / "ca.crt"
        self.ca_file.write_text(kubernetes.ca_file.read_text())
        self.config = folder / "teleport.yaml"
        kubernetes.create_service_account(self.namespace, "auth")
        uid = kubernetes.create_pod(self.namespace, "auth-0", "auth")
        self.token_file.write_text(kubernetes.request_pod_token(self.namespace, "auth", "auth-0", uid))
        self.configure()

    def configure(self, **kubernetes: str) -> None:
        """Write the configuration, with changes to its section."""
        section = {
            "api_server": self.kubernetes.url,
            "ca_file": str(self.ca_file),
            "token_file": str(self.token_file),
            **kubernetes,
        }
        auth_service = {"enabled": "yes", "cluster_name": "example.com", "kubernetes": section}
        self.config.write_text(render_yaml({"version": "v3", "auth_service": auth_service}))

    def run(self, *flags: str) -> tuple[int, str]:
        """Return the exit status and all output, which never holds a token."""
        done = run_program("tctl", f"--config={self.config}", "kube", "preflight", *flags)
        assert "eyJ" not in done.stdout + done.stderr
        assert ADMIN_TOKEN not in done.stdout + done.stderr
        return done.returncode, done.stdout + done.stderr

    def read(self, *flags: str) -> dict[str, Any]:
        """Return the report, and see that the exit status says the same."""
        status, output = self.run("--format=json", *flags)
        found: dict[str, Any] = json.loads(output)
        assert status == (0 if found["ready"] else 1)
        return found

    def find(self, name: str, *flags: str) -> dict[str, str]:
        """Return one check of the report."""
        return next(check for check in self.read(*flags)["checks"] if check["name"] == name)


@pytest.fixture
def preflight(kubernetes: KubeApiServer, tmp_path: Path) -> Preflight:
    """A ServiceAccount of its own for each test."""
    return Preflight(kubernetes, tmp_path)


def list_statuses(report: dict[str, Any]) -> dict[str, str]:
    """Return what each check has found."""
    return {check["name"]: check["status"] for check in report["checks"]}


def test_what_is_missing_and_what_is_not_are_told_apart(preflight: Preflight) -> None:
    report = preflight.read()
    assert (report["ready"], report["issuer"], report["api_server_audiences"]) == (False, ISSUER, [ISSUER])
    assert list_statuses(report) == {
        "api server": "ok",
        "own token": "ok",
        "version": "ok",
        "clock": "ok",
        "audiences": "ok",
        "token reviews": "missing",
        "cluster keys": "ok",
        "verification": "missing",
        "get pods": "optional",
        "watch pods": "optional",
        "other rights": "ok",
    }


def grant_by_objects(preflight: Preflight, report: dict[str, Any]) -> None:
    for manifest in report["rbac"]:
        preflight.kubernetes.create(manifest)


def grant_by_commands(preflight: Preflight, report: dict[str, Any]) -> None:
    if find_kubectl() is None:
        pytest.skip("NOT TESTED: the commands that grant rights need kubectl (KUBEBUILDER_ASSETS)")
    for check in report["checks"]:
        preflight.kubernetes.run_as_administrator(check["command"])


@pytest.mark.parametrize("grant", [grant_by_objects, grant_by_commands])
@pytest.mark.parametrize("flags", [(), ("--namespace=apps", "--namespace=jobs")])
def test_what_it_prints_is_all_that_has_to_be_granted(
    preflight: Preflight, grant: Callable[[Preflight, dict[str, Any]], None], flags: tuple[str, ...]
) -> None:
    for namespace in ("apps", "jobs"):
        preflight.kubernetes.create_service_account(namespace, "app")
    flags = ("--verify-pod", "--bind-to-pod", *flags)
    report = preflight.read(*flags)
    assert not report["ready"]
    grant(preflight, report)
    after = preflight.read(*flags)
    assert after["ready"]
    assert after["rbac"] == []
    assert set(list_statuses(after).values()) == {"ok"}


def test_rights_in_one_namespace_are_none_in_another(preflight: Preflight) -> None:
    preflight.kubernetes.create_service_account("apps", "app")
    grant_by_objects(preflight, preflight.read("--verify-pod", "--namespace=apps"))
    assert preflight.read("--verify-pod", "--namespace=apps")["ready"]
    assert not preflight.read("--verify-pod", "--namespace=jobs")["ready"]
    assert not preflight.read("--verify-pod")["ready"]


def test_json_and_yaml_say_the_same(preflight: Preflight) -> None:
    status, output = preflight.run("--format=yaml")
    assert status == 1
    assert yaml.safe_load(output) == preflight.read()


def test_mode_jwks_needs_no_right(preflight: Preflight) -> None:
    preflight.configure(verification="jwks")
    status, output = preflight.run()
    assert status == 0
    assert "ok verification jwks works" in " ".join(output.split())
    assert "as YAML" not in output


def test_a_role_of_a_cluster_s_administrator_is_warned_of(preflight: Preflight) -> None:
    preflight.kubernetes.bind("cluster-admin", preflight.namespace, "auth")
    report = preflight.read()
    assert report["ready"]
    assert list_statuses(report)["other rights"] == "warning"


def test_the_token_of_a_pod_that_is_gone_is_not_accepted(preflight: Preflight) -> None:
    preflight.kubernetes.delete_pod(preflight.namespace, "auth-0")
    check = preflight.find("api server")
    assert (check["status"], "401" in check["finding"]) == ("missing", True)


def test_a_token_that_is_bound_to_nothing_is_warned_of(preflight: Preflight) -> None:
    preflight.token_file.write_text(preflight.kubernetes.request_token(preflight.namespace, "auth", []))
    assert preflight.find("own token")["status"] == "warning"


def test_a_token_for_somebody_else_is_not_accepted(preflight: Preflight) -> None:
    preflight.token_file.write_text(preflight.kubernetes.request_token(preflight.namespace, "auth", ["vault"]))
    assert preflight.find("api server")["status"] == "missing"


def test_an_api_server_that_is_not_trusted_is_sent_no_token(preflight: Preflight) -> None:
    preflight.ca_file.write_text(ThrowawayAuthority.create("another CA").certificate_pem)
    check = preflight.find("api server")
    assert (check["status"], "not trusted" in check["finding"]) == ("missing", True)


def test_where_nobody_listens_that_is_said(preflight: Preflight) -> None:
    preflight.configure(api_server="https://127.0.0.1:1")
    status, output = preflight.run()
    assert status == 1
    assert "missing  api server cannot ask" in output


def test_without_a_token_that_is_said(preflight: Preflight) -> None:
    preflight.token_file.unlink()
    status, output = preflight.run()
    assert status == 1
    assert f"missing  own token cannot read {preflight.token_file}" in output


def test_a_configuration_that_names_no_api_server_outside_of_a_pod_is_an_error(preflight: Preflight) -> None:
    preflight.config.write_text(render_yaml({"version": "v3", "auth_service": {"enabled": "yes"}}))
    status, output = preflight.run()
    assert status == 1
    assert output.startswith("ERROR: this is no pod")
