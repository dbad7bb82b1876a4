"""When a token ends, decided once for each rule and never moved by anything but another rule.

A relative rule begins at the object's creation. Only a rule that took the place of another one begins when it is first
seen, and that moment is in the object's status before the token is written: so neither re-applying a manifest nor a
restart at any line makes a life longer, and where a status is lost, the token ends no later than was promised.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from teleport_operator.declaration import ExpiryRule, ExpirySource, Head

UNREADABLE = "unreadable"
"""Stands in a status for the rule of a spec that could not be read; the one that mends it begins when it is seen."""
LONGEST_NOTICE = timedelta(hours=24)
NOTICE_SHARE = 10


@dataclass(frozen=True, slots=True)
class Expiry:
    """The end of a token, and from where it is known."""

    at: datetime | None = None
    """None is never."""
    source: str = ""
    fingerprint: str = ""
    """Of the rule, as the status keeps it."""

    def is_over(self, now: datetime) -> bool:
        """Tell whether the life is over; the instant itself is still good, as auth sees it."""
        return self.at is not None and self.at < now


@dataclass(frozen=True, slots=True)
class Anchored:
    """An end, and whether the status must say so before the token is written."""

    expiry: Expiry
    record_first: bool


def anchor_expiry(rule: ExpiryRule, recorded: Expiry, head: Head, now: datetime, *, renewals: str = "") -> Anchored:
    """Return when the token ends.

    Args:
        rule: as it is declared now.
        recorded: what the status says.
        head: of the object, whose creation is where the first rule begins.
        now: where a later one begins.
        renewals: what changes when a person asks for a new token under the same rule.
    """
    fingerprint = rule.fingerprint
    if renewals:
        fingerprint += "-" + hashlib.sha256(renewals.encode()).hexdigest()[:8]
    source = "" if rule.source is ExpirySource.NEVER else rule.source
    if rule.ttl is not None and recorded.fingerprint == fingerprint and recorded.at is not None:
        return Anchored(Expiry(recorded.at, source, fingerprint), record_first=False)
    is_first = recorded.fingerprint in ("", fingerprint)
    at = rule.resolve(head.created if is_first else now)
    return Anchored(Expiry(at, source, fingerprint), record_first=rule.ttl is not None and not is_first)


def find_notice(expiry: Expiry, head: Head) -> datetime | None:
    """Return from when on a token ends soon: the last tenth of its life, and a day at most."""
    if expiry.at is None:
        return None
    life = max(expiry.at - head.created, timedelta())
    return expiry.at - min(LONGEST_NOTICE, life / NOTICE_SHARE)
