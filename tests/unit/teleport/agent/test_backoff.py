from datetime import timedelta

from support.virtual_time import run_in_virtual_time, seconds
from teleport.agent.backoff import Backoff, sleep_about


async def measure(backoff: Backoff, count: int) -> list[float]:
    waits = []
    for _ in range(count):
        start = seconds()
        await backoff.wait()
        waits.append(seconds() - start)
    return waits


def test_waits_double_up_to_a_minute_and_are_cut_by_half_at_most() -> None:
    waits = run_in_virtual_time(measure(Backoff(), 9))
    for wait, longest in zip(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=True):
        assert longest / 2 <= wait <= longest


def test_a_success_begins_anew() -> None:
    async def work() -> list[float]:
        backoff = Backoff(first=timedelta(seconds=4))
        before = await measure(backoff, 3)
        backoff.reset()
        return [*before, *await measure(backoff, 1)]

    assert 2 <= run_in_virtual_time(work())[-1] <= 4


def test_agents_do_not_come_in_step() -> None:
    assert len({run_in_virtual_time(measure(Backoff(), 1))[0] for _ in range(10)}) > 1


def test_a_sleep_is_within_its_share() -> None:
    async def work() -> float:
        await sleep_about(timedelta(minutes=1), at_least=0.8)
        return seconds()

    assert 48 <= run_in_virtual_time(work()) <= 60


def test_hostile_20_what_the_other_side_asks_for_is_waited_for_and_not_in_step() -> None:
    async def work() -> list[float]:
        waits = []
        for asked in (0.1, 20, 3600):
            start = seconds()
            await Backoff().wait(timedelta(seconds=asked))
            waits.append(seconds() - start)
        return waits

    little, usual, endless = run_in_virtual_time(work())
    assert 0.5 <= little <= 1
    assert 20 <= usual <= 30
    assert 60 <= endless <= 90
    assert len({run_in_virtual_time(work())[1] for _ in range(10)}) > 1
