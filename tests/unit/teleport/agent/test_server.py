import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from support.auth import SECRET, InProcessAuth, build_host
from support.auth_client import InProcessClient, InProcessJoiner, RememberedState
from support.virtual_time import run_in_virtual_time, seconds
from teleport.agent.membership import Membership
from teleport.agent.memory import AgentState
from teleport.agent.server import INSTANCE, STATE, Agent
from teleport.api.host import Host
from teleport.api.joined import Joined, build_joined, generate_keys
from teleport.config.settings import ServiceSettings, Settings
from teleport.errors import (
    BadParameter,
    ConnectionFailed,
    JoinRefused,
    MembershipEnded,
    StorageError,
    TrustError,
    Unavailable,
    VersionRefused,
)
from teleport.resources.address import Address
from teleport.resources.role import SystemRole
from teleport.web.readiness import Readiness, State

NODE, APP = SystemRole.NODE, SystemRole.APP
SERVICES = (ServiceSettings(role=NODE), ServiceSettings(role=APP))


class Living:
    """An agent, its auth server and what it remembers."""

    def __init__(self, auth: InProcessAuth, state: AgentState | None = None, *, has_token: bool = True) -> None:
        self.auth = auth
        self.states = RememberedState(state)
        self.joiner = InProcessJoiner(auth, SECRET)
        self.readiness = Readiness(auth.clock)
        self.agent = Agent(
            Settings(nodename="web-1", services=SERVICES),
            way=Address("auth", 3025),
            joiner=self.joiner if has_token else None,
            states=self.states,
            readiness=self.readiness,
            clock=auth.clock,
        )


async def start(*roles: SystemRole, has_token: bool = True, state: AgentState | None = None) -> Living:
    auth = await InProcessAuth.start(host_cert_ttl=timedelta(hours=1))
    await auth.add_token(SECRET, *(roles or (NODE, APP)))
    return Living(auth, state, has_token=has_token)


async def join_before(living: Living) -> AgentState:
    keys = generate_keys()
    return AgentState(joined=build_joined(keys, await living.auth.join(keys=keys)))


def test_hostile_20_an_agent_comes_back_when_auth_says_so() -> None:
    async def work() -> float:
        living = await start()
        living.joiner.fail_next(Unavailable("Kubernetes does not answer at present", timedelta(seconds=20)))
        await living.agent._obtain_identity()
        return seconds()

    assert 20 <= run_in_virtual_time(work()) <= 30


async def test_store_001_an_identity_from_before_needs_no_token() -> None:
    living = await start()
    living.states.state = await join_before(living)
    living.joiner.fail_next(JoinRefused("token_expired", "of no interest"))
    assert await living.agent._obtain_identity() == living.states.state.joined
    assert living.joiner.keys == []


async def test_without_identity_and_token_there_is_nothing_to_do() -> None:
    living = await start(has_token=False)
    with pytest.raises(BadParameter, match=r"set teleport\.join_params"):
        await living.agent._obtain_identity()


async def test_keys_are_remembered_before_they_are_shown() -> None:
    living = await start()
    joined = await living.agent._obtain_identity()
    assert living.states.history == [AgentState(pending_keys=living.joiner.keys[0])]
    assert joined.keys[SystemRole.INSTANCE] == living.joiner.keys[0]


def test_without_its_state_an_agent_waits_and_shows_no_key_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> tuple[Living, list[int]]:
        living = await start()
        away = [Unavailable("Kubernetes is away")] * 3
        living.states.fail_next(*away)
        task = asyncio.create_task(living.agent._obtain_identity())
        await asyncio.sleep(0.1)
        assert "state: Kubernetes is away" in living.readiness.report().text
        living.states.fail_next(*away)
        await asyncio.sleep(1)
        joins = [len(living.joiner.keys)]
        await task
        return living, [*joins, len(living.joiner.keys)]

    living, joins = run_in_virtual_time(work())
    assert joins == [0, 1]
    assert caplog.text.count("the agent's state: Kubernetes is away") == 6
    assert living.states.state.pending_keys == living.joiner.keys[0]


async def test_a_state_that_is_somebody_else_s_ends_the_agent_before_it_shows_a_key() -> None:
    living = await start()
    living.states.fail_next(StorageError("another process has written"))
    with pytest.raises(StorageError):
        await living.agent._obtain_identity()
    assert living.joiner.keys == []


