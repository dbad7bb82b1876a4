"""Real agents keep tunnels to real proxies behind a real load balancer."""

import asyncio
import shutil
import signal
from pathlib import Path

import pytest

from support.balancer import Balancer
from support.cluster import CLUSTER_NAME, Agent, AuthServer
from support.processes import Processes, wait_until
from support.proxy import Proxy
from support.public_proxy import NAME, write_pair
from support.tls_certificates import ThrowawayAuthority
from support.tunnel_counts import count_tunnels, wait_for_tunnels
from teleport.agent.tunnels.dialing import Dialer
from teleport.api.identity import Identity
from teleport.errors import ConnectionFailed, TeleportError, TrustError
from teleport.resources.address import Address
from teleport.tunnel.session import Session


class Stage:
    """Proxies, a balancer before them, and agents that know the balancer's address alone."""

    def __init__(
        self, auth: AuthServer, processes: Processes, folder: Path, *names: str, ends_tls: bool = False
    ) -> None:
        self.auth = auth
        self.processes = processes
        self.folder = folder
        authority = ThrowawayAuthority.create()
        pair = write_pair(folder, authority.issue(NAME))
        self.trusted = folder / "ca.crt"
        self.trusted.write_text(authority.certificate_pem)
        self.balancer = Balancer(processes, folder / "balancer")
        if ends_tls:
            self.balancer.certificate = folder / "balancer.pem"
            self.balancer.certificate.write_text("".join(Path(file).read_text() for file in pair.values()))
        self.proxies = [Proxy(processes, folder / name, auth, {"https_keypairs": [pair]}) for name in names]

    def balance(self) -> None:
        """Let the balancer deal to all proxies, of which some may not have been started."""
        self.balancer.use([proxy.address for proxy in self.proxies])

    def make_agent(self, name: str) -> Agent:
        flags = (f"--token={self.auth.add_token('app')}", f"--ca-pin={self.auth.get_pin()}")
        address = f"{NAME}:{self.balancer.address.port}"
        agent = Agent(self.processes, self.folder / name, self.auth.address, flags=flags, roles="app", proxy=address)
        agent.process.environment["SSL_CERT_FILE"] = str(self.trusted)
        return agent

    def start_agent(self, name: str) -> Agent:
        return self.make_agent(name).start()


def test_hostile_61_there_are_tunnels_to_all_proxies_whichever_is_added_killed_or_drained(
    auth: AuthServer, processes: Processes, tmp_path: Path
) -> None:
    stage = Stage(auth, processes, tmp_path, "one", "two", "three")
    one, two, three = stage.proxies
    one.start()
    two.start()
    stage.balance()
    agents = [stage.start_agent(name).wait_until_ready() for name in ("a", "b")]
    wait_for_tunnels(2, [one, two])

    three.start()
    wait_for_tunnels(2, [one, two, three])

    three.process.kill()
    three.start()
    wait_for_tunnels(2, [one, two, three])

    assert two.process.stop() == 0
    for agent in agents:
        agent.process.wait_for_log("is about to end")
    two.start()
    wait_for_tunnels(2, [one, two, three])
    assert all(agent.process.fetch("/readyz")[0] == 200 for agent in agents)


def test_tunnels_go_through_a_balancer_that_ends_tls(auth: AuthServer, processes: Processes, tmp_path: Path) -> None:
    stage = Stage(auth, processes, tmp_path, "one", "two", ends_tls=True)
    for proxy in stage.proxies:
        proxy.start()
    stage.balance()
    agent = stage.start_agent("a")
    wait_for_tunnels(1, stage.proxies)
    assert agent.wait_until_ready().process.log.count("through a WebSocket") == 2

    stage.trusted.write_text(ThrowawayAuthority.create().certificate_pem)
    assert agent.process.stop() == 0
    wait_for_tunnels(0, stage.proxies)
    agent.start()
    agent.process.wait_for_log("no tunnel to any proxy")
    assert [count_tunnels(proxy) for proxy in stage.proxies] == [0, 0]


def test_a_silent_proxy_is_given_up_and_taken_back(auth: AuthServer, processes: Processes, tmp_path: Path) -> None:
    stage = Stage(auth, processes, tmp_path, "one")
    (one,) = stage.proxies
    one.start()
    stage.balance()
    agent = stage.start_agent("a")
    wait_for_tunnels(1, [one])
    one.process.send(signal.SIGSTOP)
    agent.process.wait_for_log("the peer sent nothing")
    one.process.send(signal.SIGCONT)
    wait_for_tunnels(1, [one])


