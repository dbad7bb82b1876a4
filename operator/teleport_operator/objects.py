"""What is known of the objects: the newest copy of each, and which of them claim the same token."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from teleport.kube.custom_objects import RawObject
from teleport_operator.expiry import parse_moment


class Key(NamedTuple):
    """Which object."""

    namespace: str
    name: str


class ObjectCache:
    """The newest copy of every object that is watched."""

    def __init__(self) -> None:
        self._objects: dict[Key, RawObject] = {}
        self._claims: dict[str, set[Key]] = {}
        self._keys: dict[str, Key] = {}

    def __len__(self) -> int:
        """Return how many objects there are."""
        return len(self._objects)

    def __iter__(self) -> Iterator[Key]:
        """Go through the keys as they are now."""
        return iter(tuple(self._objects))

    def get(self, key: Key) -> RawObject | None:
        """Return the newest copy."""
        return self._objects.get(key)

    def list_versions(self) -> dict[Key, str]:
        """Return the resource version of every object."""
        return {key: raw["metadata"]["resourceVersion"] for key, raw in self._objects.items()}

    def find_uid(self, uid: str) -> Key | None:
        """Return the key of the object with this uid."""
        return self._keys.get(uid)

    def put(self, raw: RawObject) -> bool:
        """Take a copy, and tell whether it is news; one that is older than what is known is none."""
        key = key_of(raw)
        known = self._objects.get(key)
        if known is not None and not _is_newer(raw, known):
            return False
        if known is not None:
            self._forget(key, known)
        self._objects[key] = raw
        self._keys[raw["metadata"]["uid"]] = key
        if claims_name(raw):
            self._claims.setdefault(key.name, set()).add(key)
        return True

    def remove(self, key: Key) -> frozenset[Key]:
        """Forget an object, and return those who claimed the same token as it did."""
        known = self._objects.pop(key, None)
        if known is None:
            return frozenset()
        self._forget(key, known)
        return frozenset(self._claims.get(key.name, ()))

    def find_elder(self, raw: RawObject) -> Key | None:
        """Return the object that has the better claim to the token's name: the older one, or None if that is this one.

        Among those of one second the lesser uid wins, so that it is the same whoever asks.
        """
        if not claims_name(raw):
            return None
        key = key_of(raw)
        rivals = (self._objects[each] for each in self._claims.get(key.name, ()) if each != key)
        eldest = min(rivals, key=_seniority, default=None)
        return key_of(eldest) if eldest is not None and _seniority(eldest) < _seniority(raw) else None

    def find_rivals(self, raw: RawObject) -> frozenset[Key]:
        """Return all other objects that claim the name of this one."""
        return frozenset(self._claims.get(key_of(raw).name, ())) - {key_of(raw)}

    def find_rival_uids(self, raw: RawObject) -> frozenset[str]:
        """Return the uids of all other objects that claim the name of this one; none for one that claims none."""
        rivals = self.find_rivals(raw) if claims_name(raw) else ()
        return frozenset(self._objects[key]["metadata"]["uid"] for key in rivals)

    def _forget(self, key: Key, known: RawObject) -> None:
        self._keys.pop(known["metadata"]["uid"], None)
        claims = self._claims.get(key.name)
        if claims is not None:
            claims.discard(key)
            if not claims:
                del self._claims[key.name]


def key_of(raw: RawObject) -> Key:
    """Return an object's key."""
    return Key(raw["metadata"]["namespace"], raw["metadata"]["name"])


def claims_name(raw: RawObject) -> bool:
    """Tell whether the object's name is that of its token, and so claims it in all namespaces."""
    spec = raw.get("spec")
    return not (isinstance(spec, Mapping) and spec.get("secret") is not None)


def _seniority(raw: Mapping[str, Any]) -> tuple[datetime, str]:
    return parse_moment(raw["metadata"]["creationTimestamp"]), raw["metadata"]["uid"]


def _is_newer(raw: RawObject, known: RawObject) -> bool:
    """Compare by resource version: within one kind they grow, and what is no number is compared by equality alone."""
    new, old = (each["metadata"]["resourceVersion"] for each in (raw, known))
    if raw["metadata"]["uid"] == known["metadata"]["uid"] and new.isdigit() and old.isdigit():
        return int(new) > int(old)
    return bool(new != old)
