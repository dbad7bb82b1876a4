from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.declared import build_object
from teleport_operator.declaration import NEVER, ExpiryRule, ExpirySource
from teleport_operator.head import parse_head
from teleport_operator.reconcile.expiry import UNREADABLE, Expiry, anchor_expiry, find_notice

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOW = CREATED + timedelta(minutes=20)
HEAD = parse_head(build_object())
BY_TTL = ExpiryRule(ExpirySource.TTL, ttl=HOUR)


def record(rule: ExpiryRule, at: datetime | None) -> Expiry:
    """Return what a status says after the rule was anchored."""
    return Expiry(at, rule.source, rule.fingerprint)


def test_a_first_relative_rule_begins_at_the_object_s_creation() -> None:
    anchored = anchor_expiry(BY_TTL, Expiry(), HEAD, NOW)
    assert (anchored.expiry.at, anchored.record_first) == (CREATED + HOUR, False)


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=3000)))
def test_however_late_the_rule_is_seen_again_the_end_stays(later: timedelta) -> None:
    first = anchor_expiry(BY_TTL, Expiry(), HEAD, NOW)
    assert anchor_expiry(BY_TTL, first.expiry, HEAD, NOW + later).expiry == first.expiry


def test_where_the_status_is_lost_the_end_is_no_later_than_promised() -> None:
    lost = Expiry()
    assert anchor_expiry(BY_TTL, lost, HEAD, NOW + timedelta(days=9)).expiry.at == CREATED + HOUR


def test_another_relative_rule_begins_when_it_is_seen_and_is_recorded_first() -> None:
    before = record(ExpiryRule(ExpirySource.TTL, ttl=HOUR * 2), CREATED + HOUR * 2)
    anchored = anchor_expiry(BY_TTL, before, HEAD, NOW)
    assert (anchored.expiry.at, anchored.record_first) == (NOW + HOUR, True)


def test_the_rule_of_a_mended_spec_begins_when_it_is_seen() -> None:
    anchored = anchor_expiry(BY_TTL, Expiry(fingerprint=UNREADABLE), HEAD, NOW)
    assert anchored.expiry.at == NOW + HOUR


def test_a_request_for_a_new_secret_begins_a_new_life() -> None:
    first = anchor_expiry(BY_TTL, Expiry(), HEAD, NOW)
    renewed = anchor_expiry(BY_TTL, first.expiry, HEAD, NOW, renewals="please")
    assert renewed.expiry.at == NOW + HOUR
    assert anchor_expiry(BY_TTL, renewed.expiry, HEAD, NOW + HOUR, renewals="please").expiry == renewed.expiry


def test_a_moment_is_itself_and_needs_no_record() -> None:
    rule = ExpiryRule(ExpirySource.EXPIRES, at=CREATED + HOUR * 5)
    anchored = anchor_expiry(rule, record(BY_TTL, CREATED + HOUR), HEAD, NOW)
    assert (anchored.expiry.at, anchored.expiry.source, anchored.record_first) == (rule.at, "spec.expires", False)


def test_never_has_no_source() -> None:
    assert anchor_expiry(NEVER, Expiry(), HEAD, NOW).expiry == Expiry(None, "", NEVER.fingerprint)


def test_the_instant_of_the_end_is_still_good() -> None:
    expiry = Expiry(CREATED + HOUR)
    assert not expiry.is_over(CREATED + HOUR)
    assert expiry.is_over(CREATED + HOUR + timedelta(microseconds=1))
    assert not Expiry().is_over(datetime.max.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("life", "notice"), [(HOUR, timedelta(minutes=6)), (timedelta(days=100), timedelta(hours=24)), (-HOUR, timedelta())]
)
def test_the_end_is_near_in_the_last_tenth_and_a_day_at_most(life: timedelta, notice: timedelta) -> None:
    end = CREATED + life
    assert find_notice(Expiry(end), HEAD) == end - notice


def test_what_never_ends_ends_not_soon() -> None:
    assert find_notice(Expiry(), HEAD) is None
