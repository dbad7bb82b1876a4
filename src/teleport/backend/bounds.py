"""What every backend refuses before it costs anything: keys, values and transactions outside their bounds."""

import re
from collections.abc import Sequence

from teleport.backend.protocol import (
    MAX_COMMIT_CONDITIONS,
    MAX_COMMIT_WRITES,
    MAX_KEY_LENGTH,
    MAX_RANGE_LIMIT,
    MAX_VALUE_BYTES,
    Condition,
    Delete,
    Put,
    Write,
)
from teleport.errors import BadParameter, TooLarge

_NO_TEXT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, and surrogates, which UTF-8 cannot express."""


def check_key(key: str) -> None:
    """Refuse keys that are empty or no plain text.

    Raises:
        BadParameter: the key is empty, too long, or contains a control character.
    """
    if not key:
        raise BadParameter("a key is empty")
    check_prefix(key)


def check_prefix(prefix: str) -> None:
    """Refuse prefixes that no key can start with; the empty one stands for every key.

    Raises:
        BadParameter: the prefix is too long, or contains a control character.
    """
    if len(prefix) > MAX_KEY_LENGTH:
        raise TooLarge(f"a key is longer than {MAX_KEY_LENGTH} characters")
    if _NO_TEXT.search(prefix):
        raise BadParameter("a key contains a control character or is no valid unicode")


def check_range(prefix: str, after: str, limit: int) -> None:
    """Refuse ranges that no key lies in and pages that are too large.

    Raises:
        BadParameter: prefix or after is no key, or the limit is not within 1 to `MAX_RANGE_LIMIT`.
    """
    check_prefix(prefix)
    check_prefix(after)
    if not 1 <= limit <= MAX_RANGE_LIMIT:
        raise BadParameter(f"a range's limit is {limit}, but must be from 1 to {MAX_RANGE_LIMIT}")


def check_commit(conditions: Sequence[Condition], writes: Sequence[Write]) -> None:
    """Refuse transactions that are too large, ambiguous or hold what cannot be stored.

    Raises:
        BadParameter: too many conditions or writes, a key that is written twice, a bad key, a value that is
            too large, or an expiry without a time zone.
    """
    if len(conditions) > MAX_COMMIT_CONDITIONS:
        raise TooLarge(f"a commit has more than {MAX_COMMIT_CONDITIONS} conditions")
    if len(writes) > MAX_COMMIT_WRITES:
        raise TooLarge(f"a commit has more than {MAX_COMMIT_WRITES} writes")
    for condition in conditions:
        check_key(condition.key)
    for write in writes:
        _check_write(write)
    if len({write.key for write in writes}) < len(writes):
        raise BadParameter("a commit writes the same key twice")


def _check_write(write: Write) -> None:
    check_key(write.key)
    match write:
        case Put(value=value) if len(value) > MAX_VALUE_BYTES:
            raise TooLarge(f"a value is larger than {MAX_VALUE_BYTES} bytes")
        case Put(expires=expires) if expires is not None and expires.utcoffset() is None:
            raise BadParameter("an expiry has no time zone")
        case Put() | Delete():
            pass
