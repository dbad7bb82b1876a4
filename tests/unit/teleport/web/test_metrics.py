import re

from prometheus_client import CollectorRegistry, generate_latest

from support.clock import FakeClock
from teleport.version import VERSION
from teleport.web.metrics import Metrics
from teleport.web.readiness import Readiness


def test_joins_are_counted_by_method_outcome_and_reason() -> None:
    registry = CollectorRegistry()
    Metrics(registry).joins.labels("token", "refused", "token_expired").inc()
    assert (
        registry.get_sample_value(
            "teleport_joins_total", {"method": "token", "outcome": "refused", "reason": "token_expired"}
        )
        == 1
    )


def test_a_process_is_starting_until_it_says_otherwise() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    assert registry.get_sample_value("process_state") == 3


def test_the_gauge_follows_readiness() -> None:
    registry = CollectorRegistry()
    readiness = Readiness(FakeClock())
    Metrics(registry).follow(readiness)
    readiness.succeed("auth")
    assert registry.get_sample_value("process_state") == 0
    readiness.fail("auth", "gone")
    assert registry.get_sample_value("process_state") == 2


def test_the_build_is_told() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    assert re.search(
        rf'teleport_build_info{{python="3[^"]+",version="{VERSION}"}} 1', generate_latest(registry).decode()
    )
