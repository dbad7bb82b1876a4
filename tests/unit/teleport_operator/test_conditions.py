from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from lupa import LuaRuntime

from support.declared import CRD_FILE, ROOT, build_object
from teleport_operator.conditions import (
    MAX_MESSAGE,
    Activity,
    Condition,
    Ownership,
    Report,
    State,
    Status,
    Type,
    build_conditions,
)
from teleport_operator.problems import ProblemKind

NOW = datetime(2026, 1, 1, 12, 0, 0, 999999, tzinfo=UTC)
HEALTH = (ROOT / "docs" / "gitops" / "argo-cd-health.lua").read_text()
DEFAULT_STATUS = yaml.safe_load(CRD_FILE.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][
    "status"
]["default"]

REPORTS = {
    State.SYNCED: Report(State.SYNCED, "in the store", ownership=Ownership.NEW, activity=Activity.IN_STORE),
    State.EXPIRED: Report(State.EXPIRED, "ran out", ownership=Ownership.OURS, activity=Activity.EXPIRED),
    State.PAUSED: Report(State.PAUSED, "annotated", activity=Activity.IN_STORE),
    State.INVALID: Report(State.INVALID, "an unknown field", invalid=ProblemKind.UNKNOWN_FIELD),
    State.OWNERSHIP_CONFLICT: Report(State.OWNERSHIP_CONFLICT, "not ours", ownership=Ownership.FOREIGN),
    State.DUPLICATE_NAME: Report(State.DUPLICATE_NAME, "an older object", ownership=Ownership.FOREIGN),
    State.NAMESPACE_NOT_ALLOWED: Report(State.NAMESPACE_NOT_ALLOWED, "not from here"),
    State.AUTH_REJECTED: Report(State.AUTH_REJECTED, "auth says no", ownership=Ownership.OURS),
    State.DRIFTED: Report(State.DRIFTED, "roles differ", ownership=Ownership.OURS, activity=Activity.IN_STORE),
    State.SECRET_MISSING: Report(State.SECRET_MISSING, "no such Secret"),
    State.TRUST_UNAVAILABLE: Report(State.TRUST_UNAVAILABLE, "no keys"),
    State.AUTH_UNREACHABLE: Report(State.AUTH_UNREACHABLE, "no answer"),
    State.PENDING: Report(State.PENDING, "in the queue"),
}


def compute_kstatus(raw: Mapping[str, Any]) -> str:
    """Tell how it is by kstatus' rules for a kind it does not know: deletion, generation, its own conditions, Ready."""
    status = raw.get("status", {})
    if raw["metadata"].get("deletionTimestamp"):
        return "Terminating"
    if status.get("observedGeneration", raw["metadata"]["generation"]) != raw["metadata"]["generation"]:
        return "InProgress"
    for condition in status.get("conditions", []):
        if condition["type"] == "Reconciling" and condition["status"] == "True":
            return "InProgress"
        if condition["type"] == "Stalled" and condition["status"] == "True":
            return "Failed"
    for condition in status.get("conditions", []):
        if condition["type"] == "Ready":
            return "Current" if condition["status"] == "True" else "InProgress"
    return "Current"


def compute_argo(raw: Mapping[str, Any]) -> tuple[str, str]:
    """Run the health script as Argo CD does, with the object as the global `obj`."""
    lua = LuaRuntime(unpack_returned_tuples=True)
    lua.globals().obj = lua.table_from(dict(raw), recursive=True)
    health = lua.execute(HEALTH)
    return health["status"], health["message"]


def build_status(report: Report, generation: int = 3) -> dict[str, Any]:
    conditions = build_conditions(report, generation=generation, now=NOW)
    return {"observedGeneration": generation, "conditions": [condition.to_plain() for condition in conditions]}


def summarise(report: Report) -> dict[str, tuple[str, str]]:
    return {
        condition.type.value: (condition.status.value, condition.reason)
        for condition in build_conditions(report, generation=3, now=NOW)
    }


def test_there_is_a_report_for_every_state() -> None:
    assert list(REPORTS) == list(State)


