"""What the tests of this folder share: a token resource of each kind of proof, and who publishes keys elsewhere."""

import pytest

from support.pod_joining import (
    KINDS,
    FakeIssuers,
    PodJoining,
)


@pytest.fixture
def issuers(monkeypatch: pytest.MonkeyPatch) -> FakeIssuers:
    """Who publishes keys outside of the cluster."""
    fake = FakeIssuers()
    monkeypatch.setattr("teleport.kube.openid.fetch_key_set", fake.fetch)
    return fake


@pytest.fixture(params=KINDS)
async def joining(request: pytest.FixtureRequest, issuers: FakeIssuers) -> PodJoining:  # noqa: ARG001 - it is asked
    """A token resource of each kind of proof in turn."""
    return await PodJoining.start(**KINDS[request.param])
