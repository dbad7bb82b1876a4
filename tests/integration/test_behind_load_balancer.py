"""A proxy behind something that ends TLS: the way to auth leads through a WebSocket, and is as closed as without."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster import AuthServer
from support.load_balancer import ending_tls
from support.processes import HOST, Processes
from support.public_proxy import NAME, PublicProxy, coming_from
from teleport.resources.address import Address

TRUE_ADDRESS = "127.0.0.9"


@pytest.fixture(scope="module")
def front(auth: AuthServer, shared_processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> PublicProxy:
    """A proxy that believes its load balancer, and has a web certificate that nobody outside needs to trust."""
    folder = tmp_path_factory.mktemp("shared") / "public"
    return PublicProxy(shared_processes, folder, auth, {"trust_x_forwarded_for": "yes"}).start()


@pytest.fixture(scope="module")
def balancer(
    front: PublicProxy, shared_processes: Processes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Address]:
    folder = tmp_path_factory.mktemp("balancer") / "nginx"
    with ending_tls(shared_processes, folder, front, front.authority.issue(NAME)) as address:
        yield address


def test_an_agent_joins_and_lives_through_a_websocket(
    auth: AuthServer, pin: str, front: PublicProxy, balancer: Address
) -> None:
    token = auth.add_token()
    agent = front.make_agent("walled", f"--token={token}", f"--ca-pin={pin}", at=f"{NAME}:{balancer.port}").start()

    agent.wait_until_ready()

    auth.wait_for_record(agent.name)
    assert agent.process.stop() == 0
    assert agent.name not in auth.list_hostnames()


def test_auth_sees_the_address_that_the_balancer_tells(auth: AuthServer, front: PublicProxy, balancer: Address) -> None:
    with coming_from(TRUE_ADDRESS, balancer) as there:
        agent = front.make_agent("further", f"--token={auth.add_token()}", at=f"{NAME}:{there.port}").start()
        agent.wait_until_ready()

    (event,) = [each for each in auth.read_audit("instance.join") if each.get("node_name") == agent.name]
    assert event["remote_addr"] == TRUE_ADDRESS != HOST


def test_who_comes_around_the_balancer_needs_no_websocket(auth: AuthServer, front: PublicProxy) -> None:
    front.make_agent("beside", f"--token={auth.add_token()}").start().wait_until_ready()


def test_a_balancer_that_leads_to_no_proxy_is_an_error_with_its_status(
    auth: AuthServer, front: PublicProxy, processes: Processes, tmp_path: Path
) -> None:
    away = PublicProxy(processes, tmp_path / "away", auth)
    with ending_tls(processes, tmp_path / "nginx", away, front.authority.issue(NAME)) as address:
        agent = front.make_agent("lost", f"--token={auth.add_token()}", at=f"{NAME}:{address.port}").start()

        agent.process.wait_for_log("the server refuses the WebSocket with status 502")