async def test_hostile_52_an_agent_that_died_while_it_joined_asks_again_with_the_same_keys() -> None:
    living = await start()
    pending = generate_keys()
    living.states.state = AgentState(pending_keys=pending)
    await living.agent._obtain_identity()
    assert living.joiner.keys == [pending]


def test_a_join_that_fails_is_tried_again_with_the_same_keys_and_longer_waits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work() -> tuple[Living, float]:
        living = await start()
        living.joiner.fail_next(
            ConnectionFailed("cannot talk to auth:3025"), JoinRefused("refused", "x"), TrustError("no pin")
        )
        await living.agent._obtain_identity()
        return living, seconds()

    caplog.set_level(logging.ERROR)
    living, waited = run_in_virtual_time(work())
    assert len(living.joiner.keys) == 4
    assert all(keys == living.joiner.keys[0] for keys in living.joiner.keys)
    assert 3.5 <= waited <= 7
    assert "What to do" in caplog.text
    assert SECRET not in caplog.text


async def test_a_server_that_is_too_old_ends_the_agent() -> None:
    living = await start()
    living.joiner.fail_next(VersionRefused("too old"))
    with pytest.raises(VersionRefused):
        await living.agent._obtain_identity()


async def test_an_identity_that_is_over_is_replaced_by_joining_anew() -> None:
    living = await start()
    living.states.state = before = await join_before(living)
    await living.auth.add_token("another-token-for-later", expires=living.auth.clock.now() + timedelta(days=2))
    living.auth.clock.advance(timedelta(hours=1, seconds=1))
    await living.auth.add_token(SECRET, NODE)
    joined = await living.agent._obtain_identity()
    assert before.joined is not None
    assert joined.host_id != before.joined.host_id


@pytest.mark.parametrize(
    "certificate", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"]
)
async def test_a_damaged_identity_is_said_and_not_a_crash(certificate: str) -> None:
    living = await start()
    joined = (await join_before(living)).joined
    assert joined is not None
    broken = joined.certificates[SystemRole.INSTANCE].model_copy(update={"tls_certificate": certificate})
    living.states.state = AgentState(joined=joined.model_copy(update={"certificates": {SystemRole.INSTANCE: broken}}))
    with pytest.raises(StorageError, match="remove it to join anew"):
        await living.agent._obtain_identity()


async def keep_membership(living: Living, *covered: SystemRole) -> InProcessClient:
    joined = await living.agent._obtain_identity()
    membership = Membership(joined, states=living.states, hostname="web-1", is_new=living.agent._has_joined_now)
    client = InProcessClient(living.auth, build_host(*covered, host_id=joined.host_id))
    task = asyncio.create_task(living.agent._keep_membership(membership, client))
    await asyncio.sleep(100)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return client


def test_services_are_declared_once_they_have_certificates() -> None:
    async def work() -> Living:
        living = await start()
        assert living.agent._build_records() == []
        await keep_membership(living, NODE, APP)
        return living

    living = run_in_virtual_time(work())
    living.readiness.succeed(STATE)
    assert [record["kind"] for record in living.agent._build_records()] == ["node"]  # there is no application to serve
    living.readiness.succeed(INSTANCE)
    assert living.readiness.state is State.OK


def test_a_service_that_gets_no_certificate_makes_the_process_unready_and_stops_no_other() -> None:
    async def work() -> tuple[Living, InProcessClient]:
        living = await start(NODE)
        return living, await keep_membership(living, NODE)

    living, client = run_in_virtual_time(work())
    living.readiness.succeed(INSTANCE)
    report = living.readiness.report()
    assert report.state is State.DEGRADED
    assert "service app cannot start" in report.text
    assert [record["kind"] for record in living.agent._build_records()] == ["node"]
    assert client.names().count("trust_bundle") >= 3
    assert len(living.joiner.keys) == 1  # the token that it joined with is not for that role; again it would not be


def test_the_trust_of_the_cluster_is_followed_within_half_a_minute() -> None:
    async def work() -> tuple[Living, InProcessClient]:
        living = await start()
        return living, await keep_membership(living, NODE, APP)

    _, client = run_in_virtual_time(work())
    assert 4 <= client.names().count("trust_bundle") <= 6


