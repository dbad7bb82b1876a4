from typing import Any

from support.declared import KUBERNETES, build_object
from teleport_operator.conditions import Report, State
from teleport_operator.declaration import Note, NoteReason
from teleport_operator.reconcile.planning import Change
from teleport_operator.reconcile.telling import find_events
from teleport_operator.status import Recorded, read_recorded

NOTE = Note(NoteReason.NAME_IS_SECRET, "the name is the secret")


def remember(*conditions: tuple[str, str, str], generation: int = 3) -> Recorded:
    """Return what a status says: conditions with their status and reason."""
    plain = [{"type": type_, "status": status, "reason": reason} for type_, status, reason in conditions]
    return read_recorded(
        {**build_object(KUBERNETES), "status": {"conditions": plain, "observedGeneration": generation}}
    )


def tell(report: Report, recorded: Recorded, **facts: Any) -> list[tuple[str, bool]]:
    """Return the reasons of the Events, and whether they warn."""
    events = find_events(report, recorded, **{"changes": (), "notes": (), "generation": 3, **facts})
    return [(event.reason, event.is_warning) for event in events]


def test_what_was_done_is_told() -> None:
    changes = (Change.CREATE, Change.REPAIR)
    assert tell(Report(State.SYNCED), remember(), changes=changes) == [("Created", False), ("DriftRepaired", False)]


def test_where_nothing_changed_nothing_is_told() -> None:
    assert tell(Report(State.SYNCED), remember(("Ready", "True", "Synced"))) == []
    assert tell(Report(State.INVALID), remember(("Ready", "False", "Invalid"))) == []


def test_another_state_is_told_once_and_warned_of_where_it_is_wrong() -> None:
    assert tell(Report(State.INVALID), remember(("Ready", "True", "Synced"))) == [("Invalid", True)]
    assert tell(Report(State.EXPIRED), remember(("Ready", "True", "Synced"))) == [("Expired", False)]


def test_a_near_end_is_told_once() -> None:
    near = Report(State.SYNCED, expiring_soon=True)
    assert tell(near, remember()) == [("ExpiringSoon", False)]
    assert tell(near, remember(("ExpiringSoon", "True", "NearExpiry"))) == []


def test_a_deletion_that_waits_is_told_once() -> None:
    blocked = Report(State.AUTH_UNREACHABLE, deletion_blocked="auth is away")
    known = ("Ready", "Unknown", "AuthUnreachable")
    assert tell(blocked, remember(known)) == [("DeletionBlocked", True)]
    assert tell(blocked, remember(known, ("DeletionBlocked", "True", "TokenRemains"))) == []


def test_notes_are_told_once_for_each_generation() -> None:
    assert tell(Report(State.SYNCED), remember(generation=2), notes=(NOTE,)) == [("NameIsSecret", True)]
    assert tell(Report(State.SYNCED), remember(generation=3), notes=(NOTE,)) == []
