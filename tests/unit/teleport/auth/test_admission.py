from datetime import timedelta
from typing import Any

import pytest

from support.auth import ANONYMOUS, REMOTE_ADDR, build_host, build_token
from support.clock import START
from support.strangers import build_request
from teleport.api.joined import Keys, generate_keys
from teleport.auth import admission
from teleport.auth.access import Caller
from teleport.auth.join_request import JoinAttempt, parse_attempt
from teleport.auth.stores.tokens import StoredToken
from teleport.auth.stores.usage import Usage
from teleport.errors import BadParameter, JoinRefused
from teleport.resources.role import LOCAL_SERVICE_ROLES, SystemRole
from teleport.resources.token import Token, TokenLimits

TICK = timedelta(microseconds=1)
NODE, APP, BOT, INSTANCE = SystemRole.NODE, SystemRole.APP, SystemRole.BOT, SystemRole.INSTANCE


@pytest.fixture(scope="module")
def keys() -> Keys:
    return generate_keys()


def build_attempt(keys: Keys, caller: Caller = ANONYMOUS, **fields: Any) -> JoinAttempt:
    return parse_attempt(build_request(keys, "a-test-token", **fields), caller, frozenset())


def stored(token: Token) -> StoredToken:
    return StoredToken(token=token, lookup_id="0", revision=1)


def test_a_token_that_is_there_is_found() -> None:
    token = stored(build_token())
    assert admission.check_found(token, START) is token


def test_a_token_that_is_not_there_denies() -> None:
    with pytest.raises(JoinRefused) as caught:
        admission.check_found(None, START)
    assert caught.value.reason == "token_not_found"


def test_a_token_is_good_at_the_instant_of_its_expiry_and_a_tick_later_expired() -> None:
    token = stored(build_token(expires=START))
    assert admission.check_found(token, START) is token
    with pytest.raises(JoinRefused) as caught:
        admission.check_found(token, START + TICK)
    assert caught.value.reason == "token_expired"


def test_a_token_is_good_from_its_first_instant_on() -> None:
    token = stored(build_token(limits={"not_before": START}))
    assert admission.check_found(token, START) is token
    with pytest.raises(JoinRefused) as caught:
        admission.check_found(token, START - TICK)
    assert caught.value.reason == "token_not_yet_valid"


@pytest.mark.parametrize("method", ["", "token"])
def test_the_method_may_be_left_open_or_named(method: str) -> None:
    admission.check_method(build_token(), method)


def test_another_method_than_the_tokens_is_refused_by_name() -> None:
    with pytest.raises(BadParameter, match="'kubernetes', the token is for 'token'"):
        admission.check_method(build_token(), "kubernetes")


@pytest.mark.parametrize(
    ("networks", "address"),
    [
        ((), "203.0.113.9"),
        (("192.0.2.0/24",), "192.0.2.0"),
        (("192.0.2.0/24",), "192.0.2.255"),
        (("198.51.100.0/24", "192.0.2.7/32"), "192.0.2.7"),
        (("2001:db8::/32",), "2001:db8::1"),
        (("0.0.0.0/0", "::/0"), "2001:db8::1"),
    ],
)
def test_an_address_within_the_networks_passes(networks: tuple[str, ...], address: str) -> None:
    token = build_token(limits={"allow_cidrs": networks})
    admission.check_address(token, address)


@pytest.mark.parametrize(
    ("networks", "address"),
    [
        (("192.0.2.0/24",), "192.0.3.0"),
        (("192.0.2.0/24",), "2001:db8::1"),
        (("2001:db8::/32",), "2001:db9::1"),
        (("2001:db8::/32", "::/128"), "192.0.2.7"),
    ],
)
def test_an_address_outside_the_networks_denies(networks: tuple[str, ...], address: str) -> None:
    token = build_token(limits={"allow_cidrs": networks})
    with pytest.raises(JoinRefused) as caught:
        admission.check_address(token, address)
    assert caught.value.reason == "address_not_allowed"
    assert address not in caught.value.message


