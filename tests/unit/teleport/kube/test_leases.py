from datetime import UTC, datetime, timedelta, timezone

import pytest

from teleport.kube.errors import BadAnswer
from teleport.kube.leases import Lease, _render, parse_lease

RENEWED = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_a_lease_is_copied() -> None:
    spec = {
        "holderIdentity": "me",
        "leaseDurationSeconds": 15,
        "leaseTransitions": 2,
        "acquireTime": "2026-01-01T12:00:00.000000Z",
        "renewTime": "2026-01-01T12:00:00.000000Z",
    }
    lease = parse_lease({"metadata": {"resourceVersion": "7"}, "spec": spec})
    assert lease == Lease("me", timedelta(seconds=15), RENEWED, RENEWED, 2, "7")


@pytest.mark.parametrize(
    "spec",
    [None, {}, {"holderIdentity": 5, "leaseDurationSeconds": "15", "leaseTransitions": None, "renewTime": "soon"}],
)
def test_what_is_not_of_its_type_counts_as_not_set(spec: object) -> None:
    assert parse_lease({"metadata": {"resourceVersion": "7"}, "spec": spec}) == Lease(
        "", timedelta(), resource_version="7"
    )


def test_what_has_no_version_is_no_lease() -> None:
    with pytest.raises(BadAnswer):
        parse_lease({"spec": {}})


def test_times_have_microseconds_and_are_utc() -> None:
    elsewhere = RENEWED.astimezone(timezone(timedelta(hours=2)))
    assert _render(elsewhere) == "2026-01-01T12:00:00.000000Z"
    assert _render(None) is None
