"""`preflight` names what is missing before an operator is started, and the manifests that are shipped are enough."""

from support.kube_apiserver import KubeApiServer
from support.operator_cluster import NAMESPACE, OperatorFactory, read_manifest

NAME = "teleport-operator"
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
