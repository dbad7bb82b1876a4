from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from support.backend import SteeredBackend
from support.clock import START, FakeClock
from teleport.auth.stores.usage import HOUR, MAX_HOLDERS, Usage, build_usage_commit, load_usage
from teleport.errors import CompareFailed

TICK = timedelta(microseconds=1)


async def test_a_token_that_was_never_used_has_no_record() -> None:
    assert await load_usage(SteeredBackend(clock=FakeClock()), "id") == Usage()


async def test_a_count_is_read_back_with_its_revision() -> None:
    backend = SteeredBackend(clock=FakeClock())
    after = Usage().after_use("key", "host", START)
    condition, put = build_usage_commit("id", Usage(), after, START)
    revision = await backend.commit([condition], [put])
    found = await load_usage(backend, "id")
    assert found == Usage(1, after.by_minute, after.holders, revision)


async def test_of_two_who_count_on_the_same_record_one_must_begin_anew() -> None:
    backend = SteeredBackend(clock=FakeClock())
    for number, fails in enumerate((False, True)):
        condition, put = build_usage_commit("id", Usage(), Usage().after_use(f"key-{number}", "h", START), None)
        try:
            await backend.commit([condition], [put])
        except CompareFailed:
            assert fails
    assert (await load_usage(backend, "id")).uses == 1


async def test_the_count_goes_when_the_token_does() -> None:
    clock = FakeClock()
    backend = SteeredBackend(clock=clock)
    condition, put = build_usage_commit("id", Usage(), Usage().after_use("key", "host", START), START)
    await backend.commit([condition], [put])
    clock.advance(timedelta(days=1))
    assert (await load_usage(backend, "id")).uses == 1
    clock.advance(TICK)
    assert (await load_usage(backend, "id")).uses == 0


def test_a_holder_may_ask_again_for_two_minutes() -> None:
    usage = Usage().after_use("key", "host", START)
    holder = usage.find_holder("key", START + timedelta(minutes=2))
    assert holder is not None
    assert holder.host_id == "host"
    assert usage.find_holder("key", START + timedelta(minutes=2, seconds=1)) is None
    assert usage.find_holder("another", START) is None


def test_holders_are_bounded_and_the_latest_stay() -> None:
    usage = Usage()
    for number in range(MAX_HOLDERS + 1):
        usage = usage.after_use(f"key-{number}", "host", START)
    assert len(usage.holders) == MAX_HOLDERS
    assert usage.find_holder("key-0", START) is None
    assert usage.find_holder(f"key-{MAX_HOLDERS}", START) is not None


def test_holders_whose_time_is_over_are_forgotten() -> None:
    usage = Usage().after_use("old", "host", START).after_use("new", "host", START + timedelta(minutes=3))
    assert [holder.key_fingerprint for holder in usage.holders] == ["new"]


@given(st.lists(st.integers(0, 5 * 3600), min_size=1, max_size=60))
def test_no_use_of_the_last_hour_is_forgotten_and_the_record_stays_small(offsets: list[int]) -> None:
    usage = Usage()
    for offset in sorted(offsets):
        usage = usage.after_use("key", "host", START + timedelta(seconds=offset))
    now = START + timedelta(seconds=max(offsets))
    exact = sum(START + timedelta(seconds=offset) > now - HOUR for offset in offsets)
    assert exact <= usage.uses_in_last_hour(now) <= usage.uses == len(offsets)
    assert len(usage.by_minute) <= 61
