import asyncio

from teleport.web.turnstile import Turnstile


async def count_turns(turnstile: Turnstile, passed: list[int], number: int) -> None:
    await turnstile.enter()
    passed.append(number)


async def test_so_many_pass_at_once_as_are_let() -> None:
    turnstile, passed = Turnstile(3), list[int]()
    for number in range(3):
        await count_turns(turnstile, passed, number)
    assert passed == [0, 1, 2]


async def test_one_more_waits_for_the_next_turn() -> None:
    turnstile, passed = Turnstile(3), list[int]()
    tasks = [asyncio.create_task(count_turns(turnstile, passed, number)) for number in range(4)]
    await asyncio.sleep(0)
    assert passed == [0, 1, 2]
    await asyncio.gather(*tasks)
    assert passed == [0, 1, 2, 3]


async def test_whoever_does_not_wait_there_is_served_in_between() -> None:
    turnstile, passed = Turnstile(2), list[int]()
    tasks = [asyncio.create_task(count_turns(turnstile, passed, number)) for number in range(100)]
    most = 0
    while not all(task.done() for task in tasks):
        before = len(passed)
        await asyncio.sleep(0)
        most = max(most, len(passed) - before)
    assert most == 2
    assert passed == list(range(100))


async def test_after_a_crowd_the_way_is_free_again() -> None:
    turnstile, passed = Turnstile(2), list[int]()
    await asyncio.gather(*(count_turns(turnstile, passed, number) for number in range(7)))
    for _ in range(3):
        await asyncio.sleep(0)
    task = asyncio.create_task(count_turns(turnstile, passed, 7))
    await asyncio.sleep(0)
    assert task.done()


async def test_a_caller_that_was_cancelled_takes_nobodys_turn() -> None:
    turnstile, passed = Turnstile(1), list[int]()
    tasks = [asyncio.create_task(count_turns(turnstile, passed, number)) for number in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert passed == [0, 2, 3]
