"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """A `Clock` with hands."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, step: timedelta) -> None:
        """Let time pass."""
        self._now += step
        self._monotonic += step.total_seconds()

    def set_back(self, step: timedelta) -> None:
        """Let somebody set the wall clock back; the stopwatch does not notice."""
        self._now -= step
