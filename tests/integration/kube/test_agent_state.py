"""Agents that keep their state in a Secret of a real API server: what they remember, and what they do without it."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from support.agent_pod import AgentPod, is_possible, read_state, write_pod_files
from support.authorities import add_trusted_keys
from support.clock import FakeClock
from support.cluster import AgentFactory, AuthFactory, AuthServer
from support.kube_apiserver import KubeApiServer
from support.processes import wait_until
from support.secrecy import assert_untold
from teleport.agent import server as agent_server
from teleport.agent.state_choice import open_state
from teleport.cli.teleport.joiners import build_joiner
from teleport.clock import SystemClock
from teleport.config.settings import JoinParams, ServiceSettings, Settings
from teleport.resources.role import SystemRole
from teleport.web.readiness import Readiness, State

NUMBERS = count()
SECRET = "app-0-state"
WRONG_TOKEN = "--token=a-wrong-token-of-the-test"

PodFactory = Callable[..., AgentPod]


@pytest.fixture
def namespace(kubernetes: KubeApiServer) -> str:
    """A namespace of its own for each test, whose ServiceAccount may keep Secrets."""
    name = f"state-{next(NUMBERS)}"
    kubernetes.create_service_account(name, "app")
    kubernetes.allow_state(name, "app", SECRET)
    return name


@pytest.fixture
def make_pod(kubernetes: KubeApiServer, make_agent: AgentFactory, namespace: str, tmp_path: Path) -> PodFactory:
    """Makes pods, which are not started; all of them believe to be the replica `app-0`."""
    if not is_possible():
        pytest.skip("NOT TESTED: pods that keep their state in a Secret need the right to mount (unshare)")

    def make(auth: AuthServer, token: str, *, name: str = "app-0", into: str = namespace) -> AgentPod:
        agent = make_agent(auth, f"--token={token}", f"--ca-pin={auth.get_pin()}", name=f"{into}-{name}")
        return AgentPod(kubernetes, agent, namespace=into, folder=tmp_path / f"pod-{name}")

    return make


def test_a_pod_that_lost_its_disk_is_the_host_that_it_was_and_joins_no_more(
    auth: AuthServer, make_pod: PodFactory
) -> None:
    token = auth.add_token()
    pod = make_pod(auth, token)
    agent = pod.agent.start().wait_until_ready()
    before = pod.wait_for_state(joined=True)
    assert not agent.data_dir.exists()
    auth.tctl("tokens", "rm", token)
    agent.process.kill()

    agent.start(WRONG_TOKEN).wait_until_ready()

    assert pod.read_state() == before
    assert auth.list_joins(agent.name) == [True]
    assert_untold(auth, token, agents=[agent])


def test_store_003_the_secret_is_opaque_owned_by_the_release_and_of_the_replica(
    auth: AuthServer, make_pod: PodFactory
) -> None:
    pod = make_pod(auth, auth.add_token())
    pod.agent.start().wait_until_ready()
    found = pod.find_secret()
    assert found is not None
    metadata = found["metadata"]
    assert (metadata["name"], found["type"]) == ("app-0-state", "Opaque")
    assert set(found["data"]) == {"states.instance.state", "ids.instance.current", "ids.node.current"}
    assert metadata["labels"] == {"app.kubernetes.io/managed-by": "Helm"}
    assert metadata["annotations"] == {
        "meta.helm.sh/release-name": "agents",
        "meta.helm.sh/release-namespace": pod.namespace,
        "helm.sh/resource-policy": "keep",
    }
    assert {entry["manager"] for entry in metadata["managedFields"]} == {"app-0"}
    assert "Apply" in {entry["operation"] for entry in metadata["managedFields"]}


def test_hostile_52_a_pod_that_was_killed_while_it_joined_asks_again_with_the_same_key(
    make_auth: AuthFactory, make_pod: PodFactory
) -> None:
    auth = make_auth().start()
    pod = make_pod(auth, auth.add_token())
    auth.process.stop()
    pod.agent.start().process.wait_for_log("cannot join: ")
    pod.agent.process.kill()
    pending = pod.wait_for_state(joined=False).pending_keys

    auth.start()
    pod.agent.start().wait_until_ready()

    state = pod.read_state()
    assert state.joined is not None
    assert (state.joined.keys[SystemRole.INSTANCE], state.pending_keys) == (pending, None)
    assert auth.list_joins(pod.agent.name) == [True]


def test_an_identity_on_the_disk_is_copied_into_the_secret(auth: AuthServer, make_pod: PodFactory) -> None:
    pod = make_pod(auth, auth.add_token())
    runner, pod.agent.runner = pod.agent.runner, ()
    pod.agent.start().wait_until_ready()
    host_id = pod.agent.host_id
    assert "no ServiceAccount token is mounted" in pod.agent.process.log
    assert pod.find_secret() is None
    pod.agent.process.stop()

    pod.agent.runner = runner
    pod.agent.start(WRONG_TOKEN).wait_until_ready()
    pod.agent.process.stop()
    shutil.rmtree(pod.agent.data_dir)
    pod.agent.start(WRONG_TOKEN).wait_until_ready()

    joined = pod.read_state().joined
    assert joined is not None
    assert joined.host_id == host_id
    assert auth.list_joins(pod.agent.name) == [True]


def test_of_two_that_believe_to_be_the_same_replica_one_writes_and_the_other_is_told(
    make_auth: AuthFactory, make_pod: PodFactory
) -> None:
    auth = make_auth().start()
    pods = [make_pod(auth, auth.add_token(), name=name) for name in ("one", "other")]
    auth.process.stop()
    for pod in pods:
        pod.agent.start().process.wait_for_log("cannot join: ")

    auth.start()

    told = "another process has written into Secret"
    wait_until(lambda: [told in pod.agent.process.log for pod in pods].count(True) == 1, "one of them is told")
    loser, winner = sorted(pods, key=lambda pod: told in pod.agent.process.log, reverse=True)
    winner.agent.process.wait_for_status(200)
    assert "TELEPORT_REPLICA_NAME" in loser.agent.process.wait_for_status(503)
    before = winner.read_state()
    loser.agent.process.stop()
    loser.agent.start(WRONG_TOKEN).wait_until_ready()
    assert winner.read_state() == before


def test_without_the_right_no_pod_joins_and_it_does_when_the_right_is_there(
    auth: AuthServer, kubernetes: KubeApiServer, make_pod: PodFactory
) -> None:
    namespace = f"state-{next(NUMBERS)}"
    kubernetes.create_service_account(namespace, "app")
    pod = make_pod(auth, auth.add_token(), into=namespace)
    pod.agent.start()
    body = pod.agent.process.wait_for_status(503)
    assert f"kubectl create role {namespace}-app-state --namespace={namespace} " in body
    assert "--verb=get,create,patch --resource=secrets" in body
    assert f"--serviceaccount={namespace}:app" in body
    assert auth.list_joins(pod.agent.name) == []
    assert not pod.agent.data_dir.exists()

    kubernetes.allow_state(namespace, "app", SECRET)

    pod.wait_for_state(joined=True)
    assert auth.list_joins(pod.agent.name) == [True]


def test_an_api_server_that_is_away_at_the_start_is_waited_for(
    auth: AuthServer, kubernetes: KubeApiServer, make_pod: PodFactory
) -> None:
    pod = make_pod(auth, auth.add_token())
    with kubernetes.frozen():
        pod.agent.start().process.wait_for_log("cannot keep the agent's state in Secret")
        assert auth.list_joins(pod.agent.name) == []
    pod.wait_for_state(joined=True)


class Replica:
    """An agent in this process, which looks for changed authorities often, and what is in its Secret."""

    def __init__(self, auth: AuthServer, kubernetes: KubeApiServer, namespace: str) -> None:
        self.auth = auth
        self.readiness = Readiness(FakeClock())
        self._kubernetes = kubernetes
        self._namespace = namespace

    @asynccontextmanager
    async def running(self, folder: Path) -> AsyncIterator[None]:
        """Live for the time of a block, from the moment that all is well."""
        environ = write_pod_files(self._kubernetes, self._namespace, folder)
        settings = Settings(
            nodename="replica",
            auth_server=self.auth.address,
            join_params=JoinParams(method="token", token_name=await asyncio.to_thread(self.auth.add_token)),
            ca_pins=(self.auth.get_pin(),),
            services=(ServiceSettings(SystemRole.NODE),),
        )
        joiner = build_joiner(settings, None, self.auth.address, SystemClock())
        async with open_state(folder / "data", environ, clock=SystemClock(), pod_folder=folder) as states:
            agent = agent_server.Agent(
                settings,
                way=self.auth.address,
                joiner=joiner,
                states=states,
                readiness=self.readiness,
                clock=SystemClock(),
            )
            life = asyncio.create_task(agent.run())
            await self.reach(lambda: self.readiness.state is State.OK, "the agent is well")
            yield
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)
        await asyncio.sleep(0.5)  # the connection of a request that was cancelled needs a moment to close

    async def reach(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until something is so."""
        await asyncio.to_thread(wait_until, condition, what)

    def trusts(self, number: int) -> bool:
        """Return whether so many authorities are trusted by what is stored."""
        joined = read_state(self._kubernetes, self._namespace, SECRET).joined
        return joined is not None and len(joined.trust.tls["host"]) == number

    def delete_secret(self) -> None:
        """Delete the Secret as the administrator."""
        self._kubernetes.ask("DELETE", f"/api/v1/namespaces/{self._namespace}/secrets/{SECRET}")

    def change_authorities(self) -> None:
        """Let the cluster trust more than before."""
        self.auth.process.stop()
        add_trusted_keys(self.auth)
        self.auth.start()


