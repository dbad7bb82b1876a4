"""A real API server, an auth server that reviews tokens by it, and operators."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from support.cluster import AuthServer
from support.kube_apiserver import KubeApiServer, find_programs, running_apiserver
from support.operator_cluster import (
    Objects,
    Operator,
    OperatorFactory,
    prepare_kubernetes,
    start_auth,
)
from support.processes import Processes

NUMBERS = count()


@pytest.fixture(scope="module")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeApiServer]:
    """Run an API server; without the programs these tests are skipped, and the last lines of the run say so."""
    if find_programs() is None:
        pytest.skip("NOT TESTED: the operator needs etcd and kube-apiserver (KUBEBUILDER_ASSETS)")
    with running_apiserver(tmp_path_factory.mktemp("kubernetes")) as server:
        prepare_kubernetes(server)
        yield server


@pytest.fixture(scope="module")
def auth(
    kubernetes: KubeApiServer, shared_processes: Processes, tmp_path_factory: pytest.TempPathFactory
) -> AuthServer:
    """An auth server that all tests of a module share, and that admits the operator."""
    return start_auth(kubernetes, shared_processes, tmp_path_factory.mktemp("auth"))


@pytest.fixture(scope="module")
def operator(
    kubernetes: KubeApiServer,
    auth: AuthServer,
    shared_processes: Processes,
    tmp_path_factory: pytest.TempPathFactory,
) -> Operator:
    """An operator that all tests of a module share."""
    return Operator(shared_processes, tmp_path_factory.mktemp("shared-operator"), kubernetes, auth).start()


@pytest.fixture
def make_operator(kubernetes: KubeApiServer, auth: AuthServer, processes: Processes, tmp_path: Path) -> OperatorFactory:
    """Makes operators for one test, which are not started."""

    def make(*flags: str, name: str = "operator", api_url: str = "") -> Operator:
        return Operator(processes, tmp_path / name, kubernetes, auth, flags=flags, api_url=api_url)

    return make


@pytest.fixture
def objects(kubernetes: KubeApiServer) -> Objects:
    """The objects of the operator's namespace."""
    return Objects(kubernetes)


@pytest.fixture
def name() -> str:
    """A name that no other test has."""
    return f"token-{next(NUMBERS)}"