@pytest.mark.parametrize(
    ("state", "kstatus", "argo"),
    [
        (State.SYNCED, "Current", "Healthy"),
        (State.EXPIRED, "Current", "Healthy"),
        (State.PAUSED, "Current", "Suspended"),
        (State.INVALID, "Failed", "Degraded"),
        (State.OWNERSHIP_CONFLICT, "Failed", "Degraded"),
        (State.DUPLICATE_NAME, "Failed", "Degraded"),
        (State.NAMESPACE_NOT_ALLOWED, "Failed", "Degraded"),
        (State.AUTH_REJECTED, "Failed", "Degraded"),
        (State.DRIFTED, "Failed", "Degraded"),
        (State.SECRET_MISSING, "InProgress", "Progressing"),
        (State.TRUST_UNAVAILABLE, "InProgress", "Progressing"),
        (State.AUTH_UNREACHABLE, "InProgress", "Progressing"),
        (State.PENDING, "InProgress", "Progressing"),
    ],
)
def test_tools_read_every_state_alike(state: State, kstatus: str, argo: str) -> None:
    raw = build_object({}) | {"status": build_status(REPORTS[state])}
    assert (compute_kstatus(raw), compute_argo(raw)) == (kstatus, (argo, REPORTS[state].message))


def test_an_object_at_which_nobody_looked_is_under_way() -> None:
    raw = build_object({}) | {"status": DEFAULT_STATUS}
    assert (compute_kstatus(raw), compute_argo(raw)[0]) == ("InProgress", "Progressing")
    assert compute_argo(build_object({}))[0] == "Progressing"


@pytest.mark.parametrize("state", State)
def test_a_status_of_an_older_generation_is_under_way(state: State) -> None:
    raw = build_object({}) | {"status": build_status(REPORTS[state], generation=2)}
    assert (compute_kstatus(raw), compute_argo(raw)[0]) == ("InProgress", "Progressing")


def test_an_object_that_goes_is_terminating_and_degraded_where_it_cannot() -> None:
    raw = build_object({}, deletionTimestamp="2026-01-01T00:00:00Z")
    going = raw | {"status": build_status(REPORTS[State.SYNCED])}
    blocked = raw | {"status": build_status(replace(REPORTS[State.SYNCED], deletion_blocked="auth is away"))}
    assert (compute_kstatus(going), compute_argo(going)) == ("Terminating", ("Progressing", "being deleted"))
    assert (compute_kstatus(blocked), compute_argo(blocked)) == ("Terminating", ("Degraded", "auth is away"))


@pytest.mark.parametrize(
    ("state", "conditions"),
    [
        (
            State.SYNCED,
            {
                "Ready": ("True", "Synced"),
                "Active": ("True", "InStore"),
                "ValidStructure": ("True", "NoError"),
                "TeleportResourceOwned": ("True", "NewResource"),
                "SuccessfullyReconciled": ("True", "NoError"),
            },
        ),
        (
            State.EXPIRED,
            {
                "Ready": ("True", "Expired"),
                "Active": ("False", "Expired"),
                "ValidStructure": ("True", "NoError"),
                "TeleportResourceOwned": ("True", "OriginLabelMatching"),
                "SuccessfullyReconciled": ("True", "NoError"),
            },
        ),
        (
            State.PAUSED,
            {"Ready": ("True", "Paused"), "Active": ("True", "InStore"), "Paused": ("True", "Annotated")},
        ),
        (
            State.INVALID,
            {
                "Ready": ("False", "Invalid"),
                "Active": ("False", "Invalid"),
                "Stalled": ("True", "Invalid"),
                "ValidStructure": ("False", "UnknownField"),
            },
        ),
        (
            State.OWNERSHIP_CONFLICT,
            {
                "Ready": ("False", "OwnershipConflict"),
                "Active": ("False", "OwnershipConflict"),
                "Stalled": ("True", "OwnershipConflict"),
                "ValidStructure": ("True", "NoError"),
                "TeleportResourceOwned": ("False", "OriginLabelNotMatching"),
            },
        ),
        (
            State.AUTH_REJECTED,
            {
                "Ready": ("False", "AuthRejected"),
                "Active": ("False", "AuthRejected"),
                "Stalled": ("True", "AuthRejected"),
                "ValidStructure": ("True", "NoError"),
                "TeleportResourceOwned": ("True", "OriginLabelMatching"),
                "SuccessfullyReconciled": ("False", "TeleportError"),
            },
        ),
        (
            State.SECRET_MISSING,
            {
                "Ready": ("False", "SecretMissing"),
                "Active": ("False", "SecretMissing"),
                "Reconciling": ("True", "SecretMissing"),
                "ValidStructure": ("True", "NoError"),
                "SuccessfullyReconciled": ("False", "MutationError"),
            },
        ),
        (
            State.AUTH_UNREACHABLE,
            {
                "Ready": ("Unknown", "AuthUnreachable"),
                "Active": ("Unknown", "AuthUnreachable"),
                "Reconciling": ("True", "AuthUnreachable"),
                "ValidStructure": ("True", "NoError"),
                "SuccessfullyReconciled": ("False", "TeleportError"),
            },
        ),
        (
            State.PENDING,
            {"Ready": ("Unknown", "Pending"), "Active": ("Unknown", "Pending"), "Reconciling": ("True", "Pending")},
        ),
    ],
)
def test_the_conditions_of_a_state(state: State, conditions: dict[str, tuple[str, str]]) -> None:
    assert summarise(REPORTS[state]) == conditions


