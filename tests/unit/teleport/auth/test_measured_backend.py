import pytest
from prometheus_client import CollectorRegistry

from support.backend import SteeredBackend
from support.clock import FakeClock
from teleport.auth.measured_backend import MeasuredBackend
from teleport.backend.protocol import Condition, Put
from teleport.errors import CompareFailed
from teleport.web.metrics import Metrics


async def test_every_answer_is_timed_and_passed_on() -> None:
    registry = CollectorRegistry()
    backend = MeasuredBackend(SteeredBackend(clock=FakeClock()), Metrics(registry))

    await backend.commit([], [Put("a/b", b"value")])
    item = await backend.get("a/b")
    assert await backend.range("a/") == [item]

    for name in ("backend_write", "backend_read", "backend_batch_read"):
        assert registry.get_sample_value(f"{name}_seconds_count") == 1
    await backend.close()


async def test_a_commit_that_fails_is_timed_too() -> None:
    registry = CollectorRegistry()
    backend = MeasuredBackend(SteeredBackend(clock=FakeClock()), Metrics(registry))

    with pytest.raises(CompareFailed):
        await backend.commit([Condition("a", 7)], [Put("a", b"value")])

    assert registry.get_sample_value("backend_write_seconds_count") == 1
    await backend.close()
