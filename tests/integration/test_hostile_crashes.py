"""Hostile input 52: auth is stopped and killed while services join, at any moment and again and again."""

import asyncio
import os
import random
import signal
import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field

import orjson
import pytest

from support.cluster import PATIENT, AgentFactory, AuthFactory, AuthServer
from support.forked_auth import ForkingAuth
from support.processes import wait_until
from support.strangers import Stranger
from teleport.api.client import connect
from teleport.api.messages import JoinResponse, ResourceRequest
from teleport.api.operations import RESOURCE_CREATE
from teleport.errors import AlreadyExists, ConnectionFailed, JoinRefused, Unavailable

KILLS = int(os.environ.get("SOAK", "200"))
CONTESTS = 3
HOSTS = 3
LONGEST_LIFE = 0.2
"""Seconds from readiness to the kill, at most; some kills come before the first request, some amid many."""
SEED = 52


async def join_until_answered(stranger: Stranger, token: str, role: str = "Instance") -> JoinResponse | None:
    """Ask with the same keys until auth says yes, or no, which is None."""
    while True:
        try:
            return await stranger.join(token, role=role)
        except JoinRefused:
            return None
        except (ConnectionFailed, Unavailable):
            await asyncio.sleep(0.01)


@dataclass(slots=True)
class Load:
    """Those who join while auth dies, and what they were told."""

    auth: AuthServer
    authorities: tuple[str, ...]
    over: bool = False
    winners: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """The instance ids that each one-use token was said to be good for."""
    admitted: list[str] = field(default_factory=list)
    """The host ids that a token for many gave out."""

    async def run(self) -> None:
        """Join until it is over; whoever has begun comes to an end."""
        contests = [self._contest(number) for number in range(CONTESTS)]
        await asyncio.gather(*contests, *(self._join_as_hosts() for _ in range(HOSTS)))

    async def _contest(self, number: int) -> None:
        """Let two keys fight for one-use tokens, one token after another."""
        round_number = 0
        while not self.over:
            token = f"one-use-token-{number}-{round_number:05}"
            round_number += 1
            await self._create(token)
            rivals = [self._make_stranger() for _ in range(2)]
            answers = await asyncio.gather(*(join_until_answered(rival, token, "Bot") for rival in rivals))
            self.winners[token] += [answer.host_id for answer in answers if answer is not None]

    async def _join_as_hosts(self) -> None:
        while not self.over:
            answer = await join_until_answered(self._make_stranger(), MANY)
            assert answer is not None, "a token for many was refused"
            self.admitted.append(answer.host_id)

    async def _create(self, name: str) -> None:
        spec = {"roles": ["Bot"], "bot_name": "robot"}
        document = {"kind": "token", "version": "v2", "metadata": {"name": name}, "spec": spec}
        while True:
            try:
                async with connect(self.auth.address, self.auth.admin) as client:
                    await client.call(RESOURCE_CREATE, ResourceRequest(resource=document))
            except AlreadyExists:
                return
            except (ConnectionFailed, Unavailable):
                await asyncio.sleep(0.01)
            else:
                return

    def _make_stranger(self) -> Stranger:
        return Stranger(self.auth.address, self.authorities)


MANY = "a-token-for-many-hosts"


def read_ledger(auth: AuthServer) -> dict[str, set[str]]:
    """Return the hosts that the store knows to have joined, by what their token is filed under."""
    hosts: dict[str, set[str]] = defaultdict(set)
    with closing(sqlite3.connect(f"file:{auth.store}?mode=ro", uri=True)) as store:
        rows = store.execute("SELECT key, value FROM items WHERE key LIKE 'token_uses/%'").fetchall()
    for key, value in rows:
        _, host_id, _, _, outcome, _ = orjson.loads(value)
        if outcome == "success":
            hosts[key.split("/")[1]].add(host_id)
    return hosts


@pytest.mark.timeout(120 + 2 * KILLS)
def test_hostile_52_no_token_is_spent_twice_and_no_join_is_forgotten(make_auth: AuthFactory) -> None:
    auth = make_auth(teleport=PATIENT, auth_service={"tokens": [f"node:{MANY}"]})
    chance = random.Random(SEED)  # noqa: S311 - moments to kill at, no secret
    command = ["start", f"--config={auth.config}"]
    with ForkingAuth(command, log=auth.folder / "auth.log", diag_port=auth.process.diag.port) as forking:
        forking.start()
        load = Load(auth, auth.admin.host_ca_certificates)
        asyncio.run(kill_again_and_again(forking, load, chance))
        forking.stop()

    log = (auth.folder / "auth.log").read_text()
    assert "Traceback" not in log
    assert "ERROR" not in log
    ledger = read_ledger(auth)
    recorded = set().union(*ledger.values())
    assert len(load.winners) > KILLS / 10
    assert len(load.admitted) > KILLS / 10
    assert {len(ids) for ids in load.winners.values()} == {1}
    assert {ids[0] for ids in load.winners.values()} <= recorded
    assert set(load.admitted) <= recorded
    assert len(set(load.admitted)) == len(load.admitted)
    one_use = [hosts for hosts in ledger.values() if not hosts & set(load.admitted)]
    assert {len(hosts) for hosts in one_use} == {1}


async def kill_again_and_again(forking: ForkingAuth, load: Load, chance: random.Random) -> None:
    running = asyncio.create_task(load.run())
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0, LONGEST_LIFE))
        assert not running.done(), running.result()
        await asyncio.to_thread(forking.kill)
        await asyncio.to_thread(forking.start)
    load.over = True
    await running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_agents_get_in_with_the_keys_they_began_with_however_auth_ends(
    make_auth: AuthFactory, make_agent: AgentFactory, number: signal.Signals
) -> None:
    auth = make_auth().start()
    flags = (f"--token={auth.add_token()}", f"--ca-pin={auth.get_pin()}")
    agents = [make_agent(auth, *flags, name=f"agent-{index}") for index in range(3)]
    for index, agent in enumerate(agents):
        agent.start()
        wait_until(agent.read_state, "the agent has made its keys")
        if index < len(agents) - 1:
            auth.process.send(number)
            assert auth.process.wait_for_end() == (0 if number is signal.SIGTERM else -signal.SIGKILL)
            auth.start()

    for agent in agents:
        agent.wait_until_ready()

    wait_until(lambda: len(auth.list_hostnames()) == len(agents), "all agents are listed")
    joined = [event for event in auth.read_audit("instance.join") if event["success"]]
    assert {event["host_id"] for event in joined} >= {agent.host_id for agent in agents}
    for agent in agents:
        keys = [event["key_fingerprint"] for event in joined if event["node_name"] == agent.name]
        assert len(set(keys)) == 1
