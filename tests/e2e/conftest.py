"""What cases share: the images, and a Kubernetes cluster with an auth server, in which each test has a namespace.

A test that fails leaves logs, events and descriptions in `var/e2e`. `--keep-cluster` leaves the cluster itself, which
the next run with this flag uses.
"""

import re
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from pytest_kind import KindCluster

from support.container_image import Images, build_images, find_build_obstacle
from support.fresh_host import ROOT
from support.kind import CLUSTER, NODE_IMAGE, Kubernetes, delete_leftover, find_kind_obstacle
from support.pod_auth import IMAGE_NAME, Auth
from support.pod_operator import Declare, DeclaredToken, PodOperator
from support.pods import Tenant

ARTEFACTS = ROOT / "var" / "e2e"
TEAM = "team-a"
RUNNING: pytest.StashKey[Kubernetes] = pytest.StashKey()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    kubernetes = item.config.stash.get(RUNNING, None)
    if report.failed and kubernetes is not None:
        folder = ARTEFACTS / re.sub(r"\W+", "-", item.name)
        kubernetes.save_artefacts(folder)
        report.sections.append(("what the cluster did", f"see {folder}"))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"FIGURE {name}: {value}")


@pytest.fixture(scope="session")
def images() -> Images:
    """Build the images of the working tree."""
    obstacle = find_build_obstacle()
    if obstacle is not None:
        pytest.skip(f"NOT TESTED: the container images need Docker: {obstacle}")
    return build_images()


@pytest.fixture(scope="session")
def teleport_image(images: Images) -> str:
    return images.teleport


@pytest.fixture(scope="session")
def kubernetes(request: pytest.FixtureRequest, teleport_image: str) -> Iterator[Kubernetes]:
    """Run a cluster that knows the image."""
    node_image = request.config.getoption("kind_image") or NODE_IMAGE
    obstacle = find_kind_obstacle(node_image)
    if obstacle is not None:
        pytest.skip(f"NOT TESTED: joining from real pods needs kind, kubectl and Docker: {obstacle}")
    keep = request.config.getoption("keep_cluster")
    if not keep:
        delete_leftover()
    programs = {f"{name}_path": Path(shutil.which(name) or name) for name in ("kind", "kubectl")}
    cluster = KindCluster(CLUSTER, image=node_image, **programs)
    try:
        cluster.create()
        made = Kubernetes(cluster)
        request.config.stash[RUNNING] = made
        made.wait_until_ready()
        made.load_image(teleport_image, IMAGE_NAME)
        yield made
    finally:
        if not keep:
            cluster.delete()


@pytest.fixture(scope="session")
def auth(request: pytest.FixtureRequest, kubernetes: Kubernetes) -> Auth:
    """The auth server of the example, which all tests share."""
    made = Auth(kubernetes)
    made.start()
    if request.config.getoption("keep_cluster"):
        made.restart()
    return made


@pytest.fixture(scope="session")
def pin(auth: Auth) -> str:
    return auth.pin


@pytest.fixture
def tenant(auth: Auth, pin: str) -> Iterator[Tenant]:
    """A namespace of its own for each test."""
    made = Tenant(auth, f"tenant-{uuid4().hex[:6]}", pin)
    made.create()
    yield made
    made.remove()


@pytest.fixture(scope="session")
def team(auth: Auth, pin: str) -> Iterator[Tenant]:
    """A namespace that the operator watches beside its own."""
    made = Tenant(auth, TEAM, pin)
    made.create()
    yield made
    made.remove()


@pytest.fixture(scope="session")
def operator(auth: Auth, images: Images, team: Tenant) -> Iterator[PodOperator]:
    """The operator, installed as its page says and removed as it says."""
    made = PodOperator(auth, team.namespace)
    printed = made.install(images)
    assert "missing" not in printed[-1]
    made.watch_team()
    yield made
    made.remove()
    assert "resources.teleport.dev/operator" not in auth.tctl("tokens", "ls", "--format=json")


@pytest.fixture
def declare(operator: PodOperator) -> Iterator[Declare]:
    """Names objects, which are gone after the test."""
    declared: list[DeclaredToken] = []

    def name(name: str, namespace: str = PodOperator.NAMESPACE) -> DeclaredToken:
        declared.append(DeclaredToken(operator.auth, name, namespace))
        return declared[-1]

    yield name
    for each in declared:
        each.delete()


@pytest.fixture
def token(tenant: Tenant, declare: Declare) -> DeclaredToken:
    """The object whose token the pods of a tenant join with."""
    return declare(tenant.token_name)
