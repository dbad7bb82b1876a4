from typing import Any

from support.declared import KUBERNETES, LONG_NAME, build_object
from teleport_operator.feed import ObjectFeed
from teleport_operator.objects import Key, ObjectCache
from teleport_operator.work_queue import WorkQueue


def build(namespace: str, **metadata: Any) -> dict[str, Any]:
    """Return an object of a namespace; all have one name, which only one can have in the cluster."""
    return build_object(KUBERNETES, **{"namespace": namespace, "uid": f"uid-{namespace}", **metadata})


class Story:
    """A feed, and what it ordered."""

    def __init__(self) -> None:
        self.queue: WorkQueue[Key] = WorkQueue()
        self.cache = ObjectCache()
        self.gone: list[str] = []
        self.feed = ObjectFeed(cache=self.cache, queue=self.queue, on_gone=self.gone.append)

    async def drain(self) -> list[str]:
        """Return the namespaces of the objects to look at."""
        keys = [(await self.queue.take())[0] for _ in range(len(self.queue))]
        for key in keys:
            self.queue.done(key)
        return sorted(key.namespace for key in keys)


async def test_news_are_looked_at_and_old_news_are_not() -> None:
    story = Story()
    story.feed.take(build("a", resourceVersion="2"))
    assert await story.drain() == ["a"]
    story.feed.take(build("a", resourceVersion="2"))
    story.feed.take(build("a", resourceVersion="1"))
    assert await story.drain() == []


async def test_who_claims_the_same_name_is_looked_at_as_well() -> None:
    story = Story()
    story.feed.take(build("a"))
    await story.drain()
    story.feed.take(build("b"))
    assert await story.drain() == ["a", "b"]


async def test_when_one_goes_whoever_claims_its_name_has_their_turn() -> None:
    story = Story()
    story.feed.take(build("a"))
    story.feed.take(build("b"))
    await story.drain()
    story.feed.take_gone(build("a"))
    assert await story.drain() == ["b"]
    assert story.gone == ["uid-a"]


async def test_the_end_of_an_object_does_not_end_the_one_that_followed_it() -> None:
    story = Story()
    story.feed.take(build("a", uid="second"))
    await story.drain()
    story.feed.take_gone(build("a", uid="first"))
    assert Key("a", LONG_NAME) in set(story.cache)
    assert story.gone == []


async def test_the_end_of_what_nobody_knows_is_no_news() -> None:
    story = Story()
    story.feed.take_gone(build("a"))
    story.feed.drop(Key("a", LONG_NAME))
    assert story.gone == []
    assert await story.drain() == []


async def test_everything_is_looked_at_once() -> None:
    story = Story()
    for namespace in ("a", "b", "c"):
        story.feed.take(build(namespace))
    await story.drain()
    story.feed.add_everything()
    assert await story.drain() == ["a", "b", "c"]


async def test_an_object_is_found_by_its_uid_while_it_is_there() -> None:
    story = Story()
    story.feed.take(build("a"))
    await story.drain()
    story.feed.add_uid("uid-b")
    assert await story.drain() == []
    story.feed.add_uid("uid-a")
    assert await story.drain() == ["a"]
