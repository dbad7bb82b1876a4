"""What refusals cost: an address that was refused too often must wait, and a flood of refusals slows down.

Joins that succeed are free, so that a thousand services behind one address may join at once. Attempts beyond the
limit are not judged at all; the audit log gets their number, by address and minute, and not an event for each.
"""

from datetime import timedelta

from teleport.auth.audit import JOIN_LIMITED, AuditLog
from teleport.clock import Clock
from teleport.config.settings import ConnectionLimits, Rate
from teleport.errors import LimitExceeded
from teleport.web.limits import GlobalDelay, RateLimiter

GLOBAL_FACTOR = 50
"""All addresses together may be refused this many times as often as one before refusals slow down."""
MAX_COUNTED_ADDRESSES = 10_000
PATIENCE = Rate(timedelta(minutes=1), average=20, burst=20)
"""So often an address that must wait is told so; if it asks on, its connections are not worth a handshake."""


class JoinLimits:
    """The limits of refused joins.

    Args:
        limits: the rates, from the configuration.
        audit_log: told how many attempts were not judged.
        clock: the present.
    """

    def __init__(self, *, limits: ConnectionLimits, audit_log: AuditLog, clock: Clock) -> None:
        rate = limits.refused_joins
        self._by_address = RateLimiter(rate, clock)
        self._global = GlobalDelay(
            rate=Rate(rate.period, rate.average * GLOBAL_FACTOR, rate.burst * GLOBAL_FACTOR), clock=clock
        )
        self._unheeded = RateLimiter(PATIENCE, clock)
        self._audit = audit_log
        self._unjudged: dict[str, int] = {}

    def check(self, address: str, *, has_waited: bool = False) -> None:
        """Refuse an address that was refused too often.

        Args:
            address: that asks.
            has_waited: it asked before it was refused too often, and could not know better.

        Raises:
            LimitExceeded: it must wait; the attempt is counted.
        """
        if self._by_address.check(address):
            return
        if not has_waited:
            self._unheeded.charge(address)
        if address in self._unjudged or len(self._unjudged) < MAX_COUNTED_ADDRESSES:
            self._unjudged[address] = self._unjudged.get(address, 0) + 1
        raise LimitExceeded("too many refused joins from this address", self._by_address.retry_after(address))

    def is_heeded_by(self, address: str) -> bool:
        """Tell whether an address may ask, or has not been told yet often enough that it must wait."""
        return self._unheeded.check(address) or self._by_address.check(address)

    async def charge(self, address: str) -> None:
        """Count a refusal, and wait where there are too many of them in the whole cluster."""
        self._by_address.charge(address)
        await self._global.refused()

    async def flush(self) -> None:
        """Write into the audit log what was not judged since the last time; called every minute."""
        for address, attempts in list(self._unjudged.items()):
            await self._audit.emit(
                JOIN_LIMITED, success=False, reason="limit_exceeded", remote_addr=address, attempts=attempts
            )
            self._unjudged[address] -= attempts
            if not self._unjudged[address]:
                del self._unjudged[address]
