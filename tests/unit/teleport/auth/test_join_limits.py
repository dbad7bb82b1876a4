from datetime import timedelta

import pytest

from support.auth import InProcessAuth
from teleport.auth import join_limits
from teleport.auth.join_limits import JoinLimits
from teleport.config.settings import ConnectionLimits, Rate
from teleport.errors import LimitExceeded, StorageError

MINUTE = timedelta(minutes=1)
LIMITS = ConnectionLimits(refused_joins=Rate(MINUTE, average=2, burst=3))


def build_limits(auth: InProcessAuth) -> JoinLimits:
    return JoinLimits(limits=LIMITS, audit_log=auth.audit_log, clock=auth.clock)


async def test_an_address_may_be_refused_up_to_the_burst_and_not_once_more() -> None:
    auth = await InProcessAuth.start()
    limits = build_limits(auth)
    for _ in range(3):
        limits.check("192.0.2.7")
        await limits.charge("192.0.2.7")
    with pytest.raises(LimitExceeded) as caught:
        limits.check("192.0.2.7")
    assert caught.value.retry_after == timedelta(seconds=30)
    limits.check("192.0.2.8")


async def test_time_lets_an_address_try_again() -> None:
    auth = await InProcessAuth.start()
    limits = build_limits(auth)
    for _ in range(3):
        await limits.charge("192.0.2.7")
    auth.clock.advance(timedelta(seconds=30))
    limits.check("192.0.2.7")


async def test_looking_costs_nothing() -> None:
    limits = build_limits(await InProcessAuth.start())
    for _ in range(100):
        limits.check("192.0.2.7")


async def exhaust(limits: JoinLimits, address: str, attempts: int) -> None:
    for _ in range(3):
        await limits.charge(address)
    for _ in range(attempts):
        with pytest.raises(LimitExceeded):
            limits.check(address)


async def test_hostile_29_attempts_beyond_the_limit_are_one_event_for_each_address() -> None:
    auth = await InProcessAuth.start()
    limits = build_limits(auth)
    await exhaust(limits, "192.0.2.7", 500)
    await exhaust(limits, "192.0.2.8", 1)
    await limits.flush()
    events = await auth.list_events("join.limited")
    assert {(event["remote_addr"], event["attempts"]) for event in events} == {("192.0.2.7", 500), ("192.0.2.8", 1)}
    assert {event["code"] for event in events} == {"TJ003W"}
    await limits.flush()
    assert len(await auth.list_events("join.limited")) == 2


async def test_what_could_not_be_written_is_written_the_next_time() -> None:
    auth = await InProcessAuth.start()
    limits = build_limits(auth)
    await exhaust(limits, "192.0.2.7", 2)
    auth.backend.fail_next(StorageError("the disk is full"))
    with pytest.raises(StorageError):
        await limits.flush()
    await limits.flush()
    assert [event["attempts"] for event in await auth.list_events("join.limited")] == [2]


async def test_the_number_of_counted_addresses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join_limits, "MAX_COUNTED_ADDRESSES", 2)
    auth = await InProcessAuth.start()
    limits = build_limits(auth)
    for number in range(3):
        await exhaust(limits, f"192.0.2.{number}", 1)
    await limits.flush()
    assert len(await auth.list_events("join.limited")) == 2


async def test_an_address_is_told_twenty_times_to_wait_and_is_not_worth_a_handshake_then() -> None:
    auth = await InProcessAuth.start()
    limits = build_limits(auth)
    await exhaust(limits, "192.0.2.7", 19)
    assert limits.is_heeded_by("192.0.2.7")
    await exhaust(limits, "192.0.2.7", 1)
    assert not limits.is_heeded_by("192.0.2.7")
    assert limits.is_heeded_by("192.0.2.8")


async def test_an_address_that_has_waited_is_worth_a_handshake_again() -> None:
    auth = await InProcessAuth.start()
    limits = build_limits(auth)
    await exhaust(limits, "192.0.2.7", 20)
    auth.clock.advance(timedelta(seconds=2))
    assert not limits.is_heeded_by("192.0.2.7")
    auth.clock.advance(timedelta(seconds=28))
    assert limits.is_heeded_by("192.0.2.7")
    limits.check("192.0.2.7")


async def test_hostile_29_addresses_of_one_ipv6_network_are_told_together() -> None:
    auth = await InProcessAuth.start()
    limits = build_limits(auth)
    await exhaust(limits, "2001:db8::1", 20)
    assert not limits.is_heeded_by("2001:db8::2")
    assert limits.is_heeded_by("2001:db8:0:1::1")
