"""An operator of all namespaces, with the ClusterRole that is shipped for it and nothing else."""

from collections.abc import Iterator

import pytest

from support.cluster import AuthServer
from support.kube_apiserver import KubeApiServer, find_programs, running_apiserver
from support.operator_cluster import ACCOUNT, NAMESPACE, Objects, Operator, OperatorFactory, prepare_kubernetes
from support.operator_specs import build_spec
from support.processes import Processes

TEAM = "team-b"
ALL = "--namespaces=*"


@pytest.fixture(scope="module")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeApiServer]:
    """An API server where the operator has no Role but that for its Lease."""
    if find_programs() is None:
        pytest.skip("NOT TESTED: the operator needs etcd and kube-apiserver (KUBEBUILDER_ASSETS)")
    with running_apiserver(tmp_path_factory.mktemp("kubernetes")) as server:
        prepare_kubernetes(server, rbac="cluster-rbac.yaml")
        server.create_service_account(TEAM, "app")
        yield server


@pytest.fixture(scope="module")
def operator(
    kubernetes: KubeApiServer,
    auth: AuthServer,
    shared_processes: Processes,
    tmp_path_factory: pytest.TempPathFactory,
) -> Operator:
    """An operator of all namespaces."""
    folder = tmp_path_factory.mktemp("operator-of-all")
    return Operator(shared_processes, folder, kubernetes, auth, flags=(ALL,)).start()


def may(kubernetes: KubeApiServer, verb: str, resource: str, group: str = "") -> bool:
    """Ask the API server whether the operator may do something in a team's namespace."""
    spec = {
        "user": f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}",
        "groups": ["system:serviceaccounts", "system:authenticated"],
        "resourceAttributes": {"verb": verb, "resource": resource, "group": group, "namespace": TEAM},
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    return bool(kubernetes.ask("POST", path, {"spec": spec})["status"]["allowed"])


def test_preflight_finds_nothing_missing(make_operator: OperatorFactory) -> None:
    done = make_operator(ALL).preflight()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all that is needed in all namespaces" in done.stdout


def test_without_it_preflight_names_the_manifest(make_operator: OperatorFactory, kubernetes: KubeApiServer) -> None:
    path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    binding = kubernetes.ask("GET", f"{path}/{ACCOUNT}")
    kubernetes.ask("DELETE", f"{path}/{ACCOUNT}")
    try:
        done = make_operator(ALL).preflight()
    finally:
        kept = {key: binding[key] for key in ("apiVersion", "kind", "roleRef", "subjects")}
        kubernetes.ask("POST", path, {**kept, "metadata": {"name": ACCOUNT}})
    assert done.returncode == 1
    assert "kubectl apply -f operator/deploy/cluster-rbac.yaml" in done.stdout


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize("namespace", [NAMESPACE, TEAM])
def test_an_object_of_any_namespace_is_followed_to_its_end(
    kubernetes: KubeApiServer, name: str, namespace: str
) -> None:
    objects = Objects(kubernetes, namespace)
    objects.apply(name, build_spec(f"{namespace}:app"))
    objects.wait_for(name, "Synced")
    objects.wait_for_event(name, "Normal", "Created")
    objects.apply(name, build_spec(f"{namespace}:other"))
    objects.wait_for(name, "Synced")
    objects.delete(name)
    objects.wait_until_gone(name)


@pytest.mark.usefixtures("operator")
def test_a_secret_is_delivered_in_any_namespace(kubernetes: KubeApiServer, name: str) -> None:
    objects = Objects(kubernetes, TEAM)
    objects.apply(name, {"roles": ["Node"], "secret": {}})
    objects.wait_for(name, "Synced")
    assert kubernetes.ask("GET", f"/api/v1/namespaces/{TEAM}/secrets/{name}")["data"]["auth-token"]


@pytest.mark.parametrize(
    ("verb", "resource", "group"),
    [
        ("list", "secrets", ""),
        ("delete", "secrets", ""),
        ("get", "pods", ""),
        ("update", "teleportprovisiontokens", "resources.teleport.dev"),
        ("delete", "teleportprovisiontokens", "resources.teleport.dev"),
        ("get", "leases", "coordination.k8s.io"),
        ("create", "tokenreviews", "authentication.k8s.io"),
    ],
)
def test_it_may_do_nothing_more(kubernetes: KubeApiServer, verb: str, resource: str, group: str) -> None:
    assert may(kubernetes, "get", "secrets")
    assert not may(kubernetes, verb, resource, group)
