"""How an agent fares while its auth server is away, comes back, or changes its authorities."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from support.authorities import add_trusted_keys, drop_trusted_keys, swap_keys
from support.clock import FakeClock
from support.cluster import AgentFactory, AuthFactory
from support.processes import wait_until
from teleport.agent import server as agent_server
from teleport.agent.state import FileState
from teleport.cli.teleport.joiners import build_joiner
from teleport.clock import SystemClock
from teleport.config.settings import JoinParams, ServiceSettings, Settings
from teleport.resources.role import SystemRole
from teleport.web.readiness import Readiness, State


def test_readiness_follows_the_auth_server(make_auth: AuthFactory, make_agent: AgentFactory) -> None:
    auth = make_auth().start()
    agent = make_agent(auth, f"--token={auth.add_token()}", f"--ca-pin={auth.get_pin()}")
    ticking = {"name": "now", "command": ["date", "+%N"], "period": "1s"}
    config = agent.configure(ssh_service={"commands": [ticking]})
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

    auth.wait_for_record(agent.name)


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
            settings, way=auth.address, joiner=joiner, states=states, readiness=readiness, clock=SystemClock()
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
    joined = asyncio.run(states.load()).joined
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
    assert auth.list_joins(agent.name) == [True]


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
    assert auth.list_joins(agent.name) == [True]


def test_sigterm_ends_an_agent_that_waits_for_auth(make_auth: AuthFactory, make_agent: AgentFactory) -> None:
    agent = make_agent(make_auth(), "--token=a-wrong-token-of-the-test", "--insecure-skip-ca-pin").start()
    agent.process.wait_for_log("cannot join: ")

    assert agent.process.stop() == 0
