"""What is known of the objects: the newest copy of each, and which of them claim the same token.

Thousands are kept and few are looked at at a time, so copies are kept as JSON, which takes a fifth of the memory.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import orjson

from teleport.kube.custom_objects import RawObject
from teleport_operator.expiry import parse_moment


class Key(NamedTuple):
    """Which object."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class _Copy:
    """One copy of an object, and what is asked of all copies."""

    uid: str
    resource_version: str
    created: str
    claims_name: bool
    packed: bytes = field(repr=False)

    def unpack(self) -> RawObject:
        raw: RawObject = orjson.loads(self.packed)
        return raw


class ObjectCache:
    """The newest copy of every object that is watched."""

    def __init__(self) -> None:
        self._copies: dict[Key, _Copy] = {}
        self._claims: dict[str, set[Key]] = {}
        self._keys: dict[str, Key] = {}

    def __len__(self) -> int:
        """Return how many objects there are."""
        return len(self._copies)

    def __iter__(self) -> Iterator[Key]:
        """Go through the keys as they are now."""
        return iter(tuple(self._copies))

    def get(self, key: Key) -> RawObject | None:
        """Return the newest copy."""
        known = self._copies.get(key)
        return None if known is None else known.unpack()

    def list_versions(self) -> dict[Key, str]:
        """Return the resource version of every object."""
        return {key: known.resource_version for key, known in self._copies.items()}

    def find_uid(self, uid: str) -> Key | None:
        """Return the key of the object with this uid."""
        return self._keys.get(uid)

    def put(self, raw: RawObject) -> bool:
        """Take a copy, and tell whether it is news; one that is older than what is known is none."""
        key = key_of(raw)
        known = self._copies.get(key)
        if known is not None and not _is_newer(raw, known):
            return False
        if known is not None:
            self._forget(key, known)
        self._copies[key] = copy = _pack(raw)
        self._keys[copy.uid] = key
        if copy.claims_name:
            self._claims.setdefault(key.name, set()).add(key)
        return True

    def remove(self, key: Key) -> frozenset[Key]:
        """Forget an object, and return those who claimed the same token as it did."""
        known = self._copies.pop(key, None)
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
        rivals = [each for each in self._claims.get(key.name, ()) if each != key]
        eldest = min(rivals, key=self._seniority, default=None)
        own = _seniority(raw["metadata"]["creationTimestamp"], raw["metadata"]["uid"])
        return eldest if eldest is not None and self._seniority(eldest) < own else None

    def find_rivals(self, raw: RawObject) -> frozenset[Key]:
        """Return all other objects that claim the name of this one."""
        return frozenset(self._claims.get(key_of(raw).name, ())) - {key_of(raw)}

    def find_rival_uids(self, raw: RawObject) -> frozenset[str]:
        """Return the uids of all other objects that claim the name of this one; none for one that claims none."""
        rivals = self.find_rivals(raw) if claims_name(raw) else ()
        return frozenset(self._copies[key].uid for key in rivals)

    def _seniority(self, key: Key) -> tuple[datetime, str]:
        known = self._copies[key]
        return _seniority(known.created, known.uid)

    def _forget(self, key: Key, known: _Copy) -> None:
        self._keys.pop(known.uid, None)
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


def _pack(raw: RawObject) -> _Copy:
    metadata = raw["metadata"]
    return _Copy(
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        created=metadata["creationTimestamp"],
        claims_name=claims_name(raw),
        packed=bytes(memoryview(orjson.dumps(raw))),  # copied: what orjson returns holds a buffer three times as large
    )


def _seniority(created: str, uid: str) -> tuple[datetime, str]:
    return parse_moment(created), uid


def _is_newer(raw: RawObject, known: _Copy) -> bool:
    """Compare by resource version: within one kind they grow, and what is no number is compared by equality alone."""
    new, old = raw["metadata"]["resourceVersion"], known.resource_version
    if raw["metadata"]["uid"] == known.uid and new.isdigit() and old.isdigit():
        return int(new) > int(old)
    return bool(new != old)
