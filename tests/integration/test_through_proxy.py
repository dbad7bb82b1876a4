"""Joining, and being a member, through a proxy: auth judges by the true address, and says itself why it refuses."""

from pathlib import Path
from typing import Any

import pytest

from support.cluster import Agent, AuthFactory, AuthServer
from support.processes import HOST, Processes, run_program, wait_until
from support.public_proxy import NAME, PublicProxy, coming_from
from support.secrecy import assert_untold
from teleport.errors import JoinRefused

TRUE_ADDRESS = "127.0.0.9"


@pytest.fixture(scope="module")
def front(auth: AuthServer, shared_processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> PublicProxy:
    """A proxy that all tests of this module share."""
    return PublicProxy(shared_processes, tmp_path_factory.mktemp("shared") / "public", auth).start()


@pytest.fixture
def own_auth(make_auth: AuthFactory) -> AuthServer:
    return make_auth().start()


@pytest.fixture
def own_front(own_auth: AuthServer, processes: Processes, tmp_path: Path) -> PublicProxy:
    """A proxy for one test, which may stop it and its auth server."""
    return PublicProxy(processes, tmp_path / "public", own_auth).start()


def find_join(auth: AuthServer, agent: Agent) -> dict[str, Any]:
    def find() -> dict[str, Any] | None:
        events = [event for event in auth.read_audit("instance.join") if event.get("node_name") == agent.name]
        return events[0] if events else None

    return wait_until(find, f"the audit log tells of {agent.name}")


def assert_heard(auth: AuthServer, agent: Agent) -> None:
    """The agent says goodbye, and auth hears it; it has joined once only."""
    assert agent.name in auth.list_hostnames()
    assert agent.process.stop() == 0
    assert agent.name not in auth.list_hostnames()
    assert auth.list_joins(agent.name) == [True]


def test_an_agent_joins_and_lives_through_a_proxy(auth: AuthServer, front: PublicProxy) -> None:
    agent = front.join("behind")

    auth.wait_for_record(agent.name)
    assert auth.list_joins(agent.name) == [True]
    assert_heard(auth, agent)


def test_without_a_pin_the_verified_proxy_is_where_trust_begins(auth: AuthServer, front: PublicProxy) -> None:
    agent = front.join("trusting")

    assert "INSECURE" not in agent.process.log
    assert auth.list_joins(agent.name) == [True]


def test_pins_are_held_against_auth_behind_the_proxy(pin: str, front: PublicProxy) -> None:
    front.join("pinned", f"--ca-pin={pin}")


def test_the_guides_commands_join_through_a_proxy(auth: AuthServer, front: PublicProxy) -> None:
    agent = front.make_agent("configured")
    config = agent.folder / "teleport.yaml"
    written = run_program(
        "teleport", "configure", "--roles=node", f"--token={auth.add_token()}", f"--proxy={front.address}",
        f"--node-name={agent.name}", f"--data-dir={agent.data_dir}", "-o", f"file://{config}",
    )  # fmt: skip
    assert written.returncode == 0, written.stderr
    config.write_text(config.read_text().replace('diag_addr: ""', f'diag_addr: "{agent.process.diag}"'))

    agent.process.arguments = ("teleport", "start", f"--config={config}")
    agent.process.start()

    agent.wait_until_ready()
    auth.wait_for_record(agent.name)


def test_auth_sees_the_true_address(auth: AuthServer, front: PublicProxy) -> None:
    with coming_from(TRUE_ADDRESS, front.proxy.address) as there:
        agent = front.make_agent("far-away", f"--token={auth.add_token()}", at=f"{NAME}:{there.port}").start()
        agent.wait_until_ready()

    assert find_join(auth, agent)["remote_addr"] == TRUE_ADDRESS


def test_networks_of_a_token_are_those_of_the_true_address(auth: AuthServer, front: PublicProxy) -> None:
    token = auth.add_token(limits={"allow_cidrs": [f"{HOST}/32"]})
    with coming_from(TRUE_ADDRESS, front.proxy.address) as there:
        agent = front.make_agent("elsewhere", f"--token={token}", at=f"{NAME}:{there.port}").start()
        agent.process.wait_for_log("auth refused the join")

    assert find_join(auth, agent)["reason"] == "address_not_allowed"
    front.make_agent("here", f"--token={token}").start().wait_until_ready()


def test_the_agents_log_tells_what_auth_said(auth: AuthServer, front: PublicProxy) -> None:
    token = "0123456789abcdef0123456789abcdef"
    agent = front.make_agent("refused", f"--token={token}").start()

    agent.process.wait_for_log("cannot join: auth refused the join")

    assert JoinRefused.PUBLIC in agent.process.log
    assert "TLS" not in agent.process.log
    assert find_join(auth, agent)["reason"] == "token_not_found"
    assert_untold(auth, token, agents=[agent])
    assert token not in front.proxy.process.log


def test_the_proxy_keeps_nothing_of_what_it_passes_on(auth: AuthServer, front: PublicProxy) -> None:
    token = auth.add_token()
    agent = front.make_agent("discreet", f"--token={token}").start().wait_until_ready()

    said = front.proxy.process.log + front.proxy.process.fetch("/metrics")[1]
    kept = b"".join(path.read_bytes() for path in front.proxy.data_dir.rglob("*") if path.is_file())
    for fact in (token, agent.name, agent.host_id):
        assert fact not in said
        assert fact.encode() not in kept


def test_tctl_works_through_a_proxy(auth: AuthServer, pin: str, front: PublicProxy) -> None:
    done = run_program(
        "tctl", f"--proxy={front.address}", "--insecure", "-i", str(auth.data_dir / "admin.identity"), "status"
    )
    assert done.returncode == 0, done.stderr
    assert pin in done.stdout


def test_tctl_verifies_the_proxy_unless_it_is_told_otherwise(auth: AuthServer, front: PublicProxy) -> None:
    done = run_program("tctl", f"--proxy={front.address}", "-i", str(auth.data_dir / "admin.identity"), "status")
    assert done.returncode == 1
    assert "the web certificate of proxy" in done.stderr


def test_auth_and_proxy_are_one_process(make_auth: AuthFactory, processes: Processes, tmp_path: Path) -> None:
    port = processes.reserve_port()
    both = make_auth(sections={"proxy_service": {"enabled": "yes", "web_listen_addr": f"{HOST}:{port}"}}).start()
    agent = Agent(
        processes,
        tmp_path / "beside",
        both.address,
        flags=(f"--token={both.add_token()}", f"--ca-pin={both.get_pin()}", "--insecure"),
        proxy=f"{NAME}:{port}",
    )

    agent.start().wait_until_ready()

    both.wait_for_record(agent.name)


def test_a_proxy_may_be_restarted_under_an_agent(own_auth: AuthServer, own_front: PublicProxy) -> None:
    agent = own_front.join("patient")
    own_auth.wait_for_record(agent.name)

    assert own_front.proxy.process.stop() == 0
    own_front.start()

    assert_heard(own_auth, agent)


def test_auth_may_be_restarted_under_a_proxy(own_auth: AuthServer, own_front: PublicProxy) -> None:
    agent = own_front.join("patient")
    own_auth.wait_for_record(agent.name)

    own_auth.restart()

    wait_until(lambda: own_front.proxy.process.log.count("clients are passed on") > 1, "the proxy is back at auth")
    assert_heard(own_auth, agent)


def test_while_auth_is_away_agents_are_told_so_and_join_when_it_is_back(
    own_auth: AuthServer, own_front: PublicProxy
) -> None:
    token = own_auth.add_token()
    assert own_auth.process.stop() == 0
    own_front.proxy.process.wait_for_status(503)
    agent = own_front.make_agent("early", f"--token={token}").start()

    agent.process.wait_for_log("it lets nobody through to auth at present")
    own_auth.start()

    agent.wait_until_ready()


def test_a_proxy_that_is_told_to_go_through_a_proxy_says_what_is_wrong(front: PublicProxy) -> None:
    agent = front.make_agent("confused", "--token=0123456789abcdef", roles="proxy").start()
    assert agent.process.wait_for_end() == 1
    assert "a proxy needs auth's own address" in agent.process.log
