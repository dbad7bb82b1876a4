"""Which of several operators works: the one that holds a Lease, as in controller-runtime and with its times.

A lease is over when it has not changed for its duration by the clock of who looks, so that clocks need not agree.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from teleport.clock import Clock
from teleport.errors import TeleportError
from teleport.kube.errors import NoAnswer
from teleport.kube.leases import Lease, Leases
from teleport_operator.patience import NOBODY_ASKED, find_asked_wait

DURATION = timedelta(seconds=15)
RENEW_DEADLINE = timedelta(seconds=10)
RETRY_PERIOD = timedelta(seconds=2)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A lease, and by our own clock since when it has been as it is."""

    lease: Lease | None
    since: float
    """In seconds, monotonic."""


def see(before: Sighting | None, lease: Lease | None, now: float) -> Sighting:
    """Return what is known after another look."""
    return before if before is not None and before.lease == lease else Sighting(lease, now)


def claim(sighting: Sighting, me: str, *, now: datetime, monotonic: float) -> Lease | None:
    """Return the lease to be written in order to hold it, or None while somebody else does."""
    lease = sighting.lease
    if lease is None:
        return Lease(me, DURATION, acquired=now, renewed=now)
    if lease.holder == me:
        return replace(lease, duration=DURATION, renewed=now)
    if lease.holder and monotonic < sighting.since + lease.duration.total_seconds():
        return None
    return replace(lease, holder=me, duration=DURATION, acquired=now, renewed=now, transitions=lease.transitions + 1)


class Election:
    """Takes part in the choice of a leader.

    Args:
        leases: of the operator's namespace.
        name: of the lease.
        me: who takes part; another one for every process.
        on_change: told whenever this process begins or ceases to lead.
        clock: for the lease, and for how long it is held.
    """

    def __init__(self, leases: Leases, *, name: str, me: str, on_change: Callable[[bool], None], clock: Clock) -> None:
        self._leases = leases
        self._name = name
        self._me = me
        self._on_change = on_change
        self._clock = clock
        self._sighting: Sighting | None = None
        self._held_at = 0.0
        self._leads = asyncio.Event()

    @property
    def is_leading(self) -> bool:
        """Tell whether this process holds the lease for certain."""
        return self._leads.is_set() and self._clock.monotonic() < self._held_at + RENEW_DEADLINE.total_seconds()

    async def wait(self) -> None:
        """Wait until this process leads."""
        await self._leads.wait()

    async def run(self) -> None:
        """Take part until it is cancelled, and give the lease back then."""
        try:
            await self._take_part()
        finally:
            await self.resign()

    async def _take_part(self) -> None:
        while True:
            started = self._clock.monotonic()
            holds, asked = False, NOBODY_ASKED
            try:
                async with asyncio.timeout(RENEW_DEADLINE.total_seconds() / 2):
                    holds = await self._try()
            except TimeoutError:
                logger.warning("lease %s: no answer in time", self._name)
            except TeleportError as error:
                detail = error.detail if isinstance(error, NoAnswer) else error.message
                logger.warning("lease %s: %s", self._name, detail)
                asked = find_asked_wait(error)
            if holds:
                self._held_at = started
                self._set(leads=True)
            elif not self.is_leading or self._is_taken():
                self._set(leads=False)
            period = RETRY_PERIOD * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
            await asyncio.sleep(max(period, asked).total_seconds())

    async def resign(self) -> None:
        """Give the lease back, so that nobody need wait for its end; a request that was cut off may have taken it."""
        if self._sighting is None:
            return
        self._set(leads=False)
        try:
            lease = await self._leases.get(self._name)
            if lease is not None and lease.holder == self._me:
                await self._leases.put(self._name, replace(lease, holder="", duration=timedelta(seconds=1)))
        except TeleportError as error:
            logger.warning("lease %s could not be given back: %s", self._name, error.message)

    async def _try(self) -> bool:
        """Look at the lease, and take or keep it if that is possible."""
        found = await self._leases.get(self._name)
        self._sighting = see(self._sighting, found, self._clock.monotonic())
        wanted = claim(self._sighting, self._me, now=self._clock.now(), monotonic=self._clock.monotonic())
        if wanted is None:
            return False
        written = await self._leases.put(self._name, wanted)
        self._sighting = Sighting(written, self._clock.monotonic())
        return True

    def _is_taken(self) -> bool:
        lease = None if self._sighting is None else self._sighting.lease
        return lease is not None and lease.holder != self._me

    def _set(self, *, leads: bool) -> None:
        if leads == self._leads.is_set():
            return
        if leads:
            self._leads.set()
        else:
            self._leads.clear()
        logger.info("lease %s: this process %s", self._name, "leads" if leads else "does not lead")
        self._on_change(leads)
