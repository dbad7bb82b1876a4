import asyncio
from dataclasses import dataclass
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from support.clock import FakeClock
from teleport.web.limits import GlobalDelay, RateLimiter

SECOND = timedelta(seconds=1)
ADDRESS = "192.0.2.7"


@dataclass(frozen=True)
class SomeRate:
    period: timedelta = SECOND
    average: int = 2
    burst: int = 3


class FakeSleep:
    """Sleeps until it is told to wake everybody."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._awake = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await self._awake.wait()

    def wake(self) -> None:
        self._awake.set()


def build_limiter(clock: FakeClock, max_addresses: int = 10) -> RateLimiter:
    return RateLimiter(SomeRate(), clock, max_addresses)


def test_the_burst_is_let_through_and_one_more_is_not() -> None:
    limiter = build_limiter(FakeClock())
    assert [limiter.charge(ADDRESS) for _ in range(4)] == [True, True, True, False]


def test_after_the_burst_the_average_holds() -> None:
    clock = FakeClock()
    limiter = build_limiter(clock)
    for _ in range(3):
        limiter.charge(ADDRESS)
    clock.advance(SECOND)
    assert [limiter.charge(ADDRESS) for _ in range(3)] == [True, True, False]


def test_an_idle_address_gets_no_more_than_its_burst() -> None:
    clock = FakeClock()
    limiter = build_limiter(clock)
    limiter.charge(ADDRESS)
    clock.advance(timedelta(days=1))
    assert [limiter.charge(ADDRESS) for _ in range(4)] == [True, True, True, False]


def test_retry_after_is_when_the_next_one_fits() -> None:
    clock = FakeClock()
    limiter = build_limiter(clock)
    for _ in range(3):
        limiter.charge(ADDRESS)
    wait = limiter.retry_after(ADDRESS)
    assert wait == timedelta(milliseconds=500)
    clock.advance(wait - timedelta(milliseconds=1))
    assert not limiter.check(ADDRESS)
    clock.advance(timedelta(milliseconds=1))
    assert limiter.check(ADDRESS)


def test_who_may_ask_need_not_wait() -> None:
    assert build_limiter(FakeClock()).retry_after(ADDRESS) == timedelta(0)


def test_a_check_counts_nothing() -> None:
    limiter = build_limiter(FakeClock())
    assert all(limiter.check(ADDRESS) for _ in range(10))


def test_a_refusal_counts_nothing() -> None:
    clock = FakeClock()
    limiter = build_limiter(clock)
    for _ in range(100):
        limiter.charge(ADDRESS)
    clock.advance(timedelta(milliseconds=500))
    assert limiter.charge(ADDRESS)


def test_a_refund_gives_one_event_back() -> None:
    limiter = build_limiter(FakeClock())
    for _ in range(3):
        limiter.charge(ADDRESS)
    limiter.refund(ADDRESS)
    assert [limiter.charge(ADDRESS) for _ in range(2)] == [True, False]


def test_a_refund_to_a_stranger_changes_nothing() -> None:
    limiter = build_limiter(FakeClock())
    limiter.refund(ADDRESS)
    assert [limiter.charge(ADDRESS) for _ in range(4)] == [True, True, True, False]


def test_refunds_never_raise_the_burst() -> None:
    clock = FakeClock()
    limiter = build_limiter(clock)
    limiter.charge(ADDRESS)
    for _ in range(10):
        limiter.refund(ADDRESS)
    assert [limiter.charge(ADDRESS) for _ in range(4)] == [True, True, True, False]


def test_one_address_does_not_pay_for_another() -> None:
    limiter = build_limiter(FakeClock())
    for _ in range(4):
        limiter.charge(ADDRESS)
    assert limiter.charge("192.0.2.8")


def test_addresses_of_one_ipv6_network_share_a_rate() -> None:
    limiter = build_limiter(FakeClock())
    assert [limiter.charge(f"2001:db8::{host}") for host in range(1, 5)] == [True, True, True, False]


def test_the_table_forgets_whoever_was_seen_longest_ago() -> None:
    limiter = build_limiter(FakeClock(), max_addresses=2)
    for _ in range(3):
        limiter.charge("192.0.2.1")
    limiter.charge("192.0.2.2")
    assert not limiter.check("192.0.2.1")
    limiter.charge("192.0.2.3")
    assert limiter.check("192.0.2.1")


@given(st.lists(st.integers(min_value=0, max_value=3000), max_size=60))
def test_no_window_lets_more_through_than_burst_and_average(pauses: list[int]) -> None:
    clock = FakeClock()
    limiter = build_limiter(clock)
    passed = 0
    for pause in pauses:
        clock.advance(timedelta(milliseconds=pause))
        passed += limiter.charge(ADDRESS)
    assert passed <= 3 + 2 * sum(pauses) / 1000


def build_delay(clock: FakeClock, sleep: FakeSleep, max_sleepers: int = 2) -> GlobalDelay:
    return GlobalDelay(rate=SomeRate(burst=1), clock=clock, sleep=sleep, max_sleepers=max_sleepers)


async def test_refusals_within_the_rate_are_answered_at_once() -> None:
    clock, sleep = FakeClock(), FakeSleep()
    delay = build_delay(clock, sleep)
    for _ in range(5):
        await delay.refused()
        clock.advance(timedelta(milliseconds=500))
    assert sleep.seconds == []


async def test_refusals_above_the_rate_wait_longer_and_longer_up_to_a_second() -> None:
    clock, sleep = FakeClock(), FakeSleep()
    delay = build_delay(clock, sleep, max_sleepers=10)
    sleep.wake()
    for _ in range(5):
        await delay.refused()
    assert sleep.seconds == [0.5, 1.0, 1.0, 1.0]


async def test_the_delay_ends_soon_after_the_flood() -> None:
    clock, sleep = FakeClock(), FakeSleep()
    delay = build_delay(clock, sleep)
    sleep.wake()
    for _ in range(1000):
        await delay.refused()
    clock.advance(timedelta(seconds=2))
    sleep.seconds.clear()
    await delay.refused()
    assert sleep.seconds == []


async def test_no_more_sleepers_than_the_bound_wait_at_once() -> None:
    clock, sleep = FakeClock(), FakeSleep()
    delay = build_delay(clock, sleep, max_sleepers=2)
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(delay.refused()) for _ in range(5)]
        await asyncio.sleep(0)
        assert [task.done() for task in waiting] == [True, False, False, True, True]
        sleep.wake()
    assert len(sleep.seconds) == 2
