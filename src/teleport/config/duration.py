"""Durations as the original's files and flags write them: Go's notation, and days."""

import re
from datetime import timedelta

from teleport.errors import BadParameter

MAX_LENGTH = 64

_PART = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h|d)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


def parse_duration(text: str) -> timedelta:
    """Read `5m`, `1h30m`, `1.5h`, `30d` or `0`; a day is 24 hours, and a bare number has no unit and is refused.

    Raises:
        BadParameter: anything else, a negative duration included.
    """
    word = text.strip()
    if word == "0":
        return timedelta()
    if len(word) > MAX_LENGTH or not word.isascii() or not _WHOLE.fullmatch(word):
        raise BadParameter(f"{text[:MAX_LENGTH]!r} is not a duration; write it like 5m, 1h30m or 30d")
    try:
        return sum((float(number) * _UNITS[unit] for number, unit in _PART.findall(word)), timedelta())
    except OverflowError as error:
        raise BadParameter(f"the duration {word!r} is too long") from error


def render_duration(value: timedelta) -> str:
    """Write whole seconds as Go prints them: `1m0s`, `1h30m0s`."""
    minutes, seconds = divmod(int(value.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
