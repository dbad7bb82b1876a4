"""Lists that find what a watch lost: whole objects once at the start, and then their metadata every minute."""

from collections.abc import Sequence

from teleport.kube.custom_objects import CustomObjects
from teleport_operator.feed import ObjectFeed
from teleport_operator.objects import Key, ObjectCache


class Resync:
    """Compares what is known with what there is.

    Args:
        objects: of the cluster.
        namespaces: whose objects; empty for all.
        cache: what is known.
        feed: told of what is not.
    """

    def __init__(
        self, *, objects: CustomObjects, namespaces: Sequence[str], cache: ObjectCache, feed: ObjectFeed
    ) -> None:
        self._objects = objects
        self._namespaces = tuple(namespaces) or ("",)
        self._cache = cache
        self._feed = feed

    async def load(self) -> None:
        """Read all objects.

        Raises:
            Missing: the API server does not know the kind.
            NoAnswer: it does not answer.
        """
        for namespace in self._namespaces:
            async for raw in self._objects.list_objects(namespace):
                self._feed.take(raw)

    async def compare(self) -> int:
        """Read the metadata of all objects, look at those that differ, and return how many did.

        Raises:
            NoAnswer: the API server does not answer.
        """
        known = self._cache.list_versions()
        heads = await self._list_versions()
        differing = [key for key, version in heads.items() if known.get(key) != version]
        for key in (*differing, *(key for key in known if key not in heads)):
            raw = await self._objects.get(*key)
            if raw is None:
                self._feed.drop(key)
            else:
                self._feed.take(raw)
        return len(differing)

    async def _list_versions(self) -> dict[Key, str]:
        versions = {}
        for namespace in self._namespaces:
            async for head in self._objects.list_heads(namespace):
                versions[Key(head.namespace, head.name)] = head.resource_version
        return versions
