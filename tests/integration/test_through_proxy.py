"""Joining, and being a member, through a proxy: auth judges by the true address, and the proxy learns nothing."""

import pytest

from support.cluster import AuthServer
from support.processes import Processes
from support.public_proxy import PublicProxy


@pytest.fixture(scope="module")
def front(auth: AuthServer, shared_processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> PublicProxy:
    """A proxy that all tests of this module share."""
    return PublicProxy(shared_processes, tmp_path_factory.mktemp("shared") / "public", auth).start()


def test_an_agent_joins_and_lives_through_a_proxy(auth: AuthServer, front: PublicProxy) -> None:
    agent = front.join("behind")

    auth.wait_for_record(agent.name)
    assert auth.list_joins(agent.name) == [True]
