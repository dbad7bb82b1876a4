from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from support.clock import FakeClock
from support.fake_kube import FakeKube, running_fake_kube
from teleport.kube.connection import KubeConnection
from teleport.kube.errors import Forbidden
from teleport.kube.object_events import MAX_MESSAGE, ObjectEvent, ObjectEvents

PATH = "/api/v1/namespaces/apps/events"
ABOUT: dict[str, Any] = {
    "apiVersion": "example.com/v1",
    "kind": "Widget",
    "metadata": {"namespace": "apps", "name": "a-name-that-is-a-secret", "uid": "uid-1", "resourceVersion": "7"},
}
NOW = datetime(2026, 1, 1, 12, 0, 0, 999, tzinfo=UTC)


@pytest.fixture
async def kube(tmp_path: Path) -> AsyncIterator[FakeKube]:
    async with running_fake_kube(tmp_path) as running:
        running.answers[PATH] = {}
        yield running


@pytest.fixture
async def events(kube: FakeKube) -> AsyncIterator[ObjectEvents]:
    connection = KubeConnection(kube.server, clock=FakeClock())
    yield ObjectEvents(connection, component="us", instance="us_1")
    await connection.close()


async def test_an_event_is_about_an_object_and_says_when_and_by_whom(kube: FakeKube, events: ObjectEvents) -> None:
    await events.post(ABOUT, ObjectEvent("Created", "a token was made"), NOW)
    (asked,) = kube.received
    assert (asked.method, asked.path) == ("POST", PATH)
    assert asked.body["involvedObject"] == {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "namespace": "apps",
        "name": "a-name-that-is-a-secret",
        "uid": "uid-1",
    }
    assert (asked.body["type"], asked.body["reason"], asked.body["message"]) == (
        "Normal",
        "Created",
        "a token was made",
    )
    assert asked.body["firstTimestamp"] == asked.body["lastTimestamp"] == "2026-01-01T12:00:00Z"
    assert (asked.body["reportingComponent"], asked.body["reportingInstance"]) == ("us", "us_1")


async def test_a_warning_says_so(kube: FakeKube, events: ObjectEvents) -> None:
    await events.post(ABOUT, ObjectEvent("Invalid", "no", is_warning=True), NOW)
    assert kube.received[0].body["type"] == "Warning"


async def test_events_have_names_of_their_own_that_reveal_nothing(kube: FakeKube, events: ObjectEvents) -> None:
    for _ in range(2):
        await events.post(ABOUT, ObjectEvent("Created", "made"), NOW)
    first, second = (asked.body["metadata"]["name"] for asked in kube.received)
    assert first != second
    assert first.startswith("us-")
    assert "secret" not in first + second


@pytest.mark.parametrize("length", [MAX_MESSAGE, MAX_MESSAGE + 1])
async def test_a_message_is_as_long_as_the_api_server_takes(kube: FakeKube, events: ObjectEvents, length: int) -> None:
    await events.post(ABOUT, ObjectEvent("Created", "m" * length), NOW)
    assert len(kube.received[0].body["message"]) == MAX_MESSAGE


async def test_a_refusal_is_told(kube: FakeKube, events: ObjectEvents) -> None:
    kube.fail_next(403)
    with pytest.raises(Forbidden):
        await events.post(ABOUT, ObjectEvent("Created", "made"), NOW)
