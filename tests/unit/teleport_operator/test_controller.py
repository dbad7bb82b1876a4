from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from support.clock import FakeClock
from support.declared import KUBERNETES, build_object
from support.virtual_time import run_in_virtual_time, seconds
from teleport_operator.conditions import Report, State
from teleport_operator.controller import Controller
from teleport_operator.declaration import FINALIZER
from teleport_operator.metrics import OperatorMetrics
from teleport_operator.objects import Key, ObjectCache, key_of
from teleport_operator.obstacles import Obstacle
from teleport_operator.outcome import Outcome
from teleport_operator.reconcile.expiry import Expiry
from teleport_operator.work_queue import WorkQueue

ASKED = timedelta(seconds=40)
DELETED: dict[str, Any] = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FINALIZER]}


async def do_nothing(*_: object) -> None:
    """Write nothing, and delete nothing."""


async def find_busy_auth(*_: object) -> Outcome:
    """Look in vain."""
    return Outcome(Report(State.AUTH_UNREACHABLE, "later"), Expiry(), failed=True, asked_wait=ASKED)


async def fail_to_delete(*_: object) -> None:
    """Delete in vain."""
    raise Obstacle(State.AUTH_UNREACHABLE, "later", ASKED)


def build_controller(cache: ObjectCache, queue: WorkQueue[Key]) -> Controller:
    """Return a controller for which auth is busy."""
    return Controller(
        cache=cache,
        queue=queue,
        looking=cast("Any", SimpleNamespace(look=find_busy_auth)),
        deletion=cast("Any", SimpleNamespace(finish=fail_to_delete)),
        writing=cast("Any", SimpleNamespace(write_status=do_nothing)),
        announcing=cast("Any", SimpleNamespace(tell=lambda *_: None)),
        uses=cast("Any", SimpleNamespace(count=lambda _, known: known, follow=lambda *_: None)),
        metrics=OperatorMetrics(CollectorRegistry()),
        deletion_timeout=timedelta(hours=1),
        clock=FakeClock(),
    )


@pytest.mark.parametrize("metadata", [{}, DELETED], ids=["kept", "deleted"])
def test_auth_is_asked_for_no_object_before_the_wait_that_it_asked_for_is_over(metadata: dict[str, Any]) -> None:
    async def tell() -> None:
        cache, queue = ObjectCache(), WorkQueue[Key]()
        raw = build_object(KUBERNETES, **metadata)
        cache.put(raw)
        assert not await build_controller(cache, queue).reconcile(key_of(raw))
        queue.add(Key("another", "object"))
        await queue.take()
        assert seconds() == ASKED.total_seconds()

    run_in_virtual_time(tell())
