"""From what is declared and what is in the store to what must be done: a ladder, one outcome a rung. Pure."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from teleport.resources.role import SystemRole
from teleport.resources.token import Token
from teleport_operator.conditions import Activity, Ownership, Report, State
from teleport_operator.declaration import AdoptionPolicy, Declaration, DriftPolicy
from teleport_operator.marks import Marks, has_equal_content, is_equal, mark, read_marks
from teleport_operator.reconcile.expiry import Expiry, find_notice


class Change(StrEnum):
    """What is done to a token; the values are the reasons of Events, in which a person reads them."""

    NONE = ""
    CREATE = "Created"
    UPDATE = "Updated"
    REPAIR = "DriftRepaired"
    ADOPT = "Adopted"


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that a decision about one token depends on."""

    declaration: Declaration
    expiry: Expiry
    operator: str
    """The id of this operator."""
    now: datetime
    actual: Token | None = None
    """The token in the store, its name masked or not."""
    was_active: bool = False
    """The status says that a token of this rule was in the store."""
    was_ours: bool = False
    """The same; it stays true where somebody else was faster meanwhile."""
    consumed: bool = False
    """The token is used up, and nobody took it away."""
    joins: int = 0
    losers: frozenset[str] = frozenset()
    """Uids of objects which want the same token, and have the lesser claim."""
    was_new: bool = False
    """The status says that the token was made for the object, and nothing has changed since."""
    name: str | None = field(default=None, repr=False)
    """The token's, where the object's is not."""
    secret: str = ""
    """Which of an object's secrets it is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, and what is true when it has been done."""

    report: Report
    change: Change = Change.NONE
    token: Token | None = field(default=None, repr=False)
    """To be written, at the revision it names."""
    look_again: datetime | None = None


def plan_token(situation: Situation) -> Plan:
    """Decide about the token of an object that is not being deleted, and whose time is not over."""
    if situation.actual is None:
        return _plan_absent(situation)
    desired = build_desired(situation)
    marks = read_marks(situation.actual)
    if situation.was_ours and not marks.is_ours:
        # This object's token was in the store, and a name has one token: somebody has written over it.
        return _plan_drift(situation, _at_revision(desired, situation.actual), "the token was replaced in the cluster")
    if not is_own(marks, situation):
        return _plan_foreign(situation, situation.actual, desired)
    if is_equal(situation.actual, desired):
        return _settled(situation)
    if marks != read_marks(desired):
        return _settled(situation, Change.UPDATE, _at_revision(desired, situation.actual))
    return _plan_drift(situation, _at_revision(desired, situation.actual), "the token was edited in the cluster")


def build_desired(situation: Situation) -> Token:
    """Return the token as it should be, with the marks of its object."""
    head = situation.declaration.head
    token = situation.declaration.build_token(expires=situation.expiry.at, name=situation.name)
    return mark(token, Marks(situation.operator, head.uid, head.namespace, head.name, secret=situation.secret))


def is_own(marks: Marks, situation: Situation) -> bool:
    """Tell whether a token is this object's, that of one which had its place and is gone, or that of a lesser claim."""
    head = situation.declaration.head
    if marks.operator != situation.operator or not marks.is_ours:
        return False
    has_its_place = marks.namespace == head.namespace and marks.name in ("", head.name)
    return marks.uid == head.uid or has_its_place or marks.uid in situation.losers


def _plan_absent(situation: Situation) -> Plan:
    if situation.consumed:
        report = Report(State.SYNCED, "the token is used up", ownership=Ownership.OURS, activity=Activity.CONSUMED)
        return Plan(report)
    desired = build_desired(situation)
    if situation.was_active:
        return _plan_drift(situation, desired, "the token was deleted in the cluster")
    return _settled(situation, Change.CREATE, desired)


def _plan_foreign(situation: Situation, actual: Token, desired: Token) -> Plan:
    policy = situation.declaration.adoption_policy
    adopts = policy is AdoptionPolicy.ALWAYS or (
        policy is AdoptionPolicy.IF_IDENTICAL and has_equal_content(actual, desired)
    )
    if adopts:
        return _settled(situation, Change.ADOPT, _at_revision(desired, actual))
    return Plan(
        Report(
            State.OWNERSHIP_CONFLICT,
            f"there is a token of this name which {_describe_owner(read_marks(actual))} made; rename the object, "
            "delete that token, or set spec.adoptionPolicy to IfIdentical or Always",
            ownership=Ownership.FOREIGN,
        )
    )


def _describe_owner(marks: Marks) -> str:
    if not marks.is_ours:
        return "somebody else"
    return f"object {marks.namespace}/{marks.name} of operator {marks.operator!r}"


def _plan_drift(situation: Situation, desired: Token, message: str) -> Plan:
    match situation.declaration.drift_policy:
        case DriftPolicy.REPAIR:
            return _settled(situation, Change.REPAIR, desired)
        case DriftPolicy.REPORT:
            activity = None if situation.actual is None else _find_activity(situation)
            message = f"{message}, and spec.driftPolicy is Report"
            return Plan(Report(State.DRIFTED, message, ownership=Ownership.OURS, activity=activity))
        case DriftPolicy.NONE:
            activity = None if situation.actual is None else _find_activity(situation)
            return Plan(Report(State.SYNCED, message, ownership=Ownership.OURS, activity=activity))


def _settled(situation: Situation, change: Change = Change.NONE, token: Token | None = None) -> Plan:
    """Return the plan after which the store is as declared."""
    declaration, now = situation.declaration, situation.now
    notice = find_notice(situation.expiry, declaration.head)
    limits = declaration.token.spec.limits
    moments = (notice, situation.expiry.at, limits.not_before if limits is not None else None)
    is_new = change is Change.CREATE or (change is Change.NONE and situation.was_new)
    report = Report(
        State.SYNCED,
        ownership=Ownership.NEW if is_new else Ownership.OURS,
        activity=_find_activity(situation),
        name_is_secret=declaration.name_is_secret,
        expiring_soon=notice is not None and notice <= now,
    )
    return Plan(report, change, token, min((each for each in moments if each is not None and each > now), default=None))


def _find_activity(situation: Situation) -> Activity:
    limits = situation.declaration.token.spec.limits
    if limits is not None and limits.not_before is not None and situation.now < limits.not_before:
        return Activity.NOT_YET
    if limits is not None and limits.max_uses is not None and situation.joins >= limits.max_uses:
        return Activity.CONSUMED
    return Activity.IN_STORE


def is_one_use(token: Token) -> bool:
    """Tell whether the first join uses the token up, as auth has it for the secrets of bots."""
    return SystemRole.BOT in token.spec.roles and token.is_secret


def _at_revision(desired: Token, actual: Token) -> Token:
    return desired.with_metadata(revision=actual.metadata.revision)
