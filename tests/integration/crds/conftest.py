"""A real API server with the definition of TeleportProvisionToken, for the tests of this folder."""

import os
import shutil
from collections.abc import Iterator

import pytest

from support.kube_apiserver import KubeApiServer, find_programs, running_apiserver
from support.token_objects import TokenObjects


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeApiServer]:
    """Run an API server; without the programs these tests are skipped, and the last lines of the run say so."""
    if find_programs() is None:
        pytest.skip("NOT TESTED: the guards of the definition need etcd and kube-apiserver (KUBEBUILDER_ASSETS)")
    with running_apiserver(tmp_path_factory.mktemp("crds")) as running:
        yield running


@pytest.fixture(scope="session")
def installed(server: KubeApiServer) -> TokenObjects:
    objects = TokenObjects(server)
    objects.install()
    return objects


@pytest.fixture
def kubectl() -> str:
    found = shutil.which("kubectl", path=os.environ.get("KUBEBUILDER_ASSETS")) or shutil.which("kubectl")
    if found is None:
        pytest.skip("NOT TESTED: what kubectl makes of a manifest needs kubectl (KUBEBUILDER_ASSETS)")
    return found
