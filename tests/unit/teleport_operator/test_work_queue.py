import asyncio
from datetime import timedelta

from support.virtual_time import run_in_virtual_time, seconds
from teleport_operator.work_queue import FIRST_RETRY, LONGEST_RETRY, WorkQueue

MINUTE = timedelta(minutes=1)


async def take(queue: WorkQueue[str]) -> str:
    key, _ = await queue.take()
    return key


async def test_a_key_waits_once_however_often_it_is_added() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert len(queue) == 2
    assert [await take(queue), await take(queue)] == ["a", "b"]
    assert len(queue) == 0


async def test_a_key_that_is_worked_on_waits_until_that_is_over() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    await take(queue)
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await take(queue) == "a"
    queue.done("a")
    assert len(queue) == 0


def test_whoever_waits_is_woken() -> None:
    async def work() -> str:
        queue: WorkQueue[str] = WorkQueue()
        asyncio.get_running_loop().call_later(5, queue.add, "a")
        return await take(queue)

    assert run_in_virtual_time(work()) == "a"


def test_the_earliest_of_several_moments_counts() -> None:
    async def work() -> list[int]:
        queue: WorkQueue[str] = WorkQueue()
        queue.add_after("a", MINUTE * 5)
        queue.add_after("a", MINUTE)
        queue.add_after("a", MINUTE * 2)
        queue.add_after("b", MINUTE * 3)
        taken = []
        for _ in range(2):
            queue.done(await take(queue))
            taken.append(round(seconds()))
        await asyncio.sleep(1000)
        assert len(queue) == 0
        return taken

    assert run_in_virtual_time(work()) == [60, 180]


def test_each_failure_makes_the_next_look_later_up_to_a_limit() -> None:
    async def work() -> list[timedelta]:
        queue: WorkQueue[str] = WorkQueue()
        delays = []
        for _ in range(12):
            delays.append(queue.add_failed("a"))
            queue.done(await take(queue))
        queue.succeed("a")
        delays.append(queue.add_failed("a"))
        return delays

    delays = run_in_virtual_time(work())
    assert FIRST_RETRY / 2 <= delays[0] <= FIRST_RETRY
    assert all(delay <= LONGEST_RETRY for delay in delays)
    assert delays[11] >= LONGEST_RETRY / 2
    assert delays[12] <= FIRST_RETRY


def test_a_forgotten_key_is_not_looked_at_later() -> None:
    async def work() -> int:
        queue: WorkQueue[str] = WorkQueue()
        queue.add_after("a", MINUTE)
        queue.forget("a")
        await asyncio.sleep(100)
        return len(queue)

    assert run_in_virtual_time(work()) == 0


async def test_what_is_added_and_put_off_is_told() -> None:
    told: list[str] = []
    queue: WorkQueue[str] = WorkQueue(on_added=lambda: told.append("added"), on_retry=lambda: told.append("retry"))
    queue.add("a")
    queue.add("a")
    queue.add_failed("a")
    assert told == ["added", "retry"]
