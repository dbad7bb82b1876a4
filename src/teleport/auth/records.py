"""Names of records that sort by time, and the one way in which stores write JSON."""

import itertools
import secrets
from datetime import UTC, datetime
from typing import Any

import orjson

_PROCESS = secrets.token_hex(6)
_COUNTER = itertools.count()


def build_time_key(when: datetime) -> str:
    """Return a key that sorts by time, to the microsecond, and collides with none.

    A random part for the process and a counter do what random bytes for every key would, without a system call each.
    """
    return f"{int(when.timestamp() * 1_000_000):016x}-{_PROCESS}-{next(_COUNTER):08x}"


def build_bucket(when: datetime) -> int:
    """Return the number of the minute since 1970."""
    return int(when.astimezone(UTC).timestamp()) // 60


def encode(data: Any) -> bytes:  # noqa: ANN401 - whatever JSON can hold
    """Return plain data as JSON."""
    return orjson.dumps(data)


def decode(value: bytes) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """Return the plain data of a record that a store wrote."""
    return orjson.loads(value)