def test_hostile_62_two_processes_with_one_identity_are_noticed(
    auth: AuthServer, processes: Processes, tmp_path: Path
) -> None:
    stage = Stage(auth, processes, tmp_path, "one")
    (one,) = stage.proxies
    one.start()
    stage.balance()
    original = stage.start_agent("a").wait_until_ready()
    wait_for_tunnels(1, [one])
    copy = stage.make_agent("copy")
    shutil.copytree(original.data_dir, copy.data_dir)
    copy.start().wait_until_ready()
    assert copy.host_id == original.host_id
    original.process.wait_for_log("with the identity of this one")
    wait_for_tunnels(1, [one])


def test_an_agent_that_knows_auth_alone_says_that_applications_cannot_be_reached(
    auth: AuthServer, processes: Processes, tmp_path: Path
) -> None:
    agent = Agent(processes, tmp_path / "a", auth.address, roles="app")
    agent.start(f"--token={auth.add_token('app')}", f"--ca-pin={auth.get_pin()}").wait_until_ready()
    assert "applications cannot be reached" in agent.process.log


def dial(address: Address, identity: Identity, cluster_name: str = CLUSTER_NAME) -> str:
    dialer = Dialer(public=address, identity=lambda: identity, cluster_name=cluster_name, is_insecure=True)

    async def work() -> str:
        dialed = await dialer.dial(address.host, address.port)
        dialed.transport.abort()
        return dialed.proxy

    return asyncio.run(work())


def test_an_agent_takes_nobody_for_a_proxy_but_proxies_of_its_cluster(
    auth: AuthServer, processes: Processes, tmp_path: Path
) -> None:
    proxy = Proxy(processes, tmp_path / "one", auth).start()
    host_id = dial(proxy.address, auth.admin)
    wait_until(lambda: host_id in {each["metadata"]["name"] for each in auth.list_resources("proxy")}, "auth knows it")
    with pytest.raises(TrustError, match="no proxy"):
        dial(auth.address, auth.admin)
    with pytest.raises(TrustError):
        dial(proxy.address, auth.admin, "other.example.com")

    other = AuthServer(processes, tmp_path / "other").start()
    with pytest.raises(TeleportError, match="not trusted"):
        dial(proxy.address, other.admin)
    with pytest.raises(ConnectionFailed, match="cannot reach"):
        dial(processes.reserve_address(), auth.admin)


def test_a_certificate_that_is_no_services_gets_no_tunnel(
    auth: AuthServer, processes: Processes, tmp_path: Path
) -> None:
    proxy = Proxy(processes, tmp_path / "one", auth).start()

    async def work() -> None:
        dialer = Dialer(public=proxy.address, identity=lambda: auth.admin, cluster_name=CLUSTER_NAME, is_insecure=True)
        dialed = await dialer.dial(proxy.address.host, proxy.address.port)
        session = Session(is_dialer=True)
        dialed.transport.set_protocol(session)
        session.connection_made(dialed.transport)
        await session.closed()

    asyncio.run(work())
    assert count_tunnels(proxy) == 0


def test_a_dial_that_breaks_off_is_tried_the_other_way_only_by_those_who_know_no_way_yet(
    auth: AuthServer, processes: Processes, tmp_path: Path
) -> None:
    proxy = Proxy(processes, tmp_path / "one", auth).start()
    host, port = proxy.address.host, proxy.address.port
    broken: list[str] = []

    def break_off(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        broken.append("one")
        writer.transport.abort()

    def build_dialer() -> Dialer:
        return Dialer(public=proxy.address, identity=lambda: auth.admin, cluster_name=CLUSTER_NAME, is_insecure=True)

    async def work() -> list[int]:
        known = build_dialer()
        (await known.dial(host, port)).transport.abort()
        await asyncio.to_thread(proxy.process.stop)
        counts = []
        async with await asyncio.start_server(break_off, host, port):
            for dialer in (known, build_dialer()):
                with pytest.raises(ConnectionFailed):
                    await dialer.dial(host, port)
                counts.append(len(broken))
        return counts

    assert asyncio.run(work()) == [1, 3]
