"""From what is heard of objects to keys in the queue: every copy that is news, and those that its name concerns."""

from collections.abc import Callable

from teleport.kube.custom_objects import RawObject
from teleport_operator.objects import Key, ObjectCache, key_of
from teleport_operator.work_queue import WorkQueue


class ObjectFeed:
    """Keeps the newest copies and orders looks at them.

    Args:
        cache: the copies.
        queue: of looks.
        on_gone: told the uid of an object that is gone.
    """

    def __init__(self, *, cache: ObjectCache, queue: WorkQueue[Key], on_gone: Callable[[str], None]) -> None:
        self._cache = cache
        self._queue = queue
        self._on_gone = on_gone

    def take(self, raw: RawObject) -> None:
        """Hear of an object as it is."""
        if self._cache.put(raw):
            self._queue.add(key_of(raw))
            self._add_all(self._cache.find_rivals(raw))

    def take_gone(self, raw: RawObject) -> None:
        """Hear of the end of an object, which one of the same name may have followed already."""
        known = self._cache.get(key_of(raw))
        if known is not None and known["metadata"]["uid"] == raw["metadata"]["uid"]:
            self.drop(key_of(raw))

    def drop(self, key: Key) -> None:
        """Forget an object that is not there; whoever claims its name may have its token now."""
        known = self._cache.get(key)
        if known is not None:
            self._add_all(self._cache.remove(key))
            self._on_gone(known["metadata"]["uid"])
        self._queue.forget(key)

    def add_everything(self) -> None:
        """Order a look at every object."""
        self._add_all(frozenset(self._cache))

    def add_uid(self, uid: str) -> None:
        """Order a look at the object with this uid, if there is one."""
        key = self._cache.find_uid(uid)
        if key is not None:
            self._queue.add(key)

    def _add_all(self, keys: frozenset[Key]) -> None:
        for key in keys:
            self._queue.add(key)
