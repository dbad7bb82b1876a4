"""Which Events tell people of a look: what was done, and what became different; never the same thing twice. Pure."""

from collections.abc import Iterator, Sequence

from teleport.kube.object_events import ObjectEvent
from teleport_operator.conditions import Report, State, Type
from teleport_operator.declaration import Note
from teleport_operator.reconcile.planning import Change
from teleport_operator.status import Recorded

_WARNINGS = frozenset(State) - {State.SYNCED, State.EXPIRED, State.PAUSED, State.PENDING}
_DONE = {
    Change.CREATE: "the token was created in the cluster",
    Change.UPDATE: "the token in the cluster is what the object says now",
    Change.REPAIR: "somebody changed or deleted the token in the cluster; it is again what the object says",
    Change.ADOPT: "a token that was there already is now this object's",
}


def find_events(
    report: Report, recorded: Recorded, *, changes: Sequence[Change], notes: Sequence[Note], generation: int
) -> Iterator[ObjectEvent]:
    """Yield the Events of one look.

    Args:
        report: what it found.
        recorded: what the status said before.
        changes: of tokens.
        notes: what else the object's author should know; told once for each generation.
        generation: of the object.
    """
    for change in changes:
        yield ObjectEvent(change, _DONE[change])
    if report.state is not State.SYNCED and report.state != recorded.ready_reason:
        yield ObjectEvent(report.state, report.message, is_warning=report.state in _WARNINGS)
    if report.expiring_soon and not recorded.has(Type.EXPIRING_SOON):
        yield ObjectEvent(Type.EXPIRING_SOON, "the token ends soon; see status.expires")
    if report.deletion_blocked and not recorded.has(Type.DELETION_BLOCKED):
        yield ObjectEvent(Type.DELETION_BLOCKED, report.deletion_blocked, is_warning=True)
    if generation != recorded.observed_generation:
        for note in notes:
            yield ObjectEvent(note.reason, note.message, is_warning=True)
