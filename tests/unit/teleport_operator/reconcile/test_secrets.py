from datetime import UTC, datetime, timedelta

import pytest

from support.declared import declare
from teleport.errors import BadParameter
from teleport.kube.delivered_secrets import DeliveredSecret
from teleport_operator.declaration import SecretRule
from teleport_operator.reconcile.expiry import Expiry
from teleport_operator.reconcile.secrets import (
    SecretValue,
    check_value,
    choose_value,
    find_former_end,
    limit_life,
)

MADE = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
FRESH, OLD, GIVEN = "fresh-0123456789", "older-0123456789", "given-0123456789"


def build_rule(**section: object) -> SecretRule:
    """Return the rule that a spec's section states."""
    rule = declare({"roles": ["Node"], "secret": section, "ttl": "100h"}).secret
    assert rule is not None
    return rule


def deliver(value: str = OLD, *, handled: str = "") -> DeliveredSecret:
    """Return a Secret in which a value was delivered."""
    written = SecretValue(value, MADE, handled, is_new=True).render(None)
    return DeliveredSecret(written.data, written.annotations, "uid", "5")


def choose(
    delivered: DeliveredSecret | None,
    rule: SecretRule | None = None,
    *,
    rotate: str = "",
    given: str | None = None,
    after: timedelta = HOUR,
) -> SecretValue:
    """Return the value that is chosen some time after one was made."""
    chosen = rule or build_rule()
    return choose_value(chosen, delivered, rotate=rotate, given=given, fresh=FRESH, now=MADE + after)


def test_a_first_value_is_made() -> None:
    value = choose(None)
    assert (value.value, value.made_at, value.is_new) == (FRESH, MADE + HOUR, True)


def test_a_delivered_value_stays() -> None:
    value = choose(deliver())
    assert (value.value, value.made_at, value.is_new) == (OLD, MADE, False)


def test_a_request_is_answered_once() -> None:
    assert choose(deliver(), rotate="please").value == FRESH
    assert choose(deliver(handled="please"), rotate="please").value == OLD
    assert choose(deliver(handled="please"), rotate="again").value == FRESH
    assert choose(deliver(handled="please"), rotate="").value == OLD


def test_a_value_is_replaced_when_its_time_has_come() -> None:
    rule = build_rule(rotateEvery="24h")
    assert choose(deliver(), rule, after=HOUR * 24 - timedelta(seconds=1)).value == OLD
    assert choose(deliver(), rule, after=HOUR * 24).value == FRESH


def test_a_given_value_is_followed_and_requests_make_no_other() -> None:
    rule = build_rule(fromSecret={"name": "given"})
    assert choose(deliver(), rule, given=GIVEN).value == GIVEN
    assert not choose(deliver(GIVEN), rule, given=GIVEN, rotate="please").is_new


@pytest.mark.parametrize(
    "broken",
    [
        DeliveredSecret({}, {}, "uid", "5"),
        DeliveredSecret({"auth-token": "short"}, deliver().annotations, "uid", "5"),
        DeliveredSecret(deliver().data, {}, "uid", "5"),
    ],
    ids=["emptied", "shortened", "without its time"],
)
def test_a_secret_that_somebody_broke_gets_a_new_value(broken: DeliveredSecret) -> None:
    assert choose(broken).value == FRESH


def test_what_is_delivered_is_written_at_the_version_that_was_seen() -> None:
    assert choose(None).render(deliver()).resource_version == "5"
    assert choose(None).render(None).resource_version == ""


def test_values_have_labels_of_their_own() -> None:
    assert choose(deliver()).label != choose(deliver(), rotate="please").label


@pytest.mark.parametrize("value", ["", "fifteen-charact", "a" * 1025, "with\na-control-character"])
def test_what_would_be_no_secret_is_refused(value: str) -> None:
    with pytest.raises(BadParameter):
        check_value(value)


@pytest.mark.parametrize("value", ["sixteen-characte", "a" * 1024])
def test_what_would_be_one_is_not(value: str) -> None:
    check_value(value)


def test_a_rotating_value_lives_until_the_one_after_it_has_settled() -> None:
    rule = build_rule(rotateEvery="24h", overlap="2h")
    value = choose(deliver(), rule)
    assert limit_life(Expiry(), rule, value).at == MADE + HOUR * 26
    assert limit_life(Expiry(MADE + HOUR), rule, value).at == MADE + HOUR
    assert limit_life(Expiry(MADE + HOUR * 99), build_rule(), value).at == MADE + HOUR * 99


def test_a_former_value_ends_with_the_overlap_or_before() -> None:
    rule, value = build_rule(rotateEvery="24h", overlap="2h"), choose(deliver())
    assert find_former_end(None, rule, value) == MADE + HOUR * 2
    assert find_former_end(MADE + HOUR * 9, rule, value) == MADE + HOUR * 2
    assert find_former_end(MADE + HOUR, rule, value) == MADE + HOUR
    assert find_former_end(MADE + HOUR, build_rule(overlap="0s"), value) == MADE


def test_no_value_is_shown() -> None:
    assert FRESH not in repr(choose(None))
    assert OLD not in repr(deliver())
