"""What an agent does over its life: it joins once, remembers, says what it serves, and tells the truth of itself."""

import asyncio
import json
import signal
import ssl
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from support.authorities import add_trusted_keys, drop_trusted_keys, swap_keys
from support.clock import FakeClock
from support.cluster import Agent, AgentFactory, AuthFactory, AuthServer
from support.processes import wait_until
from support.secrecy import assert_untold
from teleport.agent import server as agent_server
from teleport.agent.state import FileState
from teleport.cli.teleport.joiners import build_joiner
from teleport.clock import SystemClock
from teleport.config.settings import JoinParams, ServiceSettings, Settings
from teleport.pki.leaf import LeafIdentity, parse_leaf
from teleport.resources.role import SystemRole
from teleport.resources.strict_yaml import render_yaml
from teleport.web.readiness import Readiness, State


def join(auth: AuthServer, pin: str, make_agent: AgentFactory, name: str, roles: str = "node") -> Agent:
    """Return an agent that has joined."""
    agent = make_agent(auth, f"--token={auth.add_token(roles)}", f"--ca-pin={pin}", name=name, roles=roles)
    return agent.start().wait_until_ready()


def wait_for_record(auth: AuthServer, agent: Agent, kind: str = "node") -> None:
    wait_until(lambda: agent.name in auth.list_hostnames(kind), f"{agent.name} is listed as {kind}")


def list_joins(auth: AuthServer, agent: Agent) -> list[bool]:
    """Return the outcome of every attempt of the host to join."""
    return [event["success"] for event in auth.read_audit("instance.join") if event.get("node_name") == agent.name]


def read_leaf(agent: Agent, role: str = "Instance") -> LeafIdentity:
    pem = agent.read_state()["joined"]["certificates"][role]["tls_certificate"]
    return parse_leaf(ssl.PEM_cert_to_DER_cert(pem))


def write_config(agent: Agent, **sections: object) -> Path:
    config = agent.folder / "agent.yaml"
    config.write_text(render_yaml({"version": "v3", **sections}))
    return config


def test_an_identity_from_before_makes_the_token_meaningless(
    auth: AuthServer, pin: str, make_agent: AgentFactory
) -> None:
    agent = join(auth, pin, make_agent, "remembering")
    host_id = agent.host_id
    agent.process.stop()

    agent.start("--token=a-wrong-token-of-the-test").wait_until_ready()

    assert agent.host_id == host_id
    assert list_joins(auth, agent) == [True]


def test_an_agent_without_identity_or_token_says_what_it_lacks(auth: AuthServer, make_agent: AgentFactory) -> None:
    agent = make_agent(auth, name="empty").start()

    assert agent.process.wait_for_end() == 1
    assert "has not joined a cluster yet and has no token" in agent.process.log


def test_goodbye_removes_the_records_at_once(auth: AuthServer, pin: str, make_agent: AgentFactory) -> None:
    agent = join(auth, pin, make_agent, "leaving")
    wait_for_record(auth, agent)

    assert agent.process.stop() == 0

    assert "leaving" not in auth.list_hostnames()
    assert agent.host_id not in [each["metadata"]["name"] for each in auth.list_resources("instance")]


def test_a_killed_agent_stays_listed_until_its_record_expires(
    auth: AuthServer, pin: str, make_agent: AgentFactory
) -> None:
    agent = join(auth, pin, make_agent, "vanished")
    wait_for_record(auth, agent)

    agent.process.kill()

    record = next(each for each in auth.list_resources("node") if each["spec"]["hostname"] == "vanished")
    assert record["metadata"]["expires"]


def test_a_label_of_a_command_shows_early_when_it_changes(auth: AuthServer, pin: str, make_agent: AgentFactory) -> None:
    agent = make_agent(auth, f"--token={auth.add_token()}", f"--ca-pin={pin}", name="labelled")
    weather = agent.folder / "weather"
    weather.write_text("sun\n")
    command = {"name": "weather", "command": ["cat", str(weather)], "period": "1s"}
    config = write_config(agent, ssh_service={"commands": [command]})
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
    wait_for_record(auth, agent, "app_server")
    wait_for_record(auth, agent)


