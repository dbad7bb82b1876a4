from datetime import timedelta
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from support.clock import START, FakeClock
from support.declared import KUBERNETES, build_object
from support.one_object import OneObject
from teleport.errors import CompareFailed
from teleport.kube.custom_objects import CustomObjects, RawObject
from teleport_operator.conditions import Report, State
from teleport_operator.declaration import FINALIZER
from teleport_operator.metrics import OperatorMetrics
from teleport_operator.object_writing import ObjectWriting
from teleport_operator.objects import ObjectCache, key_of
from teleport_operator.outcome import Outcome
from teleport_operator.reconcile.expiry import Expiry
from teleport_operator.status import Uses, read_recorded

OTHERS = "others.example/finalizer"
END = START + timedelta(hours=1)


class Story:
    """An object, its newest copy that is known, and who writes it."""

    def __init__(self, spec: object = KUBERNETES, **metadata: Any) -> None:
        self.raw = build_object(spec, **metadata)
        self.objects = OneObject(self.raw)
        self.cache = ObjectCache()
        self.cache.put(self.raw)
        self.registry = CollectorRegistry()
        self.writing = ObjectWriting(
            objects=cast("CustomObjects", self.objects),
            cache=self.cache,
            metrics=OperatorMetrics(self.registry),
            clock=FakeClock(),
        )

    @property
    def known(self) -> RawObject:
        found = self.cache.get(key_of(self.raw))
        assert found is not None
        return found

    async def write(self, state: State = State.SYNCED, message: str = "") -> None:
        await self.writing.write_status(self.raw, Outcome(Report(state, message), Expiry()), Uses())

    def count(self) -> float | None:
        return self.registry.get_sample_value("teleport_token_status_writes_total")


async def test_a_status_is_written_once_and_known_at_once() -> None:
    story = Story()
    await story.write()
    assert read_recorded(story.known).ready_reason == State.SYNCED
    await story.write()  # with the copy that was looked at, which does not show it
    assert (story.objects.written, story.count()) == (["status"], 1)


async def test_a_status_that_is_another_one_is_written_again() -> None:
    story = Story()
    await story.write()
    await story.write(State.AUTH_UNREACHABLE, "it is away")
    assert story.objects.written == ["status", "status"]
    assert read_recorded(story.known).ready_reason == State.AUTH_UNREACHABLE


async def test_the_status_of_an_object_that_is_gone_changes_nothing() -> None:
    story = Story()
    story.objects.stored = None
    await story.write()
    assert story.known == story.raw


async def test_an_object_that_was_made_anew_is_not_taken_for_the_one_that_was_looked_at() -> None:
    story = Story()
    anew = build_object(KUBERNETES, uid="another", resourceVersion="221") | {"status": {"joins": 7}}
    story.objects.stored = anew
    story.cache.put(anew)
    await story.write()
    assert story.known == story.objects.stored == anew


async def test_an_end_is_in_the_status_before_there_is_a_token_and_what_was_known_stays() -> None:
    story = Story()
    story.raw = story.objects.change(status={"joins": 3, "secret": {"name": "agents"}})
    story.cache.put(story.raw)
    await story.writing.record_expiry(story.raw, Expiry(END, "Ttl", "rule"))
    recorded = read_recorded(story.known)
    assert recorded.expiry == Expiry(END, "Ttl", "rule")
    assert (recorded.ready_reason, recorded.uses.joins, recorded.secret) == (State.PENDING, 3, {"name": "agents"})


async def test_the_finalizer_is_set_beside_those_of_others_once() -> None:
    story = Story(finalizers=[OTHERS])
    await story.writing.protect(story.raw)
    await story.writing.protect(story.raw)
    assert story.known["metadata"]["finalizers"] == [OTHERS, FINALIZER]
    assert story.objects.written == ["finalizers"]


async def test_an_object_whose_token_outlives_it_gets_none() -> None:
    story = Story({**KUBERNETES, "deletionPolicy": "Orphan"})
    await story.writing.protect(story.raw)
    assert story.objects.written == []


async def test_the_finalizer_is_taken_away_and_those_of_others_stay() -> None:
    story = Story(finalizers=[FINALIZER, OTHERS])
    await story.writing.release(story.raw)
    await story.writing.release(story.raw)
    assert story.known["metadata"]["finalizers"] == [OTHERS]
    assert story.objects.written == ["finalizers"]


async def test_a_finalizer_is_set_at_the_newest_version_that_is_known() -> None:
    story = Story()
    await story.write()
    await story.writing.protect(story.raw)
    assert story.known["metadata"]["finalizers"] == [FINALIZER]


async def test_finalizers_that_others_changed_meanwhile_are_not_written_over() -> None:
    story = Story()
    story.objects.change(metadata={"finalizers": [OTHERS]})
    with pytest.raises(CompareFailed):
        await story.writing.protect(story.raw)
    assert story.objects.stored is not None
    assert story.objects.stored["metadata"]["finalizers"] == [OTHERS]
