from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.declared import KUBERNETES, build_object
from teleport.api.messages import TokenUse
from teleport_operator.conditions import Activity, Ownership, Report, State
from teleport_operator.head import parse_head
from teleport_operator.reconcile.expiry import Expiry
from teleport_operator.status import Uses, build_status, count_uses, find_news, is_written, read_recorded

NOW = datetime(2026, 1, 1, 1, 0, 0, 500, tzinfo=UTC)
EXPIRY = Expiry(NOW + timedelta(hours=1), "spec.ttl", "abc")
SYNCED = Report(State.SYNCED, ownership=Ownership.NEW, activity=Activity.IN_STORE)


def build_use(minute: int, outcome: str = "success", subject: str = "") -> TokenUse:
    """Return a use some minutes after midnight."""
    time = datetime(2026, 1, 1, 0, minute, tzinfo=UTC)
    return TokenUse(
        time=time, host_id=f"host-{minute}", remote_addr="192.0.2.7", role="Node", outcome=outcome, subject=subject
    )


def write(raw: dict[str, Any], report: Report = SYNCED, uses: Uses | None = None) -> dict[str, Any]:
    """Return the object with the status that a look ends with."""
    status = build_status(
        report,
        head=parse_head(raw),
        recorded=read_recorded(raw),
        expiry=EXPIRY,
        uses=uses or Uses(),
        secret={},
        now=NOW,
    )
    return {**raw, "status": dict(status)}


def test_what_is_written_is_read_back() -> None:
    recorded = read_recorded(write(build_object(KUBERNETES)))
    assert recorded.expiry == EXPIRY
    assert recorded.observed_generation == 3
    assert (recorded.ready_reason, recorded.was_active, recorded.is_new) == ("Synced", True, True)


@pytest.mark.parametrize("state", [State.DRIFTED, State.SYNCED])
def test_what_was_missed_in_the_store_and_left_so_is_not_new(state: State) -> None:
    assert read_recorded(write(build_object(KUBERNETES), Report(state, ownership=Ownership.OURS))).was_active


@pytest.mark.parametrize("state", [State.PENDING, State.PAUSED, State.OWNERSHIP_CONFLICT, State.AUTH_UNREACHABLE])
def test_what_never_came_into_the_store_was_not_active(state: State) -> None:
    assert not read_recorded(write(build_object(KUBERNETES), Report(state))).was_active


def test_an_object_without_a_status_is_as_good_as_new() -> None:
    recorded = read_recorded(build_object(KUBERNETES))
    assert (recorded.expiry, recorded.uses, recorded.was_active) == (Expiry(), Uses(), False)


def test_the_same_is_written_once_in_whatever_order_its_conditions_come_back() -> None:
    written = write(build_object(KUBERNETES))
    conditions = list(reversed(written["status"]["conditions"]))
    shuffled = {**written, "status": {**written["status"], "conditions": conditions, "teleportResourceID": 0}}
    assert is_written(shuffled, write(shuffled)["status"])


def test_what_is_not_there_any_more_is_a_difference() -> None:
    written = write(build_object(KUBERNETES))
    older = {**written, "status": {**written["status"], "lastRefusal": {"time": "2026-01-01T00:00:00Z"}}}
    assert not is_written(older, written["status"])
    assert not is_written(build_object(KUBERNETES), written["status"])


def test_joins_and_refusals_are_counted_once() -> None:
    ledger = [build_use(3), build_use(2, "token_expired"), build_use(1)]
    created = datetime(2026, 1, 1, tzinfo=UTC)
    first = count_uses(Uses(), find_news(Uses(), ledger, created))
    assert first.joins == 2
    assert find_news(first, ledger, created) == ()
    second = count_uses(first, find_news(first, [build_use(5), *ledger], created))
    assert (second.joins, second.last_join) == (3, {"time": "2026-01-01T00:05:00Z", "hostId": "host-5"})
    assert second.last_refusal == first.last_refusal
    assert first.last_refusal is not None
    assert first.last_refusal["reason"] == "token_expired"


def test_what_came_before_the_object_is_another_object_s() -> None:
    assert find_news(Uses(), [build_use(1)], datetime(2026, 1, 1, 0, 1, tzinfo=UTC)) == ()


def test_a_pod_is_told_by_its_service_account() -> None:
    uses = count_uses(Uses(), [build_use(1, subject="system:serviceaccount:apps:web")])
    assert uses.last_join is not None
    assert uses.last_join["serviceAccount"] == "apps:web"


def test_a_status_remembers_uses() -> None:
    uses = count_uses(Uses(), [build_use(1), build_use(2, "no_rule_matched")])
    assert read_recorded(write(build_object(KUBERNETES), uses=uses)).uses == uses
