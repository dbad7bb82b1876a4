"""Limits on what callers may cost before they have proved who they are."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol

from teleport.clock import Clock
from teleport.web.addresses import network_of

MAX_ADDRESSES = 10_000
MAX_DELAY = timedelta(seconds=1)
MAX_SLEEPERS = 1_000

_NANOSECOND = 1_000_000_000


class Rate(Protocol):
    """At most `average` events a period in the long run, of which `burst` may come at once."""

    @property
    def period(self) -> timedelta:
        """Return the time over which `average` is counted."""
        ...

    @property
    def average(self) -> int:
        """Return how many events a period are let through in the long run."""
        ...

    @property
    def burst(self) -> int:
        """Return how many events may come at once."""
        ...


class _Bucket:
    """A token bucket without tokens: a rate as integer nanoseconds, so that the limit is exact at n and n+1.

    The state of a caller is one number, the moment at which its bucket is full again (the generic cell rate algorithm).
    """

    __slots__ = ("depth", "interval")

    def __init__(self, rate: Rate) -> None:
        self.interval = max(1, round(rate.period.total_seconds() * _NANOSECOND / rate.average))
        self.depth = self.interval * rate.burst

    def excess(self, full_at: int, now: int) -> int:
        """Return for how many nanoseconds one more event would be too many; nought or less means that it fits."""
        return max(full_at, now) + self.interval - now - self.depth


def _nanoseconds(clock: Clock) -> int:
    return round(clock.monotonic() * _NANOSECOND)


class RateLimiter:
    """A rate per address, IPv6 by /64; the table is bounded, and whoever was seen longest ago is forgotten first."""

    def __init__(self, rate: Rate, clock: Clock, max_addresses: int = MAX_ADDRESSES) -> None:
        self._bucket = _Bucket(rate)
        self._clock = clock
        self._max_addresses = max_addresses
        self._full_at: OrderedDict[str, int] = OrderedDict()

    def charge(self, address: str) -> bool:
        """Count one event, unless it is one too many; return whether it was counted."""
        network = network_of(address)
        now = _nanoseconds(self._clock)
        full_at = self._full_at.get(network, now)
        if self._bucket.excess(full_at, now) > 0:
            return False
        self._store(network, max(full_at, now) + self._bucket.interval)
        return True

    def check(self, address: str) -> bool:
        """Return whether one more event would fit, and count nothing."""
        return self._excess(address) <= 0

    def refund(self, address: str) -> None:
        """Take back one event that was counted."""
        network = network_of(address)
        full_at = self._full_at.get(network)
        if full_at is not None:
            self._full_at[network] = full_at - self._bucket.interval

    def retry_after(self, address: str) -> timedelta:
        """Return how long the address must wait until one more event fits."""
        return timedelta(seconds=max(0, self._excess(address)) / _NANOSECOND)

    def _excess(self, address: str) -> int:
        now = _nanoseconds(self._clock)
        return self._bucket.excess(self._full_at.get(network_of(address), now), now)

    def _store(self, network: str, full_at: int) -> None:
        self._full_at[network] = full_at
        self._full_at.move_to_end(network)
        if len(self._full_at) > self._max_addresses:
            self._full_at.popitem(last=False)


class GlobalDelay:
    """Slows refusals of all callers together above a rate, and refuses nothing: a guesser waits, a stranger is served.

    Args:
        rate: refusals that are answered at once.
        clock: tells how long ago the last refusals were.
        sleep: waits for so many seconds.
        max_delay: no refusal waits longer.
        max_sleepers: no more refusals wait at once; further ones are answered at once, since memory matters more.
    """

    def __init__(
        self,
        *,
        rate: Rate,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        max_delay: timedelta = MAX_DELAY,
        max_sleepers: int = MAX_SLEEPERS,
    ) -> None:
        self._bucket = _Bucket(rate)
        self._clock = clock
        self._sleep = sleep
        self._max_delay = round(max_delay.total_seconds() * _NANOSECOND)
        self._max_sleepers = max_sleepers
        self._sleepers = 0
        self._full_at = 0

    async def refused(self) -> None:
        """Count one refusal, and wait if there are too many of them."""
        delay = self._count()
        if delay <= 0 or self._sleepers >= self._max_sleepers:
            return
        self._sleepers += 1
        try:
            await self._sleep(delay / _NANOSECOND)
        finally:
            self._sleepers -= 1

    def _count(self) -> int:
        now = _nanoseconds(self._clock)
        delay = min(self._bucket.excess(self._full_at, now), self._max_delay)
        latest = now + self._bucket.depth + self._max_delay
        self._full_at = min(max(self._full_at, now) + self._bucket.interval, latest)
        return delay