@pytest.fixture
def replica(
    make_auth: AuthFactory, kubernetes: KubeApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> Replica:
    monkeypatch.setattr(agent_server, "TRUST_PERIOD", timedelta(milliseconds=200))
    return Replica(make_auth().start(), kubernetes, namespace)


async def test_a_running_replica_needs_no_api_server_and_stores_what_is_new_when_it_is_back(
    replica: Replica, kubernetes: KubeApiServer, tmp_path: Path
) -> None:
    async with replica.running(tmp_path / "pod"):
        with kubernetes.frozen():
            await asyncio.to_thread(replica.change_authorities)
            await replica.reach(
                lambda: "state: cannot keep the agent's state" in replica.readiness.report().text, "that is told"
            )
            await asyncio.to_thread(replica.auth.wait_for_record, "replica")
        await replica.reach(lambda: replica.trusts(2), "the new trust is stored")


async def test_a_secret_that_is_deleted_disturbs_nobody_and_is_made_again_when_there_is_something_new(
    replica: Replica, tmp_path: Path
) -> None:
    async with replica.running(tmp_path / "pod"):
        await asyncio.to_thread(replica.delete_secret)
        await asyncio.to_thread(replica.change_authorities)
        await replica.reach(lambda: replica.trusts(2), "the new trust is stored")
        assert replica.auth.list_joins("replica") == [True]


def test_a_secret_of_something_else_ends_the_pod_with_what_to_do(auth: AuthServer, make_pod: PodFactory) -> None:
    pod = make_pod(auth, auth.add_token())
    pod.write_secret(password="of something else")
    pod.agent.start()
    assert pod.agent.process.wait_for_end() == 1
    assert "app-0-state does not hold an agent's state" in pod.agent.process.log
    assert "remove it to join anew" in pod.agent.process.log
    assert auth.list_joins(pod.agent.name) == []
