import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

import pytest

from support.clock import START, FakeClock
from support.declared import KUBERNETES, build_object
from support.virtual_time import run_in_virtual_time
from teleport.kube.errors import NoAnswer
from teleport.kube.object_events import ObjectEvent, ObjectEvents
from teleport_operator.announcing import MAX_WAITING, Announcing

CREATED = ObjectEvent("Created", "the token was created")
REPAIRED = ObjectEvent("DriftRepaired", "the token was put back")


class FakeEvents:
    """Takes Events; the first fail as a test says."""

    def __init__(self) -> None:
        self.posted: list[tuple[Mapping[str, Any], ObjectEvent, datetime]] = []
        self.failures: list[NoAnswer] = []

    @property
    def reasons(self) -> list[str]:
        return [event.reason for _, event, _ in self.posted]

    async def post(self, about: Mapping[str, Any], event: ObjectEvent, now: datetime) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.posted.append((about, event, now))


class Story:
    """Somebody who announces, and how busy the rest is."""

    def __init__(self) -> None:
        self.events = FakeEvents()
        self.is_busy = False
        self.announcing = Announcing(cast("ObjectEvents", self.events), is_busy=lambda: self.is_busy, clock=FakeClock())

    def tell(self, *events: ObjectEvent) -> None:
        self.announcing.tell(build_object(KUBERNETES), events)

    def run(self, during: float = 60, *, idle_after: float | None = None) -> None:
        """Let it post for a while of virtual time."""

        async def post() -> None:
            task = asyncio.create_task(self.announcing.run())
            if idle_after is not None:
                asyncio.get_running_loop().call_later(idle_after, lambda: setattr(self, "is_busy", False))
            await asyncio.sleep(during)
            task.cancel()

        run_in_virtual_time(post())


def test_events_are_posted_in_their_order_and_with_the_time() -> None:
    story = Story()
    story.tell(CREATED, REPAIRED)
    story.run()
    assert story.events.reasons == ["Created", "DriftRepaired"]
    assert {now for _, _, now in story.events.posted} == {START}


def test_of_the_object_only_what_tells_which_it_is_is_kept() -> None:
    story = Story()
    story.tell(CREATED)
    story.run()
    ((about, _, _),) = story.events.posted
    assert set(about) == {"apiVersion", "kind", "metadata"}
    assert set(about["metadata"]) == {"namespace", "name", "uid"}


def test_an_event_that_cannot_be_posted_keeps_nobody_from_the_next(caplog: pytest.LogCaptureFixture) -> None:
    story = Story()
    story.events.failures = [NoAnswer("no answer")]
    story.tell(CREATED, REPAIRED)
    story.run()
    assert story.events.reasons == ["DriftRepaired"]
    assert "an Event (Created) could not be written" in caplog.text


@pytest.mark.parametrize(("idle_after", "posted"), [(None, []), (30, ["Created"])])
def test_events_wait_for_the_work_that_matters(idle_after: float | None, posted: list[str]) -> None:
    story = Story()
    story.is_busy = True
    story.tell(CREATED)
    story.run(idle_after=idle_after)
    assert story.events.reasons == posted


@pytest.mark.parametrize("more", [0, 1])
def test_no_more_wait_than_there_is_room_for(more: int, caplog: pytest.LogCaptureFixture) -> None:
    story = Story()
    story.tell(*[CREATED] * (MAX_WAITING + more))
    assert ("one (Created) is dropped" in caplog.text) == bool(more)
    story.run()
    assert len(story.events.posted) == MAX_WAITING


def test_where_too_many_wait_some_are_posted_even_while_others_are_busy() -> None:
    story = Story()
    story.is_busy = True
    story.tell(*[CREATED] * MAX_WAITING)

    async def tell_more() -> None:
        task = asyncio.create_task(story.announcing.run())
        await asyncio.sleep(1)
        story.tell(REPAIRED)  # takes the place of the one in hand
        await asyncio.sleep(1)
        task.cancel()

    run_in_virtual_time(tell_more())
    assert story.events.reasons == ["Created"]