def test_a_role_that_no_token_grants_leaves_the_others_at_work(
    auth: AuthServer, pin: str, make_agent: AgentFactory
) -> None:
    agent = join(auth, pin, make_agent, "overreaching")
    agent.process.stop()
    agent.roles = "node,db"

    agent.start("--token=a-wrong-token-of-the-test")

    agent.process.wait_for_log("service db cannot start")
    assert "db: service db cannot start" in agent.process.wait_for_status(503)
    wait_for_record(auth, agent)
    assert list_joins(auth, agent) == [True, False]
    assert_untold(auth, "a-wrong-token-of-the-test", agents=[agent])


def test_several_services_of_a_process_join_once(auth: AuthServer, pin: str, make_agent: AgentFactory) -> None:
    roles = "node,app,discovery,windowsdesktop"

    agent = join(auth, pin, make_agent, "manifold", roles)

    wait_for_record(auth, agent)
    wait_for_record(auth, agent, "discovery_service")
    assert list_joins(auth, agent) == [True]
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


def test_readiness_follows_the_auth_server(make_auth: AuthFactory, make_agent: AgentFactory) -> None:
    auth = make_auth().start()
    agent = make_agent(auth, f"--token={auth.add_token()}", f"--ca-pin={auth.get_pin()}")
    ticking = {"name": "now", "command": ["date", "+%N"], "period": "1s"}
    config = write_config(agent, ssh_service={"commands": [ticking]})
    auth.process.stop()

    agent.start(*agent.flags, f"--config={config}")
    agent.process.wait_for_status(400)
    agent.process.wait_for_log(f"cannot join: cannot talk to {auth.address}: Connection refused")
    auth.start()
    agent.process.wait_for_status(200)
    auth.process.stop()
    agent.process.wait_for_status(503)
    auth.start()
    agent.process.wait_for_status(200)

    wait_for_record(auth, agent)


async def test_an_agent_at_rest_notices_that_auth_is_gone_and_back_with_new_trust(
    make_auth: AuthFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_server, "TRUST_PERIOD", timedelta(milliseconds=200))
    auth = make_auth().start()
    clock, states = FakeClock(), FileState(tmp_path / "agent")
    settings = Settings(
        nodename="at-rest",
        auth_server=auth.address,
        join_params=JoinParams(method="token", token_name=await asyncio.to_thread(auth.add_token)),
        ca_pins=(auth.get_pin(),),
        services=(ServiceSettings(SystemRole.NODE),),
    )
    joiner = build_joiner(settings, None, auth.address, SystemClock())
    readiness = Readiness(clock)
    life = asyncio.create_task(
        agent_server.Agent(
            settings, address=auth.address, joiner=joiner, states=states, readiness=readiness, clock=SystemClock()
        ).run()
    )

    async def reach(state: State) -> None:
        await asyncio.to_thread(wait_until, lambda: readiness.state is state, f"the agent is {state.name}")

    await reach(State.OK)
    await asyncio.to_thread(auth.process.stop)
    await reach(State.DEGRADED)
    await asyncio.to_thread(add_trusted_keys, auth)
    await asyncio.to_thread(auth.start)
    await reach(State.RECOVERING)
    clock.advance(timedelta(seconds=11))
    await reach(State.OK)

    trusted = auth.admin.host_ca_certificates
    await asyncio.to_thread(wait_until, lambda: trusts(states, trusted), "the agent trusts both CAs")
    assert len(trusted) == 2
    life.cancel()
    with suppress(asyncio.CancelledError):
        await life


