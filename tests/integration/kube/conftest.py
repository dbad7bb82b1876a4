"""A real API server for the tests of this folder, and an auth server that asks it as a pod of that cluster would."""

from collections.abc import Iterator
from itertools import count

import pytest

from support.cluster import PATIENT, AuthServer
from support.kube_apiserver import KubeApiServer, find_programs, running_apiserver
from support.processes import Processes
from support.workload import Workload

NAMESPACE, ACCOUNT, POD = "teleport", "auth", "auth-0"
ROLE = "system:auth-delegator"
NUMBERS = count()


@pytest.fixture(scope="module")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeApiServer]:
    """Run an API server; without the programs these tests are skipped, and the last lines of the run say so."""
    if find_programs() is None:
        pytest.skip("NOT TESTED: joining by ServiceAccount tokens needs etcd and kube-apiserver (KUBEBUILDER_ASSETS)")
    with running_apiserver(tmp_path_factory.mktemp("kubernetes")) as server:
        server.create_service_account(NAMESPACE, ACCOUNT)
        server.bind(ROLE, NAMESPACE, ACCOUNT)
        yield server


@pytest.fixture(scope="module")
def auth(
    kubernetes: KubeApiServer, shared_processes: Processes, tmp_path_factory: pytest.TempPathFactory
) -> AuthServer:
    """An auth server that all tests of a module share, with a token file as the kubelet would write it."""
    folder = tmp_path_factory.mktemp("auth")
    token_file = folder / "token"
    uid = kubernetes.create_pod(NAMESPACE, POD, ACCOUNT)
    token_file.write_text(kubernetes.request_pod_token(NAMESPACE, ACCOUNT, POD, uid))
    settings = {
        "api_server": kubernetes.url,
        "ca_file": str(kubernetes.ca_file),
        "token_file": str(token_file),
    }
    return AuthServer(
        shared_processes, folder / "auth", auth_service={"kubernetes": settings}, teleport=PATIENT
    ).start()


@pytest.fixture
def workload(kubernetes: KubeApiServer, auth: AuthServer) -> Workload:
    """A workload of its own for each test."""
    return Workload(kubernetes, auth, str(next(NUMBERS)))
