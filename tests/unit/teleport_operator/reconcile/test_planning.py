from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.declared import KUBERNETES, build_object, declare
from teleport.resources.token import Token
from teleport_operator.conditions import Activity, Ownership, State
from teleport_operator.marks import UID, read_marks, unmark
from teleport_operator.reconcile.expiry import Expiry
from teleport_operator.reconcile.planning import Change, Situation, build_desired, is_one_use, plan_token

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)
OPERATOR = "teleport-operator"
OTHER: dict[str, Any] = {**KUBERNETES, "roles": ["Node"]}


def situate(spec: object = None, **facts: Any) -> Situation:
    """Return a situation in which nothing is in the store."""
    declaration = declare(KUBERNETES if spec is None else spec)
    return Situation(declaration, **{"expiry": Expiry(), "operator": OPERATOR, "now": NOW, **facts})


def store(situation: Situation, **metadata: Any) -> Token:
    """Return the token of a situation as it is in the store after the plan was carried out."""
    return build_desired(situation).with_metadata(revision="7", **metadata)


def with_labels(token: Token, **changes: str) -> Token:
    """Return a token with other marks; keywords are the last parts of the labels' names."""
    labels = token.metadata.labels | {f"resources.teleport.dev/{key}": text for key, text in changes.items()}
    return token.with_metadata(labels=labels)


def test_what_is_not_there_is_created() -> None:
    plan = plan_token(situate())
    assert (plan.change, plan.report.state) == (Change.CREATE, State.SYNCED)
    assert (plan.report.ownership, plan.report.activity) == (Ownership.NEW, Activity.IN_STORE)
    assert plan.token is not None
    assert plan.token.metadata.labels[UID] == situate().declaration.head.uid


def test_what_is_as_declared_is_left_alone() -> None:
    situation = situate()
    plan = plan_token(replace(situation, actual=store(situation)))
    assert (plan.change, plan.token, plan.report.ownership) == (Change.NONE, None, Ownership.OURS)


def test_what_was_made_for_the_object_is_called_new_until_something_changes() -> None:
    situation = situate(was_new=True)
    assert plan_token(replace(situation, actual=store(situation))).report.ownership is Ownership.NEW
    edited = replace(situate(OTHER, was_new=True), actual=store(situation))
    assert plan_token(edited).report.ownership is Ownership.OURS


def test_a_masked_name_makes_no_difference() -> None:
    situation = situate({"roles": ["Node"], "ttl": "1h"})
    assert plan_token(replace(situation, actual=store(situation, name="*****"))).change is Change.NONE


def test_an_edit_of_the_object_is_written_at_the_revision_that_was_seen() -> None:
    plan = plan_token(replace(situate(OTHER), actual=store(situate())))
    assert plan.change is Change.UPDATE
    assert plan.token is not None
    assert plan.token.metadata.revision == "7"
    assert plan.token.spec.roles == ("Node",)


@pytest.mark.parametrize(
    ("policy", "change", "state"),
    [
        ("Repair", Change.REPAIR, State.SYNCED),
        ("Report", Change.NONE, State.DRIFTED),
        ("None", Change.NONE, State.SYNCED),
    ],
)
@pytest.mark.parametrize("gone", [True, False], ids=["deleted", "edited"])
def test_what_others_changed_is_dealt_with_as_the_policy_says(
    policy: str, change: Change, state: State, *, gone: bool
) -> None:
    situation = situate({**KUBERNETES, "driftPolicy": policy}, was_active=True)
    edited = store(situation).model_copy(update={"spec": build_desired(situate(OTHER)).spec})
    plan = plan_token(replace(situation, actual=None if gone else edited))
    assert (plan.change, plan.report.state) == (change, state)
    if policy != "Repair":
        assert plan.report.activity is (None if gone else Activity.IN_STORE)


def test_an_edit_of_the_object_is_no_drift_whatever_the_policy() -> None:
    situation = situate({**OTHER, "driftPolicy": "Report"}, was_active=True, actual=store(situate()))
    assert plan_token(situation).change is Change.UPDATE


@pytest.mark.parametrize(
    "stranger",
    [
        unmark(store(situate())),
        with_labels(store(situate()), operator="another"),
        with_labels(store(situate()), uid="another", object="elsewhere/name"),
    ],
    ids=["made by hand", "of another operator", "of another object"],
)
@pytest.mark.parametrize(
    ("policy", "change"), [("Never", Change.NONE), ("IfIdentical", Change.ADOPT), ("Always", Change.ADOPT)]
)
def test_what_is_somebody_else_s_is_taken_over_only_where_that_is_said(
    stranger: Token, policy: str, change: Change
) -> None:
    plan = plan_token(situate({**KUBERNETES, "adoptionPolicy": policy}, actual=stranger))
    assert plan.change is change
    if change is Change.NONE:
        assert (plan.report.state, plan.report.ownership) == (State.OWNERSHIP_CONFLICT, Ownership.FOREIGN)


