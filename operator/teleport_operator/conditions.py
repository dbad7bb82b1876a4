"""The conditions of an object's status: from what came of it to what people and tools read. Pure.

Ready follows kstatus, so that `kubectl wait`, Flux and Argo CD agree: a token that ran out as declared is ready, one
that needs a person is stalled, everything else is under way. ValidStructure, TeleportResourceOwned and
SuccessfullyReconciled have the states and reasons of the original, whose users' scripts read them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from teleport.errors import BadParameter
from teleport.resources.model import render_time
from teleport_operator.expiry import parse_moment
from teleport_operator.problems import ProblemKind

MAX_MESSAGE = 4096


class Status(StrEnum):
    """What a condition says."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Type(StrEnum):
    """The types of conditions, in the order in which they are shown."""

    READY = "Ready"
    ACTIVE = "Active"
    """The token is in the store and would be accepted now."""
    RECONCILING = "Reconciling"
    """Only there while it is true, as are all that follow but the original's three."""
    STALLED = "Stalled"
    """Nothing will change before a person changes something."""
    VALID_STRUCTURE = "ValidStructure"
    RESOURCE_OWNED = "TeleportResourceOwned"
    RECONCILED = "SuccessfullyReconciled"
    PAUSED = "Paused"
    EXPIRING_SOON = "ExpiringSoon"
    NAME_IS_SECRET = "NameIsSecret"  # noqa: S105 - a condition's type
    DELETION_BLOCKED = "DeletionBlocked"


class State(StrEnum):
    """What came of an object; the reason of its condition Ready."""

    SYNCED = "Synced"
    EXPIRED = "Expired"
    PAUSED = "Paused"
    INVALID = "Invalid"
    OWNERSHIP_CONFLICT = "OwnershipConflict"
    DUPLICATE_NAME = "DuplicateName"
    NAMESPACE_NOT_ALLOWED = "NamespaceNotAllowed"
    AUTH_REJECTED = "AuthRejected"
    DRIFTED = "Drifted"
    """The token is not what the object says, and the drift policy forbids to mend it."""
    SECRET_MISSING = "SecretMissing"  # noqa: S105 - a reason
    TRUST_UNAVAILABLE = "TrustUnavailable"
    AUTH_UNREACHABLE = "AuthUnreachable"
    PENDING = "Pending"


class Ownership(StrEnum):
    """Whose the token is; the reasons of TeleportResourceOwned."""

    NEW = "NewResource"
    OURS = "OriginLabelMatching"
    FOREIGN = "OriginLabelNotMatching"


class Activity(StrEnum):
    """Whether the token lets somebody in; the reasons of Active."""

    IN_STORE = "InStore"
    EXPIRED = "Expired"
    CONSUMED = "Consumed"
    """All its uses are spent."""
    NOT_YET = "NotYet"
    """`limits.not_before` is still to come."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a look at an object found."""

    state: State
    message: str = ""
    invalid: ProblemKind = ProblemKind.FAILED_TO_DECODE
    """Looked at where the state is INVALID."""
    ownership: Ownership | None = None
    """None where nobody came so far as to look."""
    activity: Activity | None = None
    """None where nothing of this object is in the store, or nobody knows."""
    name_is_secret: bool = False
    expiring_soon: bool = False
    deletion_blocked: str = ""
    """Why the object cannot go, where that is so."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One entry of `status.conditions`."""

    type: Type
    status: Status
    reason: str
    message: str
    observed_generation: int
    last_transition: datetime

    def to_plain(self) -> dict[str, Any]:
        """Return it as Kubernetes has it."""
        return {
            "type": self.type.value,
            "status": self.status.value,
            "reason": self.reason,
            "message": self.message,
            "observedGeneration": self.observed_generation,
            "lastTransitionTime": render_time(self.last_transition),
        }


Claim = tuple[Type, Status, str, str]
"""Type, status, reason and message."""

