"""What an agent does over its life: it joins once, remembers, says what it serves, and tells the truth of itself."""

import json
import signal
import ssl
from pathlib import Path

from support.cluster import Agent, AgentFactory, AuthFactory, AuthServer
from support.processes import wait_until
from support.secrecy import assert_untold
from teleport.pki.leaf import LeafIdentity, parse_leaf


def join(auth: AuthServer, pin: str, make_agent: AgentFactory, name: str, roles: str = "node") -> Agent:
    """Return an agent that has joined."""
    agent = make_agent(auth, f"--token={auth.add_token(roles)}", f"--ca-pin={pin}", name=name, roles=roles)
    return agent.start().wait_until_ready()


def read_leaf(agent: Agent, role: str = "Instance") -> LeafIdentity:
    pem = agent.read_state()["joined"]["certificates"][role]["tls_certificate"]
    return parse_leaf(ssl.PEM_cert_to_DER_cert(pem))


def test_an_identity_from_before_makes_the_token_meaningless(
    auth: AuthServer, pin: str, make_agent: AgentFactory
) -> None:
    agent = join(auth, pin, make_agent, "remembering")
    host_id = agent.host_id
    agent.process.stop()

    agent.start("--token=a-wrong-token-of-the-test").wait_until_ready()

    assert agent.host_id == host_id
    assert auth.list_joins(agent.name) == [True]


def test_an_agent_without_identity_or_token_says_what_it_lacks(auth: AuthServer, make_agent: AgentFactory) -> None:
    agent = make_agent(auth, name="empty").start()

    assert agent.process.wait_for_end() == 1
    assert "is no member of a cluster and has no token" in agent.process.log


def test_goodbye_removes_the_records_at_once(auth: AuthServer, pin: str, make_agent: AgentFactory) -> None:
    agent = join(auth, pin, make_agent, "leaving")
    auth.wait_for_record(agent.name)

    assert agent.process.stop() == 0

    assert "leaving" not in auth.list_hostnames()
    assert agent.host_id not in [each["metadata"]["name"] for each in auth.list_resources("instance")]


def test_a_killed_agent_stays_listed_until_its_record_expires(
    auth: AuthServer, pin: str, make_agent: AgentFactory
) -> None:
    agent = join(auth, pin, make_agent, "vanished")
    auth.wait_for_record(agent.name)

    agent.process.kill()

    record = next(each for each in auth.list_resources("node") if each["spec"]["hostname"] == "vanished")
    assert record["metadata"]["expires"]


def test_a_label_of_a_command_shows_early_when_it_changes(auth: AuthServer, pin: str, make_agent: AgentFactory) -> None:
    agent = make_agent(auth, f"--token={auth.add_token()}", f"--ca-pin={pin}", name="labelled")
    weather = agent.folder / "weather"
    weather.write_text("sun\n")
    command = {"name": "weather", "command": ["cat", str(weather)], "period": "1s"}
    config = agent.configure(ssh_service={"commands": [command]})
    agent.start(*agent.flags, f"--config={config}").wait_until_ready()
    wait_until(lambda: {"weather": "sun"} in auth.list_labels(), "the label is listed")

    weather.write_text("rain\n")

    wait_until(lambda: {"weather": "rain"} in auth.list_labels(), "the changed label is listed")


def test_a_second_token_adds_a_role_and_keeps_the_host(auth: AuthServer, pin: str, make_agent: AgentFactory) -> None:
    agent = join(auth, pin, make_agent, "growing")
    host_id = agent.host_id
    agent.process.stop()
    agent.roles = "node,app"

    app = ("--app-name=wiki", "--app-uri=http://localhost:8080")
    agent.start(f"--token={auth.add_token('app')}", *app).wait_until_ready()

    assert agent.host_id == host_id
    assert set(read_leaf(agent).system_roles) == {"App", "Node"}
    auth.wait_for_record(agent.name, "app_server")
    auth.wait_for_record(agent.name)


def test_a_role_that_no_token_grants_leaves_the_others_at_work(
    auth: AuthServer, pin: str, make_agent: AgentFactory
) -> None:
    agent = join(auth, pin, make_agent, "overreaching")
    agent.process.stop()
    agent.roles = "node,db"

    agent.start("--token=a-wrong-token-of-the-test")

    agent.process.wait_for_log("service db cannot start")
    assert "db: service db cannot start" in agent.process.wait_for_status(503)
    auth.wait_for_record(agent.name)
    assert auth.list_joins(agent.name) == [True, False]
    assert_untold(auth, "a-wrong-token-of-the-test", agents=[agent])