@pytest.mark.parametrize(
    ("policy", "change", "state"), [("Repair", Change.REPAIR, State.SYNCED), ("Report", Change.NONE, State.DRIFTED)]
)
def test_what_was_this_object_s_and_bears_nobody_s_marks_was_written_over(
    policy: str, change: Change, state: State
) -> None:
    overwritten = unmark(store(situate(OTHER)))
    plan = plan_token(situate({**KUBERNETES, "driftPolicy": policy}, actual=overwritten, was_ours=True))
    assert (plan.change, plan.report.state) == (change, state)
    if plan.token is not None:
        assert (plan.token.metadata.revision, plan.token.spec.roles) == ("7", situate().declaration.token.spec.roles)


def test_what_bears_another_s_marks_is_another_s_whatever_it_was() -> None:
    taken = with_labels(store(situate()), operator="another")
    assert plan_token(situate(actual=taken, was_ours=True)).report.state is State.OWNERSHIP_CONFLICT


def test_what_differs_is_not_identical() -> None:
    stranger = unmark(store(situate()))
    assert plan_token(situate({**OTHER, "adoptionPolicy": "IfIdentical"}, actual=stranger)).change is Change.NONE
    assert plan_token(situate({**OTHER, "adoptionPolicy": "Always"}, actual=stranger)).change is Change.ADOPT


def test_the_token_of_an_object_that_had_this_place_is_taken_over() -> None:
    former = with_labels(store(situate()), uid="of-a-former-life")
    plan = plan_token(situate({**KUBERNETES, "driftPolicy": "Report"}, actual=former))
    assert plan.change is Change.UPDATE
    assert plan.token is not None
    assert read_marks(plan.token).uid == situate().declaration.head.uid


def test_whoever_has_the_lesser_claim_gives_way() -> None:
    of_a_rival = with_labels(store(situate()), uid="rival", object="elsewhere/name")
    assert plan_token(situate(actual=of_a_rival)).report.state is State.OWNERSHIP_CONFLICT
    assert plan_token(situate(actual=of_a_rival, losers=frozenset({"rival"}))).change is Change.UPDATE


def test_what_is_used_up_is_not_brought_back() -> None:
    plan = plan_token(situate(was_active=True, consumed=True))
    assert (plan.change, plan.report.activity) == (Change.NONE, Activity.CONSUMED)


def test_uses_and_times_decide_whether_it_lets_somebody_in() -> None:
    limited = {**KUBERNETES, "limits": {"max_uses": 2, "not_before": "2026-01-01T02:00:00Z"}}
    not_yet = plan_token(situate(limited))
    assert not_yet.report.activity is Activity.NOT_YET
    assert not_yet.look_again == datetime(2026, 1, 1, 2, tzinfo=UTC)
    later = NOW + timedelta(hours=2)
    assert plan_token(situate(limited, now=later, joins=1)).report.activity is Activity.IN_STORE
    assert plan_token(situate(limited, now=later, joins=2)).report.activity is Activity.CONSUMED


def test_the_next_look_is_when_the_end_is_near_and_then_at_the_end() -> None:
    end = datetime(2026, 1, 1, 10, tzinfo=UTC)
    early = plan_token(situate(expiry=Expiry(end)))
    assert (early.look_again, early.report.expiring_soon) == (end - timedelta(hours=1), False)
    late = plan_token(situate(expiry=Expiry(end), now=end - timedelta(minutes=1)))
    assert (late.look_again, late.report.expiring_soon) == (end, True)


def test_the_name_of_an_object_is_not_in_the_marks_of_a_token_that_it_opens() -> None:
    token = build_desired(situate({"roles": ["Node"], "ttl": "1h"}))
    assert token.name not in "".join(token.metadata.labels.values())
    assert build_object()["metadata"]["name"] == token.name


def test_the_secret_of_a_bot_is_for_one_use() -> None:
    bot = declare({"roles": ["Bot"], "bot_name": "robot", "secret": {}, "ttl": "1h"})
    assert is_one_use(bot.token)
    assert not is_one_use(declare(KUBERNETES).token)