def test_trouble_is_told_with_what_to_do() -> None:
    async def work() -> Living:
        living = await start()
        joined = await living.agent._obtain_identity()
        membership = Membership(joined, states=living.states, hostname="web-1")
        client = InProcessClient(living.auth, build_host(NODE, APP))
        client.fail_next(TrustError("the certificate of auth:3025 does not come from the cluster"))
        task = asyncio.create_task(living.agent._keep_membership(membership, client))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return living

    assert "is of another cluster" in run_in_virtual_time(work()).readiness.report().text


async def test_a_process_whose_membership_has_ended_joins_anew_as_somebody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    living = await start()
    living.states.state = before = await join_before(living)
    lives: list[Joined] = []

    async def live(joined: Joined) -> None:
        lives.append(joined)
        if len(lives) == 1:
            raise ExceptionGroup("tasks", [MembershipEnded("its pod has ended"), MembershipEnded("its pod has ended")])
        raise ExceptionGroup("tasks", [StorageError("ends the test")])

    monkeypatch.setattr(living.agent, "_live", live)
    with pytest.raises(ExceptionGroup, match="tasks"):
        await living.agent.run()
    assert before.joined is not None
    assert lives[0] == before.joined
    assert lives[1].host_id != before.joined.host_id
    assert living.states.history == [AgentState(pending_keys=living.joiner.keys[0])]
    assert living.joiner.keys[0] != before.joined.keys[SystemRole.INSTANCE]


async def test_without_a_token_the_end_of_the_membership_is_the_end_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    living = await start(has_token=False)
    living.states.state = await join_before(living)

    async def live(_: Joined) -> None:
        raise ExceptionGroup("tasks", [MembershipEnded("its pod has ended")])

    monkeypatch.setattr(living.agent, "_live", live)
    with pytest.raises(BadParameter, match="no member of a cluster"):
        await living.agent.run()


class FakeRunner:
    """Serves until it is cancelled, and remembers for whom."""

    role = NODE

    def __init__(self) -> None:
        self.hosts: list[str] = []
        self.serving = 0

    async def run(self, host: Host) -> None:
        self.hosts.append(host.host_id)
        assert host.identity(NODE).tls_certificate
        assert host.cluster_name == host.trust.cluster_name
        self.serving += 1
        try:
            await host.wait_for_change()
        finally:
            self.serving -= 1
        raise MembershipEnded("its pod has ended")


def test_a_runner_serves_while_its_role_is_certified_and_anew_for_another_membership(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work() -> tuple[FakeRunner, list[int], State]:
        living, runner = await start(), FakeRunner()
        agent = Agent(
            Settings(nodename="web-1", services=(ServiceSettings(role=NODE),)),
            way=Address("auth", 3025),
            joiner=living.joiner,
            states=living.states,
            readiness=living.readiness,
            clock=living.auth.clock,
            runners=[runner],
        )

        @asynccontextmanager
        async def open_client(*_: object, **__: object) -> AsyncIterator[InProcessClient]:
            yield InProcessClient(living.auth, build_host(NODE))

        memberships: list[Membership] = []
        build = Membership.__init__

        def remember(membership: Membership, *arguments: Any, **fields: Any) -> None:
            memberships.append(membership)
            build(membership, *arguments, **fields)

        monkeypatch.setattr("teleport.agent.server.open_client", open_client)
        monkeypatch.setattr(Membership, "__init__", remember)
        task = asyncio.create_task(agent.run())
        await asyncio.sleep(5)
        seen = [runner.serving]
        memberships[-1]._remember(memberships[-1].joined)  # a change, at which this runner says that all is over
        await asyncio.sleep(60)
        seen.append(runner.serving)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return runner, [*seen, runner.serving], living.readiness.state

    runner, serving, state = run_in_virtual_time(work())
    assert serving == [1, 1, 0]
    first, second = runner.hosts
    assert first != second
    assert state is not State.OK, "that the service works is its own to say"


@pytest.mark.parametrize("operation", ["host_certificates", "trust_bundle"])
def test_the_end_of_the_membership_is_not_waited_out(operation: str) -> None:
    async def work() -> None:
        living = await start()
        joined = await living.agent._obtain_identity()
        membership = Membership(joined, states=living.states, hostname="web-1")
        client = InProcessClient(living.auth, build_host(NODE, APP))
        if operation == "trust_bundle":
            for service in living.agent._services:
                service.certified = True
        client.fail_next(MembershipEnded("its pod has ended"))
        with pytest.raises(MembershipEnded):
            await living.agent._keep_membership(membership, client)
        assert client.names() == [operation]

    run_in_virtual_time(work())
