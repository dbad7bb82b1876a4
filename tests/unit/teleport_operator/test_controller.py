from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from support.clock import START, FakeClock
from support.declared import KUBERNETES, build_object
from support.virtual_time import run_in_virtual_time, seconds
from teleport.kube.object_events import ObjectEvent
from teleport_operator.conditions import Report, State
from teleport_operator.controller import Controller
from teleport_operator.declaration import FINALIZER
from teleport_operator.deletion import Farewell
from teleport_operator.metrics import OperatorMetrics
from teleport_operator.objects import Key, ObjectCache, key_of
from teleport_operator.obstacles import Obstacle
from teleport_operator.outcome import Outcome
from teleport_operator.reconcile.expiry import Expiry
from teleport_operator.reconcile.planning import Change
from teleport_operator.uses import UsesPoll
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


class Story:
    """One object whose looks end as a test says, and what becomes of it."""

    def __init__(self, outcome: Outcome, **metadata: Any) -> None:
        self.outcome = outcome
        self.farewell: Farewell | Obstacle = Farewell.DELETED
        self.clock = FakeClock()
        self.cache = ObjectCache()
        self.queue = WorkQueue[Key]()
        self.raw = build_object(KUBERNETES, **metadata)
        self.cache.put(self.raw)
        self.written: list[Outcome] = []
        self.told: list[str] = []
        self.released = 0
        self.registry = CollectorRegistry()
        here = cast("Any", self)
        self.controller = Controller(
            cache=self.cache,
            queue=self.queue,
            looking=here,
            deletion=here,
            writing=here,
            announcing=here,
            uses=UsesPoll(tokens=here),
            metrics=OperatorMetrics(self.registry),
            deletion_timeout=timedelta(hours=1),
            clock=self.clock,
        )

    async def look(self, *_: object) -> Outcome:
        return self.outcome

    async def finish(self, _: object) -> Farewell:
        if isinstance(self.farewell, Obstacle):
            raise self.farewell
        return self.farewell

    async def write_status(self, _: object, outcome: Outcome, __: object) -> None:
        self.written.append(outcome)

    async def release(self, _: object) -> None:
        self.released += 1

    def tell(self, _: object, events: list[ObjectEvent]) -> None:
        self.told += [event.reason for event in events]

    async def reconcile(self) -> bool:
        return await self.controller.reconcile(key_of(self.raw))


SYNCED = Outcome(Report(State.SYNCED), Expiry())
AWAY = Obstacle(State.AUTH_UNREACHABLE, "it is away")


async def test_what_a_look_found_is_written_and_told() -> None:
    story = Story(replace(SYNCED, changes=(Change.CREATE,)))
    assert await story.reconcile()
    assert story.written == [story.outcome]
    assert story.told == ["Created"]


async def test_a_look_that_failed_is_written_and_asks_for_another() -> None:
    story = Story(Outcome(Report(State.AUTH_UNREACHABLE, "later"), Expiry(), failed=True))
    assert not await story.reconcile()
    assert story.written == [story.outcome]


async def test_an_object_that_is_gone_is_forgotten() -> None:
    story = Story(SYNCED)
    story.cache.remove(key_of(story.raw))
    assert await story.reconcile()
    assert (story.written, story.released) == ([], 0)


@pytest.mark.parametrize("due", [timedelta(minutes=5), -timedelta(minutes=5)])
def test_the_next_look_is_when_something_is_due_and_at_once_where_it_was(due: timedelta) -> None:
    async def tell() -> None:
        story = Story(replace(SYNCED, look_again=START + due))
        await story.reconcile()
        assert (await story.queue.take())[0] == key_of(story.raw)
        assert seconds() == max(due.total_seconds(), 0) + 1

    run_in_virtual_time(tell())


@pytest.mark.parametrize(("farewell", "told"), [(Farewell.DELETED, ["Deleted"]), (Farewell.ORPHANED, ["Orphaned"])])
async def test_a_deleted_object_goes_when_its_token_is_gone(farewell: Farewell, told: list[str]) -> None:
    story = Story(SYNCED, **DELETED)
    story.farewell = farewell
    assert await story.reconcile()
    assert (story.released, story.told, story.written) == (1, told, [])


async def test_a_deleted_object_without_our_finalizer_is_not_ours_to_finish() -> None:
    story = Story(SYNCED, deletionTimestamp=DELETED["deletionTimestamp"], finalizers=["others.example/finalizer"])
    assert await story.reconcile()
    assert (story.released, story.told) == (0, [])


async def test_a_deleted_object_waits_for_auth_and_says_so() -> None:
    story = Story(SYNCED, **DELETED)
    story.farewell = AWAY
    story.clock.advance(timedelta(minutes=59))
    assert not await story.reconcile()
    assert story.released == 0
    assert "it is away; the object waits for 1:00:00 at most" in story.written[0].report.deletion_blocked
    assert story.told == ["AuthUnreachable", "DeletionBlocked"]


async def test_a_deleted_object_does_not_wait_for_ever_and_says_what_it_leaves_behind() -> None:
    story = Story(SYNCED, **DELETED)
    story.farewell = AWAY
    story.clock.advance(timedelta(hours=1))
    assert await story.reconcile()
    assert (story.released, story.told) == (1, ["TokenLeftBehind"])
    assert story.registry.get_sample_value("teleport_token_orphaned_total") == 1


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
