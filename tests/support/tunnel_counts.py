"""How many tunnels proxies have, by their own metrics."""

from collections.abc import Sequence

from prometheus_client.parser import text_string_to_metric_families

from support.processes import wait_until
from support.proxy import Proxy


def count_tunnels(proxy: Proxy) -> int:
    """Return how many services of agents have a tunnel to a proxy."""
    families = text_string_to_metric_families(proxy.process.fetch("/metrics")[1])
    samples = [sample for family in families for sample in family.samples]
    return int(sum(sample.value for sample in samples if sample.name == "teleport_reverse_tunnels_connected"))


def wait_for_tunnels(count: int, proxies: Sequence[Proxy]) -> None:
    """Wait until each of the proxies has so many."""
    wanted = [count] * len(proxies)
    wait_until(lambda: [count_tunnels(proxy) for proxy in proxies] == wanted, f"{count} tunnels each", pause=0.2)
