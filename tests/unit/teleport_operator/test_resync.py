from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from support.declared import KUBERNETES, LONG_NAME, build_object
from teleport.kube.custom_objects import CustomObjects, ObjectHead, RawObject
from teleport.kube.errors import NoAnswer
from teleport_operator.feed import ObjectFeed
from teleport_operator.objects import Key, ObjectCache
from teleport_operator.resync import Resync
from teleport_operator.work_queue import WorkQueue


class FakeObjects:
    """An API server with objects that a test puts there."""

    def __init__(self) -> None:
        self.present: dict[Key, dict[str, Any]] = {}
        self.read: list[Key] = []
        self.vanishing: set[Key] = set()
        """They are in a list, and gone when somebody asks for them."""
        self.fails = False

    def put(self, namespace: str, version: str = "1", uid: str = "") -> None:
        raw = build_object(KUBERNETES, namespace=namespace, uid=uid or f"uid-{namespace}", resourceVersion=version)
        self.present[Key(namespace, LONG_NAME)] = raw

    async def list_objects(self, namespace: str = "") -> AsyncIterator[RawObject]:
        if self.fails:
            raise NoAnswer("it is away")
        for key, raw in self.present.items():
            if namespace in ("", key.namespace):
                yield raw

    async def list_heads(self, namespace: str = "") -> AsyncIterator[ObjectHead]:
        async for raw in self.list_objects(namespace):
            metadata = raw["metadata"]
            yield ObjectHead(metadata["namespace"], metadata["name"], metadata["resourceVersion"])

    async def get(self, namespace: str, name: str) -> RawObject | None:
        key = Key(namespace, name)
        self.read.append(key)
        return None if key in self.vanishing else self.present.get(key)


class Story:
    """What is there, and what is known of it."""

    def __init__(self, *namespaces: str) -> None:
        self.objects = FakeObjects()
        self.cache = ObjectCache()
        self.gone: list[str] = []
        feed = ObjectFeed(cache=self.cache, queue=WorkQueue(), on_gone=self.gone.append)
        objects = cast("CustomObjects", self.objects)
        self.resync = Resync(objects=objects, namespaces=namespaces, cache=self.cache, feed=feed)

    def known(self) -> dict[str, str]:
        """Return the versions that are known, by namespace."""
        return {key.namespace: version for key, version in self.cache.list_versions().items()}


@pytest.mark.parametrize(("namespaces", "known"), [((), {"a", "b", "c"}), (("a",), {"a"}), (("a", "c"), {"a", "c"})])
async def test_only_the_namespaces_that_are_watched_are_read(namespaces: tuple[str, ...], known: set[str]) -> None:
    story = Story(*namespaces)
    for namespace in ("a", "b", "c"):
        story.objects.put(namespace)
    await story.resync.load()
    assert set(story.known()) == known
    assert await story.resync.compare() == 0


async def test_where_nothing_was_lost_no_object_is_read() -> None:
    story = Story()
    story.objects.put("a")
    await story.resync.load()
    assert await story.resync.compare() == 0
    assert story.objects.read == []


async def test_what_the_watch_lost_is_found_and_counted_and_nothing_else_is_read() -> None:
    story = Story()
    for namespace in ("same", "changed"):
        story.objects.put(namespace)
    await story.resync.load()
    story.objects.put("changed", "2")
    story.objects.put("new")
    assert await story.resync.compare() == 2
    assert story.known() == {"same": "1", "changed": "2", "new": "1"}
    assert Key("same", LONG_NAME) not in story.objects.read


async def test_a_deletion_that_nobody_told_of_is_found() -> None:
    story = Story()
    story.objects.put("a")
    await story.resync.load()
    story.objects.present.clear()
    await story.resync.compare()
    assert story.gone == ["uid-a"]
    assert story.known() == {}


async def test_what_came_while_the_list_was_read_is_not_taken_for_gone() -> None:
    story = Story("a")
    story.objects.put("b")  # its namespace is in no list
    story.cache.put(story.objects.present[Key("b", LONG_NAME)])
    await story.resync.compare()
    assert story.known() == {"b": "1"}


async def test_what_goes_between_the_list_and_the_look_is_gone() -> None:
    story = Story()
    story.objects.put("a")
    await story.resync.load()
    story.objects.put("a", "2")
    story.objects.vanishing.add(Key("a", LONG_NAME))
    await story.resync.compare()
    assert story.known() == {}


async def test_without_an_answer_nothing_is_forgotten() -> None:
    story = Story()
    story.objects.put("a")
    await story.resync.load()
    story.objects.fails = True
    with pytest.raises(NoAnswer):
        await story.resync.compare()
    assert story.known() == {"a": "1"}
    assert story.gone == []
