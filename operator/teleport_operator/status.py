"""The status of an object: what it remembers from look to look, and what is written into it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from teleport.api.messages import TokenUse
from teleport.kube.custom_objects import RawObject
from teleport.resources.model import render_time
from teleport_operator.conditions import Activity, Ownership, Report, State, Type, build_conditions
from teleport_operator.declaration import Head
from teleport_operator.expiry import parse_moment
from teleport_operator.reconcile.expiry import Expiry

SUCCESS = "success"
OURS = frozenset(
    {
        "conditions",
        "observedGeneration",
        "expires",
        "expiresFrom",
        "expiryFingerprint",
        "joins",
        "lastJoin",
        "lastRefusal",
        "lastHandledReconcileAt",
        "secret",
    }
)
"""Fields that this operator writes, and by which it tells whether there is anything to write."""
_ACCOUNT_PREFIX = "system:serviceaccount:"

Plain = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Uses:
    """What is known of a token's joins and refusals."""

    joins: int = 0
    last_join: Plain | None = None
    last_refusal: Plain | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What an object's status says from an earlier look."""

    observed_generation: int
    expiry: Expiry
    conditions: Sequence[Plain]
    uses: Uses
    secret: Plain = field(default_factory=dict)

    @property
    def was_active(self) -> bool:
        """Tell whether the token was in the store, or was missed there and left so: it is not made anew for that."""
        reason = self._find(Type.ACTIVE).get("reason")
        return reason in (Activity.IN_STORE, Activity.NOT_YET, Activity.CONSUMED, State.DRIFTED, State.SYNCED)

    @property
    def is_new(self) -> bool:
        """Tell whether the token is still the one that was created for the object, and never changed."""
        return self._find(Type.RESOURCE_OWNED).get("reason") == Ownership.NEW

    @property
    def ready_reason(self) -> str:
        """Return the reason of condition Ready."""
        return str(self._find(Type.READY).get("reason", ""))

    def has(self, type_: Type) -> bool:
        """Tell whether a condition is there and true."""
        return self._find(type_).get("status") == "True"

    def _find(self, type_: Type) -> Plain:
        return next((condition for condition in self.conditions if condition["type"] == type_), {})


def read_recorded(raw: RawObject) -> Recorded:
    """Return what an object's status says; an object without one is as good as new."""
    status: Plain = raw.get("status") or {}
    expires = status.get("expires")
    return Recorded(
        observed_generation=status.get("observedGeneration", 0),
        expiry=Expiry(
            at=None if expires is None else parse_moment(expires),
            source=status.get("expiresFrom", ""),
            fingerprint=status.get("expiryFingerprint", ""),
        ),
        conditions=status.get("conditions", []),
        uses=Uses(status.get("joins", 0), status.get("lastJoin"), status.get("lastRefusal")),
        secret=status.get("secret", {}),
    )


def build_status(
    report: Report, *, head: Head, recorded: Recorded, expiry: Expiry, uses: Uses, secret: Plain, now: datetime
) -> Plain:
    """Return the whole status."""
    conditions = build_conditions(report, generation=head.generation, now=now, previous=recorded.conditions)
    status: dict[str, Any] = {
        "conditions": [condition.to_plain() for condition in conditions],
        "observedGeneration": head.generation,
        "joins": uses.joins,
    }
    optional = {
        "expires": None if expiry.at is None else render_time(expiry.at),
        "expiresFrom": expiry.source,
        "expiryFingerprint": expiry.fingerprint,
        "lastJoin": uses.last_join,
        "lastRefusal": uses.last_refusal,
        "lastHandledReconcileAt": head.reconcile_at,
        "secret": secret,
    }
    return status | {name: value for name, value in optional.items() if value}


def is_written(raw: RawObject, status: Plain) -> bool:
    """Tell whether the object has this status already, in whatever order its conditions stand."""
    present: Plain = raw.get("status") or {}
    return _comparable(present) == _comparable(status)


def _comparable(status: Plain) -> Plain:
    own = {name: value for name, value in status.items() if name in OURS}
    conditions = own.get("conditions", [])
    return own | {"conditions": {condition["type"]: condition for condition in conditions}}


def find_news(known: Uses, ledger: Sequence[TokenUse], since: datetime) -> Sequence[TokenUse]:
    """Return the uses that are newer than the last one that is known.

    Args:
        known: so far.
        ledger: some uses.
        since: the object's creation; what came before was another object's.
    """
    last_join, last_refusal = (
        since if each is None else parse_moment(each["time"]) for each in (known.last_join, known.last_refusal)
    )
    return tuple(use for use in ledger if use.time > (last_join if use.outcome == SUCCESS else last_refusal))


def count_uses(known: Uses, news: Sequence[TokenUse]) -> Uses:
    """Return what is known after some more uses."""
    joins = [use for use in news if use.outcome == SUCCESS]
    refusals = [use for use in news if use.outcome != SUCCESS]
    return Uses(
        joins=known.joins + len(joins),
        last_join=_render_join(max(joins, key=_time_of)) if joins else known.last_join,
        last_refusal=_render_refusal(max(refusals, key=_time_of)) if refusals else known.last_refusal,
    )


def _time_of(use: TokenUse) -> datetime:
    return use.time


def _render_join(use: TokenUse) -> Plain:
    join = {"time": render_time(use.time), "hostId": use.host_id}
    account = use.subject.removeprefix(_ACCOUNT_PREFIX)
    return join | ({"serviceAccount": account} if account else {})


def _render_refusal(use: TokenUse) -> Plain:
    message = f"role {use.role} was asked for from {use.remote_addr}; `tctl join explain` tells what would admit it"
    return {"time": render_time(use.time), "reason": use.outcome, "message": message}
