"""Names of records that sort by time, and the one way in which stores write JSON."""

import secrets
from datetime import UTC, datetime
from typing import Any

import orjson


def build_time_key(when: datetime) -> str:
    """Return a key that sorts by time, to the microsecond, and collides with none."""
    return f"{int(when.timestamp() * 1_000_000):016x}-{secrets.token_hex(6)}"


def build_bucket(when: datetime) -> int:
    """Return the number of the minute since 1970."""
    return int(when.astimezone(UTC).timestamp()) // 60


def encode(data: Any) -> bytes:  # noqa: ANN401 - whatever JSON can hold
    """Return plain data as JSON."""
    return orjson.dumps(data)


def decode(value: bytes) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """Return the plain data of a record that a store wrote."""
    return orjson.loads(value)
