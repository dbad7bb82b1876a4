"""An agent tells its token to nobody but the cluster that its operator means."""

import pytest

from support.authorities import add_trusted_keys, drop_trusted_keys, swap_keys
from support.cluster import CLUSTER_NAME, Agent, AgentFactory, AuthFactory, AuthServer
from support.processes import Processes
from support.rogue_server import RogueServer

TOKEN = "b1946ac92492d2347c6235b4d2611184"
FALSE_PIN = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def other_auth(shared_processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> AuthServer:
    """An auth server of another cluster."""
    folder = tmp_path_factory.mktemp("shared") / "other"
    return AuthServer(shared_processes, folder, cluster_name="elsewhere.example.net").start()


def make_victim(make_agent: AgentFactory, rogue: RogueServer, auth: AuthServer, *flags: str) -> Agent:
    """Return an agent of the cluster whose way there leads to somebody else."""
    agent = make_agent(auth, f"--token={TOKEN}", *flags, name="victim")
    agent.auth_server = rogue.address
    return agent


def assert_never_asked(auth: AuthServer, agent: Agent) -> None:
    """The auth server has not even refused it."""
    assert [event for event in auth.read_audit() if event.get("node_name") == agent.name] == []


def test_hostile_50_a_false_pin_keeps_the_token_at_home(auth: AuthServer, make_agent: AgentFactory) -> None:
    agent = make_agent(auth, f"--token={TOKEN}", f"--ca-pin={FALSE_PIN}", name="false-pin").start()

    agent.process.wait_for_log("which is none of the CA pins given")

    assert auth.get_pin() in agent.process.log
    assert "rotated" in agent.process.log
    assert agent.process.fetch("/readyz")[0] == 400
    assert_never_asked(auth, agent)


def test_hostile_50_the_pin_of_another_cluster_keeps_the_token_at_home(
    auth: AuthServer, other_auth: AuthServer, make_agent: AgentFactory
) -> None:
    agent = make_agent(auth, f"--token={TOKEN}", f"--ca-pin={other_auth.get_pin()}", name="foreign-pin").start()

    agent.process.wait_for_log("which is none of the CA pins given")

    assert_never_asked(auth, agent)


def test_hostile_50_without_a_pin_nobody_is_even_called(auth: AuthServer, make_agent: AgentFactory) -> None:
    with RogueServer(CLUSTER_NAME) as rogue:
        agent = make_victim(make_agent, rogue, auth).start()

        agent.process.wait_for_log("nothing says which auth server is the right one, so the token is not sent")

        assert rogue.connections == 0


def test_hostile_50_a_server_with_its_own_ca_gets_no_token(
    auth: AuthServer, pin: str, make_agent: AgentFactory
) -> None:
    with RogueServer(CLUSTER_NAME) as rogue:
        agent = make_victim(make_agent, rogue, auth, f"--ca-pin={pin}").start()

        agent.process.wait_for_log("which is none of the CA pins given")

        assert rogue.received.startswith(b"GET /v1/trust HTTP/1.1\r\n")
        assert_told_nothing(rogue)


def test_hostile_50_a_server_that_shows_the_true_ca_without_being_of_it_gets_no_token(
    auth: AuthServer, pin: str, make_agent: AgentFactory
) -> None:
    with RogueServer(CLUSTER_NAME, shown=auth.admin.host_ca_certificates) as rogue:
        agent = make_victim(make_agent, rogue, auth, f"--ca-pin={pin}").start()

        agent.process.wait_for_log("the server's certificate is not trusted")

        assert_told_nothing(rogue)


def test_hostile_50_a_connection_that_breaks_after_the_check_is_not_replaced(
    auth: AuthServer, make_agent: AgentFactory
) -> None:
    with RogueServer(CLUSTER_NAME, hangs_up=True) as rogue:
        agent = make_victim(make_agent, rogue, auth, f"--ca-pin={rogue.pin}").start()

        agent.process.wait_for_log("cannot join: ")

        assert rogue.connections > 0
        assert_told_nothing(rogue)


def test_hostile_50_a_server_outside_the_ca_file_gets_nothing_at_all(
    auth: AuthServer, make_agent: AgentFactory
) -> None:
    with RogueServer(CLUSTER_NAME) as rogue:
        agent = make_victim(make_agent, rogue, auth)
        put_ca_file(agent, auth)
        agent.start()

        agent.process.wait_for_log("does not come from the cluster that is trusted here")

        assert rogue.received == b""


def assert_told_nothing(rogue: RogueServer) -> None:
    assert TOKEN.encode() not in rogue.received
    assert b"/v1/join" not in rogue.received
    assert b"CERTIFICATE REQUEST" not in rogue.received


def put_ca_file(agent: Agent, auth: AuthServer) -> None:
    agent.data_dir.mkdir()
    (agent.data_dir / "ca.cert").write_text("".join(auth.admin.host_ca_certificates))


def test_a_ca_file_is_as_good_as_a_pin(auth: AuthServer, make_agent: AgentFactory) -> None:
    agent = make_agent(auth, f"--token={auth.add_token()}", name="with-ca-file")
    put_ca_file(agent, auth)

    agent.start().wait_until_ready()


def test_a_pin_in_a_file_is_as_good_as_a_pin(auth: AuthServer, pin: str, make_agent: AgentFactory) -> None:
    agent = make_agent(auth, f"--token={auth.add_token()}", name="with-pin-file")
    file = agent.folder / "pin"
    file.write_text(pin + "\n")

    agent.start(*agent.flags, f"--ca-pin={file}").wait_until_ready()


def test_who_is_told_to_trust_anybody_joins_without_a_pin(auth: AuthServer, make_agent: AgentFactory) -> None:
    agent = make_agent(auth, f"--token={auth.add_token()}", "--insecure-skip-ca-pin", name="careless")

    agent.start().wait_until_ready()


def test_a_pin_that_is_none_is_an_error_at_start(auth: AuthServer, make_agent: AgentFactory) -> None:
    agent = make_agent(auth, f"--token={TOKEN}", "--ca-pin=sha256:1234", name="mistyped").start()

    assert agent.process.wait_for_end() == 1
    assert "ERROR: " in agent.process.log
    assert TOKEN not in agent.process.log


def test_an_agent_with_another_clusters_data_is_told_to_start_afresh(
    auth: AuthServer, other_auth: AuthServer, pin: str, make_agent: AgentFactory
) -> None:
    agent = make_agent(auth, f"--token={auth.add_token()}", f"--ca-pin={pin}", name="moved").start()
    agent.wait_until_ready().process.stop()
    agent.auth_server = other_auth.address
    before = agent.state.read_bytes()

    agent.start(f"--token={other_auth.add_token()}", f"--ca-pin={other_auth.get_pin()}")

    agent.process.wait_for_log("is of another cluster")
    agent.process.wait_for_status(503)
    assert "stop, remove it" in agent.process.log
    assert agent.state.read_bytes() == before
    assert_never_asked(other_auth, agent)


def test_hostile_50_a_pin_dies_with_its_ca(make_auth: AuthFactory, make_agent: AgentFactory) -> None:
    auth = make_auth().start()
    old_pin, token = auth.get_pin(), auth.add_token()
    auth.process.stop()
    add_trusted_keys(auth)
    auth.start()
    both = [line.split()[-1] for line in auth.tctl("status").splitlines() if line.startswith("CA pin")]
    assert len(both) == 2

    with_old = make_agent(auth, f"--token={token}", f"--ca-pin={old_pin}", name="old").start()
    with_old.process.wait_for_log("old pins dead")
    make_agent(auth, f"--token={token}", *(f"--ca-pin={each}" for each in both), name="both").start().wait_until_ready()
    auth.process.stop()
    swap_keys(auth)
    drop_trusted_keys(auth)
    auth.start()
    new_pin = auth.get_pin()
    with_new = make_agent(auth, f"--token={token}", f"--ca-pin={new_pin}", name="new").start()

    with_new.wait_until_ready()
    assert new_pin in both
    assert new_pin != old_pin
    assert {event["node_name"] for event in auth.read_audit("instance.join")} == {"both", "new"}
