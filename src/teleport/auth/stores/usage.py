"""What is counted of a limited token's uses: how many, how many of late, and by whom in the last two minutes."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from teleport.auth.records import build_bucket, decode, encode
from teleport.auth.stores.tokens import TOMBSTONE_LIFE, usage_key
from teleport.backend.protocol import Backend, Condition, Put

HOUR_IN_BUCKETS = 60
MAX_HOLDERS = 1000


@dataclass(frozen=True, slots=True)
class Holder:
    """Whoever joined a moment ago: the same key may ask again and is given the same host id."""

    key_fingerprint: str
    host_id: str
    until: float


@dataclass(frozen=True, slots=True)
class Usage:
    """The count, at one revision of its record; None stands for a record that is not there yet."""

    uses: int = 0
    by_minute: dict[int, int] = field(default_factory=dict)
    holders: tuple[Holder, ...] = ()
    revision: int | None = None

    def uses_in_last_hour(self, now: datetime) -> int:
        """Return the uses of the last sixty minutes, the present one included."""
        first = build_bucket(now) - HOUR_IN_BUCKETS
        return sum(count for minute, count in self.by_minute.items() if minute > first)

    def find_holder(self, key_fingerprint: str, now: datetime) -> Holder | None:
        """Return the holder of a key that joined within the last two minutes."""
        for holder in self.holders:
            if holder.key_fingerprint == key_fingerprint and holder.until >= now.timestamp():
                return holder
        return None

    def after_use(self, key_fingerprint: str, host_id: str, now: datetime) -> "Usage":
        """Return the count with one more use."""
        minute = build_bucket(now)
        recent = {bucket: count for bucket, count in self.by_minute.items() if bucket > minute - HOUR_IN_BUCKETS}
        recent[minute] = recent.get(minute, 0) + 1
        holder = Holder(key_fingerprint, host_id, (now + TOMBSTONE_LIFE).timestamp())
        present = [old for old in self.holders if old.until >= now.timestamp()]
        return Usage(self.uses + 1, recent, (*present[-MAX_HOLDERS + 1 :], holder), self.revision)


async def load_usage(backend: Backend, lookup_id: str) -> Usage:
    """Read the count of a token."""
    item = await backend.get(usage_key(lookup_id))
    if item is None:
        return Usage()
    record = decode(item.value)
    return Usage(
        uses=record["uses"],
        by_minute={int(minute): count for minute, count in record["by_minute"].items()},
        holders=tuple(Holder(*entry) for entry in record["holders"]),
        revision=item.revision,
    )


def build_usage_commit(lookup_id: str, before: Usage, after: Usage, expires: datetime | None) -> tuple[Condition, Put]:
    """Return the compare-and-swap that records a use; the record outlives the token by a day and no longer."""
    key = usage_key(lookup_id)
    record = {
        "uses": after.uses,
        "by_minute": {str(minute): count for minute, count in after.by_minute.items()},
        "holders": [[holder.key_fingerprint, holder.host_id, holder.until] for holder in after.holders],
    }
    end = expires + timedelta(days=1) if expires is not None else None
    return Condition(key, before.revision), Put(key, encode(record), end)
