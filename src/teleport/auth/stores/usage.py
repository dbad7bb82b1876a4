"""What is counted of a limited token's uses: how many, how many of late, and by whom in the last two minutes."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from teleport.auth.records import build_bucket, decode, encode
from teleport.auth.stores.tokens import TOMBSTONE_LIFE, keep_until, usage_key
from teleport.backend.protocol import Backend, Condition, Put

HOUR = timedelta(hours=1)
MAX_HOLDERS = 1000


@dataclass(frozen=True, slots=True)
class Minute:
    """The uses within one minute; all of them count as late as the last one, so that an hour is never too short."""

    uses: int
    last: float


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
    by_minute: dict[int, Minute] = field(default_factory=dict)
    holders: tuple[Holder, ...] = ()
    revision: int | None = None

    def uses_in_last_hour(self, now: datetime) -> int:
        """Return the uses of the last sixty minutes."""
        return sum(minute.uses for minute in _within_hour(self.by_minute, now).values())

    def find_holder(self, key_fingerprint: str, now: datetime) -> Holder | None:
        """Return the holder of a key that joined within the last two minutes."""
        for holder in self.holders:
            if holder.key_fingerprint == key_fingerprint and holder.until >= now.timestamp():
                return holder
        return None

    def after_use(self, key_fingerprint: str, host_id: str, now: datetime) -> "Usage":
        """Return the count with one more use."""
        recent, bucket = _within_hour(self.by_minute, now), build_bucket(now)
        before = recent[bucket].uses if bucket in recent else 0
        recent[bucket] = Minute(before + 1, now.timestamp())
        holder = Holder(key_fingerprint, host_id, (now + TOMBSTONE_LIFE).timestamp())
        present = [old for old in self.holders if old.until >= now.timestamp()]
        return Usage(self.uses + 1, recent, (*present[-MAX_HOLDERS + 1 :], holder), self.revision)


def _within_hour(by_minute: dict[int, Minute], now: datetime) -> dict[int, Minute]:
    since = (now - HOUR).timestamp()
    return {bucket: minute for bucket, minute in by_minute.items() if minute.last > since}


async def load_usage(backend: Backend, lookup_id: str) -> Usage:
    """Read the count of a token."""
    item = await backend.get(usage_key(lookup_id))
    if item is None:
        return Usage()
    record = decode(item.value)
    return Usage(
        uses=record["uses"],
        by_minute={int(bucket): Minute(*entry) for bucket, entry in record["by_minute"].items()},
        holders=tuple(Holder(*entry) for entry in record["holders"]),
        revision=item.revision,
    )


def build_usage_commit(lookup_id: str, before: Usage, after: Usage, expires: datetime | None) -> tuple[Condition, Put]:
    """Return the compare-and-swap that records a use; the record is kept as long as the token's."""
    key = usage_key(lookup_id)
    record = {
        "uses": after.uses,
        "by_minute": {str(bucket): [minute.uses, minute.last] for bucket, minute in after.by_minute.items()},
        "holders": [[holder.key_fingerprint, holder.host_id, holder.until] for holder in after.holders],
    }
    return Condition(key, before.revision), Put(key, encode(record), keep_until(expires))
