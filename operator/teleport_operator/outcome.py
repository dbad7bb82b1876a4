"""What one look at an object found and did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from teleport_operator.conditions import Report
from teleport_operator.declaration import Note
from teleport_operator.patience import NOBODY_ASKED
from teleport_operator.reconcile.expiry import Expiry
from teleport_operator.reconcile.planning import Change


@dataclass(frozen=True, slots=True)
class Outcome:
    """It goes into the object's status, into Events and into the queue."""

    report: Report
    expiry: Expiry
    changes: Sequence[Change] = ()
    notes: Sequence[Note] = ()
    secret: Mapping[str, Any] = field(default_factory=dict)
    """For the status: where the value is, and of when."""
    look_again: datetime | None = None
    failed: bool = False
    """It is worth looking again soon."""
    asked_wait: timedelta = NOBODY_ASKED
    """For how long auth wants to be left alone."""
    name: str = field(default="", repr=False)
    """Of the token, for its ledger; empty where there is none."""