def trusts(states: FileState, authorities: tuple[str, ...]) -> bool:
    joined = states.load().joined
    return joined is not None and joined.trust.tls["host"] == authorities


def test_an_agent_is_known_by_its_old_ca_until_that_is_dropped(
    make_auth: AuthFactory, make_agent: AgentFactory
) -> None:
    auth = make_auth().start()
    agent = make_agent(auth, f"--token={auth.add_token()}", f"--ca-pin={auth.get_pin()}").start().wait_until_ready()
    agent.process.stop()
    auth.process.stop()
    add_trusted_keys(auth)
    auth.start()
    agent.start().process.wait_for_log("the cluster's authorities have changed")
    agent.process.stop()
    auth.process.stop()
    swap_keys(auth)
    auth.start()
    agent.start().wait_until_ready()
    agent.process.stop()
    auth.process.stop()
    drop_trusted_keys(auth)
    auth.start()

    agent.start().process.wait_for_status(503)

    assert auth.list_hostnames() == []
    assert list_joins(auth, agent) == [True]


def test_keys_from_before_a_crash_are_the_ones_that_join(make_auth: AuthFactory, make_agent: AgentFactory) -> None:
    auth = make_auth().start()
    agent = make_agent(auth, f"--token={auth.add_token()}", f"--ca-pin={auth.get_pin()}")
    auth.process.stop()
    agent.start().process.wait_for_log("cannot join: ")
    agent.process.kill()
    pending = agent.read_state()["pending_keys"]

    auth.start()
    agent.start().wait_until_ready()

    assert agent.read_state()["joined"]["keys"]["Instance"] == pending
    assert agent.read_state()["pending_keys"] is None
    assert list_joins(auth, agent) == [True]


def test_auth_and_a_node_in_one_process_need_no_token(make_auth: AuthFactory) -> None:
    auth = make_auth(sections={"ssh_service": {"enabled": "yes"}}).start()

    wait_until(lambda: auth.list_hostnames() == ["auth"], "the node beside auth is listed")

    state = json.loads((auth.data_dir / "proc" / "state.json").read_text())
    assert state["joined"]["host_id"] == (auth.data_dir / "host_uuid").read_text().strip()


def test_sighup_restarts_in_place_with_the_configuration_read_anew(
    auth: AuthServer, pin: str, make_agent: AgentFactory
) -> None:
    agent = make_agent(auth, f"--token={auth.add_token()}", f"--ca-pin={pin}", name="restarted")
    config = write_config(agent, ssh_service={"labels": {"colour": "red"}})
    agent.start(*agent.flags, f"--config={config}").wait_until_ready()
    wait_until(lambda: {"colour": "red"} in auth.list_labels(), "the label is listed")
    pid = agent.process.pid
    write_config(agent, ssh_service={"labels": {"colour": "green"}})

    agent.process.send(signal.SIGHUP)

    wait_until(lambda: {"colour": "green"} in auth.list_labels(), "the new label is listed")
    assert agent.process.pid == pid
    assert agent.process.is_alive()
    assert list_joins(auth, agent) == [True]


def test_the_pid_file_is_there_as_long_as_the_process(auth: AuthServer, pin: str, make_agent: AgentFactory) -> None:
    agent = make_agent(auth, f"--token={auth.add_token()}", f"--ca-pin={pin}", name="numbered")
    pid_file = agent.folder / "pid"
    agent.start(*agent.flags, f"--pid-file={pid_file}").wait_until_ready()
    assert pid_file.read_text() == f"{agent.process.pid}\n"

    assert agent.process.stop() == 0

    assert not pid_file.exists()


def test_sigterm_ends_an_agent_that_waits_for_auth(make_auth: AuthFactory, make_agent: AgentFactory) -> None:
    agent = make_agent(make_auth(), "--token=a-wrong-token-of-the-test", "--insecure-skip-ca-pin").start()
    agent.process.wait_for_log("cannot join: ")

    assert agent.process.stop() == 0
