"""The operator in real pods, and a namespace that it watches beside its own; all tests of this folder share them."""

from collections.abc import Iterator

import pytest

from support.container_image import Images
from support.pod_auth import Auth
from support.pod_operator import Declare, DeclaredToken, PodOperator
from support.pods import Tenant

TEAM = "team-a"


@pytest.fixture(scope="session")
def team(auth: Auth, pin: str) -> Iterator[Tenant]:
    made = Tenant(auth, TEAM, pin)
    made.create()
    yield made
    made.remove()


@pytest.fixture(scope="session")
def operator(auth: Auth, images: Images, team: Tenant) -> Iterator[PodOperator]:
    """Installed as the page says and removed as it says."""
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
