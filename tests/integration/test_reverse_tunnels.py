"""Real agents keep tunnels to real proxies behind a real load balancer."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from support.balancer import Balancer
from support.cluster import Agent, AuthServer
from support.processes import Process, Processes, wait_until
from support.proxy import Proxy


def count_tunnels(process: Process) -> float:
    """Return how many services of agents have a tunnel to a proxy."""
    families = text_string_to_metric_families(process.fetch("/metrics")[1])
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == "teleport_reverse_tunnels_connected"
    )


def wait_for_tunnels(count: int, *proxies: Proxy) -> None:
    wanted = [count] * len(proxies)
    wait_until(lambda: [count_tunnels(proxy.process) for proxy in proxies] == wanted, f"{count} tunnels")


def make_proxies(auth: AuthServer, processes: Processes, folder: Path, *names: str) -> list[Proxy]:
    return [Proxy(processes, folder / name, auth).start() for name in names]


def make_agent(auth: AuthServer, processes: Processes, folder: Path, name: str, dialled: str) -> Agent:
    agent = Agent(processes, folder / name, auth.address, roles="app")
    token = auth.add_token("app")
    agent.flags = (f"--token={token}", f"--ca-pin={auth.get_pin()}")
    agent.process.environment["TELEPORT_TUNNEL_PUBLIC_ADDR"] = dialled
    return agent


def test_an_agent_has_a_tunnel_to_every_proxy_behind_a_balancer(
    auth: AuthServer, processes: Processes, tmp_path: Path
) -> None:
    one, two = make_proxies(auth, processes, tmp_path, "one", "two")
    balancer = Balancer(processes, tmp_path / "balancer").use([one.address, two.address])
    agents = [make_agent(auth, processes, tmp_path, name, str(balancer.address)).start() for name in ("a", "b", "c")]
    for agent in agents:
        agent.wait_until_ready()
    wait_for_tunnels(3, one, two)