def test_a_token_for_fewer_roles_is_used_once_and_what_is_lacking_is_said(
    auth: AuthServer, pin: str, make_agent: AgentFactory
) -> None:
    token = auth.add_token("node", limits={"max_uses": 1})
    agent = make_agent(auth, f"--token={token}", f"--ca-pin={pin}", name="modest", roles="node,db").start()

    agent.process.wait_for_log("does not cover role Db; let its token be for that role too")

    auth.wait_for_record(agent.name)
    assert auth.list_joins(agent.name) == [True]
    assert "auth refused the join" not in agent.process.log


def test_several_services_of_a_process_join_once(auth: AuthServer, pin: str, make_agent: AgentFactory) -> None:
    roles = "node,app,discovery,windowsdesktop"

    agent = join(auth, pin, make_agent, "manifold", roles)

    auth.wait_for_record(agent.name)
    auth.wait_for_record(agent.name, "discovery_service")
    assert auth.list_joins(agent.name) == [True]
    assert set(agent.read_state()["joined"]["certificates"]) == {
        "Instance",
        "Node",
        "App",
        "Discovery",
        "WindowsDesktop",
    }
    assert {read_leaf(agent, role).name for role in ("Instance", "Node", "App")} == {agent.host_id}


def test_the_token_vanishes_from_the_process_list(auth: AuthServer, pin: str, make_agent: AgentFactory) -> None:
    token = auth.add_token()
    agent = make_agent(auth, f"--token={token}", f"--ca-pin={pin}", name="discreet").start().wait_until_ready()

    shown = Path(f"/proc/{agent.process.pid}/cmdline").read_bytes()

    assert token.encode() not in shown
    assert b"--token=[hidden]" in shown
    assert_untold(auth, token, agents=[agent])
    assert token not in agent.state.read_text()


def test_the_state_is_for_its_owner_only(auth: AuthServer, pin: str, make_agent: AgentFactory) -> None:
    agent = join(auth, pin, make_agent, "private")

    modes = {path.stat().st_mode & 0o777 for path in (agent.state, agent.state.parent)}

    assert modes == {0o600, 0o700}


def test_auth_and_a_node_in_one_process_need_no_token(make_auth: AuthFactory) -> None:
    auth = make_auth(sections={"ssh_service": {"enabled": "yes"}}).start()

    wait_until(lambda: auth.list_hostnames() == ["auth"], "the node beside auth is listed")

    state = json.loads((auth.data_dir / "proc" / "state.json").read_text())
    assert state["joined"]["host_id"] == (auth.data_dir / "host_uuid").read_text().strip()


def test_sighup_restarts_in_place_with_the_configuration_read_anew(
    auth: AuthServer, pin: str, make_agent: AgentFactory
) -> None:
    agent = make_agent(auth, f"--token={auth.add_token()}", f"--ca-pin={pin}", name="restarted")
    config = agent.configure(ssh_service={"labels": {"colour": "red"}})
    agent.start(*agent.flags, f"--config={config}").wait_until_ready()
    wait_until(lambda: {"colour": "red"} in auth.list_labels(), "the label is listed")
    pid = agent.process.pid
    agent.configure(ssh_service={"labels": {"colour": "green"}})

    agent.process.send(signal.SIGHUP)

    wait_until(lambda: {"colour": "green"} in auth.list_labels(), "the new label is listed")
    assert agent.process.pid == pid
    assert agent.process.is_alive()
    assert auth.list_joins(agent.name) == [True]


def test_the_pid_file_is_there_as_long_as_the_process(auth: AuthServer, pin: str, make_agent: AgentFactory) -> None:
    agent = make_agent(auth, f"--token={auth.add_token()}", f"--ca-pin={pin}", name="numbered")
    pid_file = agent.folder / "pid"
    agent.start(*agent.flags, f"--pid-file={pid_file}").wait_until_ready()
    assert pid_file.read_text() == f"{agent.process.pid}\n"

    assert agent.process.stop() == 0

    assert not pid_file.exists()
