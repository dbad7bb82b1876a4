import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from support.virtual_time import run_in_virtual_time, seconds
from teleport.errors import CompareFailed, TeleportError
from teleport.kube.errors import BadAnswer, NoAnswer, TooBusy
from teleport_operator.controller import Controller
from teleport_operator.election import Election
from teleport_operator.metrics import OperatorMetrics
from teleport_operator.objects import Key
from teleport_operator.work import Worker
from teleport_operator.work_queue import WorkQueue

KEY = Key("teleport", "name")


@dataclass(slots=True)
class FakeElection:
    """Leads, and is sure of it, as a test says."""

    is_leading: bool = True

    async def wait(self) -> None:
        """Never wait: the lease was held once."""


@dataclass(slots=True)
class FakeController:
    """Looks at nothing; the first looks fail as a test says."""

    failures: list[Exception | bool] = field(default_factory=list)
    looked_at: list[float] = field(default_factory=list)

    async def reconcile(self, _: Key) -> bool:
        self.looked_at.append(seconds())
        if not self.failures:
            return True
        failure = self.failures.pop(0)
        if isinstance(failure, Exception):
            raise failure
        return failure


async def work(controller: FakeController, election: FakeElection, *, keys: int = 1, during: float = 60) -> str:
    """Let a worker work for a while; return the metrics."""
    registry = CollectorRegistry()
    metrics = OperatorMetrics(registry)
    queue: WorkQueue[Key] = WorkQueue()
    for number in range(keys):
        queue.add(Key("teleport", f"name-{number}"))
    worker = Worker(
        queue=queue,
        controller=cast("Controller", controller),
        election=cast("Election", election),
        metrics=metrics,
    )
    task = asyncio.create_task(worker.run())
    await asyncio.sleep(during)
    task.cancel()
    labels = {"controller": "teleportprovisiontoken", "result": "error"}
    return str(registry.get_sample_value("controller_runtime_reconcile_total", labels))


def test_every_key_is_looked_at_once() -> None:
    controller = FakeController()
    run_in_virtual_time(work(controller, FakeElection(), keys=5))
    assert len(controller.looked_at) == 5


def test_whatever_fails_is_looked_at_again_later_each_time() -> None:
    failures: list[Exception | bool] = [False, CompareFailed("a"), NoAnswer("b"), TeleportError("c"), ValueError("d")]
    controller = FakeController(failures)
    assert run_in_virtual_time(work(controller, FakeElection())) == "5.0"
    waits = [later - earlier for earlier, later in pairwise(controller.looked_at)]
    assert len(controller.looked_at) == 6
    assert all(half <= wait <= 2 * half for half, wait in zip((0.5, 1, 2, 4, 8), waits, strict=True))


def test_whoever_sends_us_away_is_left_alone_by_all_for_as_long_as_it_asks() -> None:
    controller = FakeController([TooBusy("later", timedelta(seconds=20))])
    run_in_virtual_time(work(controller, FakeElection(), keys=3))
    assert controller.looked_at == [0, 20, 20, 20]


def test_an_answer_of_no_use_to_one_object_holds_up_no_other() -> None:
    controller = FakeController([BadAnswer("not this one")])
    run_in_virtual_time(work(controller, FakeElection(), keys=3))
    assert controller.looked_at[:3] == [0, 0, 0]
    assert len(controller.looked_at) == 4


def test_the_name_of_an_object_is_in_no_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    failure = NoAnswer('secrets "name-0" is forbidden')
    run_in_virtual_time(work(FakeController([failure]), FakeElection()))
    assert "is forbidden" in caplog.text
    assert "name-0" not in caplog.text


def test_who_is_not_sure_to_lead_does_nothing_and_keeps_nobody_from_their_turn() -> None:
    controller, election = FakeController(), FakeElection(is_leading=False)

    async def become_sure() -> None:
        asyncio.get_running_loop().call_later(10, lambda: setattr(election, "is_leading", True))
        await work(controller, election)

    run_in_virtual_time(become_sure())
    (moment,) = controller.looked_at
    assert 10 <= moment <= 11


async def test_looks_that_wait_for_nothing_let_others_have_their_turn() -> None:
    turns: list[int] = []
    controller = FakeController()

    async def count() -> None:
        while len(controller.looked_at) < 100:
            turns.append(len(controller.looked_at))
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await work(controller, FakeElection(), keys=100, during=0.2)
    await counting
    assert len(set(turns)) > 50
