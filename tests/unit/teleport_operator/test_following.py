import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar, cast

import pytest
from prometheus_client import CollectorRegistry

from support.clock import FakeClock
from support.declared import KUBERNETES, build_object
from support.virtual_time import run_in_virtual_time
from teleport.errors import ConnectionFailed, LimitExceeded, NotFound, TeleportError, Unavailable
from teleport.kube.errors import Missing, NoAnswer
from teleport.web.readiness import Readiness
from teleport_operator.feed import ObjectFeed
from teleport_operator.following import (
    BREATH,
    OBJECTS,
    OBJECTS_PERIOD,
    RETRY,
    TOLERATED_FAILURES,
    Following,
)
from teleport_operator.metrics import OperatorMetrics
from teleport_operator.objects import Key, ObjectCache
from teleport_operator.work_queue import WorkQueue

INTERVAL = timedelta(minutes=10)
UID = "uid-of-it"


class Story:
    """Lists and changes that a test gives, each the last one again and again, and when they were asked for."""

    def __init__(self) -> None:
        self.lists: list[set[str] | TeleportError] = [set()]
        self.changes: list[set[str] | TeleportError | None] = [NotFound("there is no such page")]
        self.objects: list[int | TeleportError] = [0]
        self.listed: list[float] = []
        self.asked: list[float] = []
        self.looked: list[float] = []
        self.cache = ObjectCache()
        self.queue = WorkQueue[Key]()
        self.registry = CollectorRegistry()
        self.readiness = Readiness(FakeClock())
        self.cache.put(build_object(KUBERNETES, uid=UID))
        self.following = Following(
            resync=cast("Any", self),
            tokens=cast("Any", self),
            feed=ObjectFeed(cache=self.cache, queue=self.queue, on_gone=lambda _: None),
            readiness=self.readiness,
            metrics=OperatorMetrics(self.registry),
            drift_interval=INTERVAL,
        )

    async def refresh(self) -> set[str]:
        self.listed.append(asyncio.get_running_loop().time())
        return _take(self.lists)

    async def wait_for_changes(self, patience: timedelta) -> set[str] | None:
        assert patience > timedelta()
        self.asked.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0)
        return _take(self.changes)

    async def load(self) -> None:
        await self.compare()

    async def compare(self) -> int:
        self.looked.append(asyncio.get_running_loop().time())
        return _take(self.objects)

    def live(self, work: Callable[[Following], Any], period: timedelta) -> None:
        """Let something go on for a while."""

        async def run() -> None:
            await self.following.load(asyncio.Event())
            with suppress(TimeoutError):
                async with asyncio.timeout(period.total_seconds()):
                    await work(self.following)

        run_in_virtual_time(run())


T = TypeVar("T")


def _take(answers: list[T | TeleportError]) -> T:
    answer = answers.pop(0) if len(answers) > 1 else answers[0]
    if isinstance(answer, TeleportError):
        raise answer
    return answer


@pytest.fixture
def story() -> Story:
    return Story()


def test_a_change_that_is_told_is_looked_at_without_a_list(story: Story) -> None:
    story.changes = [set(), {UID}, set()]
    story.live(Following.follow_tokens, timedelta(seconds=10))
    assert len(story.listed) == 1
    assert len(story.queue) == 1


def test_without_a_change_nothing_is_looked_at(story: Story) -> None:
    story.changes = [set()]
    story.live(Following.follow_tokens, timedelta(seconds=10))
    assert len(story.asked) > 1
    assert len(story.queue) == 0


def test_changes_are_asked_for_with_a_breath_in_between(story: Story) -> None:
    story.changes = [{UID}]
    story.live(Following.follow_tokens, BREATH * 10)
    assert 9 <= len(story.asked) <= 11


def test_the_list_is_read_now_and_then_all_the_same(story: Story) -> None:
    story.changes = [set()]
    story.lists = [set(), {UID}, set()]
    story.live(Following.follow_tokens, INTERVAL * 3)
    assert len(story.listed) in (3, 4)
    assert len(story.queue) == 1


@pytest.mark.parametrize("refusal", [NotFound("no such page"), LimitExceeded("too many"), Unavailable("it is busy")])
def test_where_changes_are_not_told_the_list_is_read_at_its_time(story: Story, refusal: TeleportError) -> None:
    story.changes = [refusal]
    story.live(Following.follow_tokens, INTERVAL * 3)
    assert len(story.listed) in (3, 4)
    assert len(story.asked) == len(story.listed)


@pytest.mark.parametrize("answer", [None, ConnectionFailed("it broke off")])
def test_where_changes_may_have_been_missed_the_list_is_read_soon_and_not_at_once(
    story: Story, answer: TeleportError | None
) -> None:
    story.changes = [answer, set()]
    story.live(Following.follow_tokens, RETRY * 3)
    first, second = story.listed
    assert second - first == RETRY.total_seconds()


def test_when_auth_is_back_everything_is_looked_at_for_it_had_a_reason_to_wait(story: Story) -> None:
    story.lists = [ConnectionFailed("it is away")]
    story.live(Following.follow_tokens, RETRY * 20)
    assert len(story.queue) == 0
    story.lists = [ConnectionFailed("it is away"), set()]
    story.live(Following.follow_tokens, RETRY)
    assert len(story.queue) == 1


def test_an_auth_server_that_asks_for_a_wait_is_left_alone_for_it(story: Story) -> None:
    story.lists = [Unavailable("later", timedelta(seconds=40)), set()]
    story.live(Following.follow_tokens, timedelta(seconds=50))
    first, second = story.listed
    assert second - first == 40


def test_what_a_list_of_objects_finds_is_counted(story: Story) -> None:
    story.objects = [0, 3, 0]
    story.live(Following.follow_objects, OBJECTS_PERIOD * 2.5)
    assert story.registry.get_sample_value("teleport_operator_lost_events_total") == 3


@pytest.mark.parametrize("failures", [TOLERATED_FAILURES - 1, TOLERATED_FAILURES])
def test_lists_that_fail_again_and_again_spoil_readiness(story: Story, failures: int) -> None:
    story.objects = [0, *[NoAnswer("it is away")] * failures, 0]
    seen: list[bool] = []

    async def compare() -> int:
        seen.append(OBJECTS in story.readiness.report().text)
        return _take(story.objects)

    story.compare = compare  # type: ignore[method-assign]  # watches readiness in between
    story.live(Following.follow_objects, OBJECTS_PERIOD * 3)
    assert (True in seen[1:]) == (failures == TOLERATED_FAILURES)
    assert OBJECTS not in story.readiness.report().text


def test_a_cluster_that_does_not_know_the_kind_is_waited_for_and_told_what_it_lacks(story: Story) -> None:
    story.objects = [Missing("there is no such page"), Missing("there is no such page"), 0]
    story.live(Following.follow_objects, timedelta(seconds=1))
    assert story.looked == [0, RETRY.total_seconds(), 2 * RETRY.total_seconds()]


async def test_an_operator_that_is_told_to_stop_reads_no_more(story: Story) -> None:
    stop = asyncio.Event()
    stop.set()
    await story.following.load(stop)
    assert story.looked == []


def test_whoever_waits_for_tokens_does_so_for_a_while_only(story: Story) -> None:
    async def wait(following: Following) -> None:
        await following.wait_until_known(timedelta(seconds=20))
        story.asked.append(asyncio.get_running_loop().time())

    story.live(wait, timedelta(minutes=1))
    assert story.asked == [20]