@pytest.mark.parametrize("activity", [Activity.CONSUMED, Activity.NOT_YET])
def test_a_token_in_the_store_may_let_nobody_in(activity: Activity) -> None:
    found = summarise(replace(REPORTS[State.SYNCED], activity=activity))
    assert (found["Ready"], found["Active"]) == (("True", "Synced"), ("False", activity.value))


def test_an_older_version_in_the_store_keeps_an_invalid_object_active() -> None:
    found = summarise(replace(REPORTS[State.INVALID], activity=Activity.IN_STORE))
    assert (found["Ready"][0], found["Active"]) == ("False", ("True", "InStore"))


def test_warnings_stand_beside_and_change_nothing_else() -> None:
    calm = REPORTS[State.SYNCED]
    found = summarise(replace(calm, name_is_secret=True, expiring_soon=True))
    assert found["NameIsSecret"] == ("True", "NoSecretSection")
    assert found["ExpiringSoon"] == ("True", "NearExpiry")
    assert {key: found[key] for key in summarise(calm)} == summarise(calm)


@pytest.mark.parametrize("state", State)
def test_every_condition_can_be_written(state: State) -> None:
    for condition in build_status(REPORTS[state])["conditions"]:
        assert condition["reason"].isalpha()
        assert condition["observedGeneration"] == 3
        assert condition["lastTransitionTime"] == "2026-01-01T12:00:00Z"


def test_no_type_stands_twice() -> None:
    for report in REPORTS.values():
        types = [condition.type for condition in build_conditions(report, generation=1, now=NOW)]
        assert len(types) == len(set(types))


def find(conditions: tuple[Condition, ...], type_: Type) -> Condition:
    return next(condition for condition in conditions if condition.type is type_)


def test_the_time_of_a_transition_stays_while_the_status_does() -> None:
    before = build_status(REPORTS[State.SYNCED])["conditions"]
    later = NOW + timedelta(hours=1)
    after = build_conditions(REPORTS[State.EXPIRED], generation=4, now=later, previous=before)
    assert find(after, Type.READY).last_transition == NOW.replace(microsecond=0)
    assert find(after, Type.ACTIVE).last_transition == later.replace(microsecond=0)


def test_a_transition_from_the_default_status_is_one() -> None:
    after = build_conditions(REPORTS[State.SYNCED], generation=1, now=NOW, previous=DEFAULT_STATUS["conditions"])
    assert find(after, Type.READY).status is Status.TRUE
    assert find(after, Type.READY).last_transition == NOW.replace(microsecond=0)


@pytest.mark.parametrize("time", [{}, {"lastTransitionTime": "2026-12-31T23:59:60Z"}])
def test_a_transition_whose_time_cannot_be_read_happens_now(time: dict[str, str]) -> None:
    before = [{"type": "Ready", "status": "True", **time}]
    (ready, *_) = build_conditions(REPORTS[State.SYNCED], generation=1, now=NOW, previous=before)
    assert ready.last_transition == NOW.replace(microsecond=0)


def test_an_equal_report_gives_equal_conditions() -> None:
    before = build_status(REPORTS[State.INVALID])["conditions"]
    later = NOW + timedelta(hours=1)
    after = build_conditions(REPORTS[State.INVALID], generation=3, now=later, previous=before)
    assert [condition.to_plain() for condition in after] == before


@pytest.mark.parametrize("length", [MAX_MESSAGE, MAX_MESSAGE + 1])
def test_a_message_is_bounded(length: int) -> None:
    (ready, *_) = build_conditions(Report(State.PENDING, "x" * length), generation=1, now=NOW)
    assert len(ready.message) == MAX_MESSAGE
