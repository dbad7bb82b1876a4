"""Which proxies there are, and to which of them there is a tunnel: decided without I/O, time is an argument.

All proxies stand behind one address, and whoever answers a dial says by its certificate who it is. So an agent claims
the proxy that answered, drops a dial that came to a proxy it has claimed already, and dials on while one is missing.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from teleport.api.tunnels import MAX_PROXIES

FORGET_AFTER = timedelta(minutes=3)
"""A proxy is looked for until so long after its last mention; the original's."""
DISREGARD_FOR = timedelta(seconds=10)
"""For so long after a proxy has left, others may still mention it: they ask auth every five seconds who is there."""


@dataclass(eq=False, slots=True)
class Claim:
    """A tunnel to a proxy, from the moment that the proxy is known."""

    proxy: str
    is_leaving: bool = False


class Tracker:
    """What one agent knows of proxies; moments are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._mentioned: dict[str, float] = {}
        self._claims: dict[str, Claim] = {}
        self._disregarded: dict[str, float] = {}
        """Proxies that have said goodbye, and until when mentions of them count for nothing."""
        self._shunned: dict[str, float] = {}
        """Proxies that are not dialled for, and until when."""
        self._latest: frozenset[str] = frozenset()
        """Who was there by the last word of any proxy."""

    @property
    def claimed(self) -> frozenset[str]:
        """Return the proxies that there is a tunnel to, and that are not about to leave."""
        return frozenset(proxy for proxy, claim in self._claims.items() if not claim.is_leaving)

    def claim(self, proxy: str, now: float) -> Claim | None:
        """Claim the proxy that answered; None if the dial is to be dropped."""
        known = self._claims.get(proxy)
        if (known is not None and not known.is_leaving) or now < self._shunned.get(proxy, 0.0):
            return None
        self._disregarded.pop(proxy, None)
        self._shunned.pop(proxy, None)
        self._mentioned[proxy] = now
        self._claims[proxy] = claim = Claim(proxy)
        return claim

    def release(self, claim: Claim, now: float) -> None:
        """Take note that a tunnel is gone; the proxy is looked for again unless it has said goodbye."""
        if self._claims.get(claim.proxy) is not claim:
            return  # there is another one to that proxy already
        del self._claims[claim.proxy]
        if claim.is_leaving:
            self._mentioned.pop(claim.proxy, None)
            self._disregarded[claim.proxy] = now + DISREGARD_FOR.total_seconds()
        else:
            self._mentioned[claim.proxy] = now

    def mention(self, proxies: Collection[str], now: float) -> None:
        """Take note of who is there, as a proxy says."""
        self._latest = frozenset(proxies)
        self._drop_what_is_over(now)
        for proxy in proxies:
            claim = self._claims.get(proxy)
            is_known = proxy in self._mentioned or len(self._mentioned) < MAX_PROXIES
            if is_known and proxy not in self._disregarded and not (claim is not None and claim.is_leaving):
                self._mentioned[proxy] = now

    def leave(self, claim: Claim) -> None:
        """Take note that a proxy is about to leave, while what is in flight goes on."""
        claim.is_leaving = True
        self._mentioned.pop(claim.proxy, None)

    def shun(self, claim: Claim, until: float) -> None:
        """Look for no other tunnel to that proxy for a while."""
        claim.is_leaving = True
        self._shunned[claim.proxy] = until

    def find_missing(self, now: float) -> frozenset[str]:
        """Return the proxies that there should be a tunnel to."""
        self._drop_what_is_over(now)
        return frozenset(self._mentioned) - self.claimed - frozenset(self._shunned)

    def count_wanted(self, now: float) -> int:
        """Return to how many proxies there should be a tunnel."""
        return len(self.claimed) + len(self.find_missing(now))

    def needs_dial(self, now: float) -> bool:
        """Tell whether a proxy is missing, or none is known at all."""
        return bool(self.find_missing(now)) or not (self.claimed or self._shunned)

    def find_next_change(self) -> float | None:
        """Return when `needs_dial` may change by itself, or None."""
        return min((*self._shunned.values(), *self._disregarded.values()), default=None)

    def _drop_what_is_over(self, now: float) -> None:
        oldest = now - FORGET_AFTER.total_seconds()
        self._mentioned = {proxy: at for proxy, at in self._mentioned.items() if at >= oldest}
        for proxy in [proxy for proxy, until in self._disregarded.items() if until <= now]:
            del self._disregarded[proxy]
            if proxy in self._latest:
                self._mentioned[proxy] = now  # it is back, as somebody has said meanwhile
        self._shunned = {proxy: until for proxy, until in self._shunned.items() if until > now}