_SETTLED = frozenset({State.SYNCED, State.EXPIRED, State.PAUSED})
_STALLED = frozenset(
    {
        State.INVALID,
        State.OWNERSHIP_CONFLICT,
        State.DUPLICATE_NAME,
        State.NAMESPACE_NOT_ALLOWED,
        State.AUTH_REJECTED,
        State.DRIFTED,
    }
)
_UNKNOWN = frozenset({State.AUTH_UNREACHABLE, State.PENDING})
_NO_ERROR = "NoError"
_RECONCILED: Mapping[State, tuple[Status, str]] = {
    State.SYNCED: (Status.TRUE, _NO_ERROR),
    State.EXPIRED: (Status.TRUE, _NO_ERROR),
    State.AUTH_REJECTED: (Status.FALSE, "TeleportError"),
    State.AUTH_UNREACHABLE: (Status.FALSE, "TeleportError"),
    State.TRUST_UNAVAILABLE: (Status.FALSE, "MutationError"),
    State.SECRET_MISSING: (Status.FALSE, "MutationError"),
}
"""States in which the original would have come so far as to write the token."""
_BETTER_WAY = (
    "whoever may read this object can join; add `secret: {}` to the spec, and the operator keeps a secret apart"
)


def build_conditions(
    report: Report, *, generation: int, now: datetime, previous: Sequence[Mapping[str, Any]] = ()
) -> tuple[Condition, ...]:
    """Return the conditions for what a look found.

    Args:
        report: what it found.
        generation: of the object that was looked at.
        now: from when on a status holds that is another one than before.
        previous: the conditions as they stand in the object.
    """
    before = {condition.get("type"): condition for condition in previous}
    claims = (*_claim_current(report), *_claim_original(report), *_claim_warnings(report))
    return tuple(
        Condition(
            type=type_,
            status=status,
            reason=reason,
            message=message[:MAX_MESSAGE],
            observed_generation=generation,
            last_transition=_find_transition(before.get(type_, {}), status, now),
        )
        for type_, status, reason, message in claims
    )


def _claim_current(report: Report) -> Iterator[Claim]:
    """Say how it is, in kstatus' terms and ours."""
    state, message = report.state, report.message
    ready = Status.TRUE if state in _SETTLED else Status.UNKNOWN if state in _UNKNOWN else Status.FALSE
    yield Type.READY, ready, state, message
    if report.activity is not None:
        active = Status.TRUE if report.activity is Activity.IN_STORE else Status.FALSE
        yield Type.ACTIVE, active, report.activity, ""
    else:
        yield Type.ACTIVE, Status.UNKNOWN if state in _UNKNOWN else Status.FALSE, state, message
    if state in _STALLED:
        yield Type.STALLED, Status.TRUE, state, message
    elif state not in _SETTLED:
        yield Type.RECONCILING, Status.TRUE, state, message


def _claim_original(report: Report) -> Iterator[Claim]:
    """Say what the original says; what it would not have looked at is left out."""
    if report.state is State.INVALID:
        yield Type.VALID_STRUCTURE, Status.FALSE, report.invalid, report.message
        return
    if report.state not in (State.PENDING, State.PAUSED):
        yield Type.VALID_STRUCTURE, Status.TRUE, _NO_ERROR, ""
    if report.ownership is Ownership.FOREIGN:
        yield Type.RESOURCE_OWNED, Status.FALSE, report.ownership, report.message
    elif report.ownership is not None:
        yield Type.RESOURCE_OWNED, Status.TRUE, report.ownership, ""
    if report.state in _RECONCILED:
        status, reason = _RECONCILED[report.state]
        yield Type.RECONCILED, status, reason, "" if status is Status.TRUE else report.message


def _claim_warnings(report: Report) -> Iterator[Claim]:
    if report.state is State.PAUSED:
        yield Type.PAUSED, Status.TRUE, "Annotated", report.message
    if report.expiring_soon:
        yield Type.EXPIRING_SOON, Status.TRUE, "NearExpiry", ""
    if report.name_is_secret:
        yield Type.NAME_IS_SECRET, Status.TRUE, "NoSecretSection", _BETTER_WAY
    if report.deletion_blocked:
        yield Type.DELETION_BLOCKED, Status.TRUE, "TokenRemains", report.deletion_blocked


def _find_transition(before: Mapping[str, Any], status: Status, now: datetime) -> datetime:
    """Return since when the status holds; Kubernetes counts whole seconds."""
    if before.get("status") == status:
        with suppress(BadParameter):
            return parse_moment(before.get("lastTransitionTime", ""))
    return now.replace(microsecond=0)