@pytest.mark.parametrize("role", sorted(LOCAL_SERVICE_ROLES))
def test_a_service_that_is_granted_passes(role: SystemRole) -> None:
    admission.check_role(build_token("t", role), role)
    admission.check_role(build_token("t", role), INSTANCE)


@pytest.mark.parametrize("role", sorted(set(SystemRole) - {NODE, INSTANCE}))
def test_hostile_33_a_role_that_is_not_granted_denies(role: SystemRole) -> None:
    with pytest.raises(JoinRefused) as caught:
        admission.check_role(build_token("t", NODE), role)
    assert caught.value.reason == "role_not_granted"


@pytest.mark.parametrize("role", sorted(set(SystemRole) - LOCAL_SERVICE_ROLES - {BOT}))
def test_hostile_33_what_is_no_service_is_never_granted(role: SystemRole) -> None:
    with pytest.raises(JoinRefused) as caught:
        admission.check_role(build_token("t", role), role)
    assert caught.value.reason == "role_not_granted"


def test_a_bot_joins_by_a_bots_token() -> None:
    admission.check_role(build_token("t", BOT, bot_name="robot"), BOT)


def test_a_bot_without_a_name_in_the_token_denies() -> None:
    with pytest.raises(JoinRefused, match="does not admit"):
        admission.check_role(build_token("t", BOT), BOT)


def test_uses_are_admitted_up_to_the_limit_and_not_once_more() -> None:
    limits = TokenLimits(max_uses=2)
    once = Usage().after_use("key-1", "host-1", START)
    admission.check_limits(limits, once, START)
    with pytest.raises(JoinRefused) as caught:
        admission.check_limits(limits, once.after_use("key-2", "host-2", START), START)
    assert caught.value.reason == "max_uses_reached"


def test_joins_are_admitted_up_to_the_hours_limit_and_again_an_hour_later() -> None:
    limits = TokenLimits(max_joins_per_hour=2)
    twice = Usage().after_use("key-1", "host-1", START).after_use("key-2", "host-2", START)
    admission.check_limits(limits, Usage().after_use("key-1", "host-1", START), START)
    with pytest.raises(JoinRefused) as caught:
        admission.check_limits(limits, twice, START + timedelta(hours=1) - TICK)
    assert caught.value.reason == "max_joins_per_hour_reached"
    admission.check_limits(limits, twice, START + timedelta(hours=1))


def test_without_limits_uses_do_not_matter() -> None:
    usage = Usage()
    for number in range(5):
        usage = usage.after_use(f"key-{number}", "host", START)
    admission.check_limits(TokenLimits(), usage, START)


def test_a_process_gets_the_services_of_its_token_in_order(keys: Keys) -> None:
    token = build_token("t", NODE, BOT, APP, bot_name="robot")
    assert admission.build_system_roles(token, build_attempt(keys)) == (APP, NODE)


def test_a_known_host_keeps_the_services_that_it_had(keys: Keys) -> None:
    attempt = build_attempt(keys, build_host(SystemRole.DB, SystemRole.ADMIN, remote_addr=REMOTE_ADDR))
    assert admission.build_system_roles(build_token("t", NODE), attempt) == (SystemRole.DB, NODE)


def test_a_single_service_has_no_list_of_services(keys: Keys) -> None:
    assert admission.build_system_roles(build_token("t", NODE), build_attempt(keys, role=NODE)) == ()


def test_all_refusals_tell_the_caller_the_same() -> None:
    refusals = {JoinRefused.PUBLIC}
    for check in (
        lambda: admission.check_found(None, START),
        lambda: admission.check_found(stored(build_token(expires=START)), START + TICK),
        lambda: admission.check_role(build_token("t", NODE), APP),
        lambda: admission.check_limits(TokenLimits(max_uses=1), Usage(uses=1), START),
    ):
        with pytest.raises(JoinRefused) as caught:
            check()
        refusals.add(caught.value.message)
    assert refusals == {JoinRefused.PUBLIC}
