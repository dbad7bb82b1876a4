from dataclasses import replace
from datetime import timedelta

import pytest

from support.clock import START
from teleport.kube.leases import Lease
from teleport_operator.election import DURATION, Sighting, claim, see

ME, OTHER = "me", "other"
HELD = Lease(OTHER, DURATION, acquired=START, renewed=START, transitions=3, resource_version="7")


def claim_at(lease: Lease | None, *, age: float) -> Lease | None:
    """Return the lease that is written when one has been as it is for some seconds."""
    return claim(Sighting(lease, since=100), ME, now=START, monotonic=100 + age)


def test_a_lease_that_is_not_there_is_taken() -> None:
    lease = claim_at(None, age=0)
    assert lease is not None
    assert (lease.holder, lease.transitions, lease.resource_version) == (ME, 0, "")


def test_a_lease_that_is_kept_by_somebody_else_is_left_alone() -> None:
    assert claim_at(HELD, age=DURATION.total_seconds() - 0.1) is None


def test_a_lease_that_nobody_renews_is_taken_over() -> None:
    lease = claim_at(HELD, age=DURATION.total_seconds())
    assert lease is not None
    assert (lease.holder, lease.transitions, lease.resource_version) == (ME, 4, "7")


def test_a_lease_that_was_given_back_is_taken_at_once() -> None:
    lease = claim_at(replace(HELD, holder=""), age=0)
    assert lease is not None
    assert lease.holder == ME


def test_the_own_lease_is_renewed_and_does_not_change_hands() -> None:
    lease = claim_at(replace(HELD, holder=ME), age=60)
    assert lease is not None
    assert (lease.holder, lease.transitions, lease.acquired, lease.renewed) == (ME, 3, START, START)


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_clocks_need_not_agree(seconds: int) -> None:
    elsewhere = replace(HELD, renewed=START + timedelta(seconds=seconds))
    assert claim_at(elsewhere, age=1) is None
    assert claim_at(elsewhere, age=15) is not None


def test_a_change_begins_the_time_anew() -> None:
    first = see(None, HELD, 100)
    assert see(first, HELD, 110) is first
    renewed = replace(HELD, resource_version="8")
    assert see(first, renewed, 110) == Sighting(renewed, 110)
