from prometheus_client import CollectorRegistry

from teleport.web.admissions import Admissions
from teleport.web.metrics import Metrics


def build_admissions(registry: CollectorRegistry, max_connections: int) -> Admissions:
    return Admissions(metrics=Metrics(registry), max_connections=max_connections)


async def test_a_network_has_so_many_connections_and_not_one_more() -> None:
    registry = CollectorRegistry()
    admissions = build_admissions(registry, 2)
    first = admissions.admit("2001:db8::1", {})
    assert first is not None
    assert admissions.admit("2001:db8::2", {}) is not None
    assert admissions.admit("2001:db8::3", {}) is None
    assert admissions.admit("2001:db8:0:1::1", {}) is not None
    assert registry.get_sample_value("teleport_connections") == 3
    admissions.fail_handshake(first, OSError("gone"))
    assert admissions.admit("2001:db8::3", {}) is not None


async def test_a_connection_is_forgotten_once() -> None:
    registry = CollectorRegistry()
    admissions = build_admissions(registry, 2)
    admitted = admissions.admit("192.0.2.1", {})
    assert admitted is not None
    for _ in range(2):
        admissions.forget(admitted)
    assert registry.get_sample_value("teleport_connections") == 0
    await admissions.wait_until_empty()
