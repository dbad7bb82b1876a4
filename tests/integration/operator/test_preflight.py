"""`preflight` names what is missing before an operator is started, and the manifests that are shipped are enough."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster import AuthServer
from support.kube_apiserver import KubeApiServer
from support.operator_cluster import (
    NAMESPACE,
    ROOT,
    Document,
    Objects,
    OperatorFactory,
    build_manifest,
    find_token,
    read_manifest,
)
from support.operator_specs import build_spec
from support.processes import PATIENCE, build_environment
from support.token_objects import TokenObjects
from teleport.resources.strict_yaml import parse_documents

NAME = "teleport-operator"
TOOLS = f"{os.environ.get('KUBEBUILDER_ASSETS', '')}:{os.environ['PATH']}"
PAGE = ROOT / "docs" / "operator.md"
ROLES = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/roles"


def test_with_the_manifests_of_this_project_nothing_is_missing(make_operator: OperatorFactory) -> None:
    done = make_operator().preflight()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "missing" not in done.stdout
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("ok")] == [
        "version",
        "clock",
        "definition",
        "rights",
        "lease",
        "objects",
        "join",
    ]


def test_a_right_that_is_missing_is_named_with_what_grants_it(
    make_operator: OperatorFactory, kubernetes: KubeApiServer
) -> None:
    roles = (each for each in read_manifest("operator/deploy/rbac.yaml") if each["kind"] == "Role")
    role = next(each for each in roles if each["metadata"]["name"] == NAME)
    narrowed = {**role, "rules": [rule for rule in role["rules"] if rule["resources"] != ["secrets"]]}
    kubernetes.ask("PUT", f"{ROLES}/{NAME}", narrowed)
    try:
        done = make_operator().preflight()
    finally:
        kubernetes.ask("PUT", f"{ROLES}/{NAME}", role)
    assert done.returncode == 1
    assert "may not get secrets, create secrets, patch secrets in namespace teleport" in done.stdout
    assert "kubectl apply -n teleport -f operator/deploy/rbac.yaml" in done.stdout


def test_a_namespace_without_the_role_is_named(make_operator: OperatorFactory) -> None:
    done = make_operator().preflight("--namespaces=teleport,elsewhere")
    assert done.returncode == 1
    assert "in namespace elsewhere" in done.stdout


def test_a_token_that_does_not_admit_the_operator_is_named(make_operator: OperatorFactory) -> None:
    done = make_operator().preflight("--token=another-token")
    assert done.returncode == 1
    assert "join" in done.stdout.splitlines()[-2]


def test_an_auth_server_that_may_not_review_tokens_is_named(
    make_operator: OperatorFactory, kubernetes: KubeApiServer
) -> None:
    kubernetes.unbind("system-auth-delegator-teleport-auth")
    try:
        done = make_operator().preflight()
    finally:
        kubernetes.bind("system:auth-delegator", NAMESPACE, "auth")
    assert done.returncode == 1
    assert "auth may not ask Kubernetes; the auth server's log names the right" in done.stdout


def test_the_deployment_is_one_that_the_api_server_takes(kubernetes: KubeApiServer) -> None:
    (deployment,) = read_manifest("operator/deploy/deployment.yaml")
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments?dryRun=All&fieldValidation=Strict"
    assert kubernetes.ask("POST", path, deployment)["spec"]["replicas"] == 2


def read_definition_without_whole_rules() -> Document:
    """Return what the page's command makes of our definition, before it is applied."""
    (command,) = (line for line in PAGE.read_text().splitlines() if line.startswith("$ kubectl patch --local "))
    done = subprocess.run(
        ["sh", "-c", command.removeprefix("$ ").partition(" | ")[0]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
        env=build_environment() | {"PATH": TOOLS},
    )
    definition: Document
    (definition,) = parse_documents(done.stdout)
    return definition


@pytest.fixture
def without_whole_rules(kubernetes: KubeApiServer) -> Iterator[TokenObjects]:
    """Let the API server go by the definition as an older Kubernetes gets it, for the time of a test."""
    if shutil.which("kubectl", path=TOOLS) is None:
        pytest.skip("NOT TESTED: the definition for Kubernetes 1.29 needs kubectl (KUBEBUILDER_ASSETS)")
    objects = TokenObjects(kubernetes)
    objects.install(read_definition_without_whole_rules())
    objects.wait_for("short", TOO_SHORT, accepted=True)
    yield objects
    objects.install()
    objects.wait_for("short", TOO_SHORT, accepted=False)


BOT_WITHOUT_NAME: Document = {"roles": ["Bot"], "secret": {}}
TOO_SHORT: Document = {"roles": ["Node"]}


def test_each_object_that_rules_for_whole_objects_would_refuse_is_listed_and_says_so_itself(
    make_operator: OperatorFactory,
    kubernetes: KubeApiServer,
    without_whole_rules: TokenObjects,
    objects: Objects,
    auth: AuthServer,
    name: str,
) -> None:
    assert not without_whole_rules.create(name, BOT_WITHOUT_NAME).accepted  # all other rules are there
    kubernetes.ask("POST", objects.path, {**build_manifest(name, {}), "spec": None})
    objects.apply("short", TOO_SHORT)
    objects.apply(f"{name}-sound", build_spec())

    done = make_operator().preflight()

    assert done.returncode == 0
    listed = [line for line in done.stdout.splitlines() if line.split()[1:2] == ["object"]]
    assert len(listed) == 2
    assert f"{NAMESPACE}/***** of " in "".join(listed)
    assert "has fewer than 16 characters; add `secret: {}` to the spec" in "".join(listed)
    assert "spec" in listed[1]
    assert "correct it and apply it again" in done.stdout
    operator = make_operator(name="another").start()
    for each in (name, "short"):
        objects.wait_for(each, "Invalid")
        assert find_token(auth, each) is None
    objects.wait_for(f"{name}-sound", "Synced")
    for each in (name, "short", f"{name}-sound"):
        objects.delete(each)
        objects.wait_until_gone(each)
    assert operator.process.stop() == 0


def test_an_identity_file_that_is_none_is_named_with_what_makes_one(
    make_operator: OperatorFactory, tmp_path: Path
) -> None:
    file = tmp_path / "no.identity"
    file.write_text("nothing of use")
    done = make_operator().preflight(f"--identity-file={file}")
    assert done.returncode == 1
    assert f"identity file {file}: not an identity file" in done.stdout
    assert "tctl auth sign" in done.stdout.splitlines()[-1]
