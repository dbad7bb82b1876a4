import asyncio
from datetime import timedelta

import pytest

from support.clock import FakeClock
from teleport.kube.errors import Forbidden, NoAnswer
from teleport.kube.published_keys import FAILURE_PAUSE, LIFE, REFRESH_PAUSE, STALE_LIFE, PublishedKeys

MOMENT = timedelta(milliseconds=1)


class Publisher:
    """Publishes one key set after the other, while it is up."""

    def __init__(self) -> None:
        self.fetched = 0
        self.is_up = True
        self.gate = asyncio.Event()
        self.gate.set()
        self.clock = FakeClock()
        self.keys = PublishedKeys(self._fetch, clock=self.clock)

    async def _fetch(self) -> str:
        self.fetched += 1
        await self.gate.wait()
        if not self.is_up:
            raise NoAnswer(f"attempt {self.fetched} failed")
        return f"keys {self.fetched}"


async def test_keys_are_fetched_once_in_their_life() -> None:
    publisher = Publisher()
    assert await publisher.keys.load() == "keys 1"
    publisher.clock.advance(LIFE)
    assert await publisher.keys.load() == "keys 1"
    publisher.clock.advance(MOMENT)
    assert await publisher.keys.load() == "keys 2"


async def test_a_thousand_who_come_at_once_wait_for_one_fetch() -> None:
    publisher = Publisher()
    publisher.gate.clear()
    waiting = [asyncio.create_task(publisher.keys.load()) for _ in range(1000)]
    await asyncio.sleep(0)
    publisher.gate.set()
    assert set(await asyncio.gather(*waiting)) == {"keys 1"}
    assert publisher.fetched == 1


async def test_hostile_19_a_key_that_is_newer_than_the_last_fetch_is_looked_for_at_once() -> None:
    publisher = Publisher()
    await publisher.keys.load()
    assert await publisher.keys.refresh() == "keys 2"
    assert await publisher.keys.load() == "keys 2"


async def test_hostile_19_unknown_keys_lead_to_one_refresh_a_minute() -> None:
    publisher = Publisher()
    await publisher.keys.refresh()
    publisher.clock.advance(REFRESH_PAUSE)
    assert {await publisher.keys.refresh() for _ in range(1000)} == {"keys 1"}
    publisher.clock.advance(MOMENT)
    assert set(await asyncio.gather(*(publisher.keys.refresh() for _ in range(1000)))) == {"keys 2"}
    assert publisher.fetched == 2


async def test_hostile_19_nor_do_they_lead_to_more_when_the_publisher_is_down() -> None:
    publisher = Publisher()
    await publisher.keys.load()
    publisher.is_up = False
    assert {await publisher.keys.refresh() for _ in range(1000)} == {"keys 1"}
    assert publisher.fetched == 2


async def test_hostile_23_the_kind_of_failure_is_passed_on_and_says_when_to_come_back() -> None:
    async def refuse() -> str:
        raise Forbidden("no right")

    keys = PublishedKeys(refuse, clock=FakeClock())
    for _ in range(2):
        with pytest.raises(Forbidden, match="may not ask") as failure:
            await keys.load()
        assert failure.value.retry_after >= FAILURE_PAUSE


async def test_while_the_publisher_is_down_the_last_keys_are_good_for_an_hour() -> None:
    publisher = Publisher()
    await publisher.keys.load()
    publisher.is_up = False
    publisher.clock.advance(STALE_LIFE)
    assert await publisher.keys.load() == "keys 1"
    publisher.clock.advance(MOMENT)
    with pytest.raises(NoAnswer) as failure:
        await publisher.keys.load()
    assert failure.value.detail == "attempt 2 failed"
    assert failure.value.message == NoAnswer.PUBLIC


async def test_hostile_20_after_a_failure_nobody_waits_for_the_publisher_for_a_while() -> None:
    publisher = Publisher()
    publisher.is_up = False
    for _ in range(100):
        with pytest.raises(NoAnswer):
            await publisher.keys.load()
    assert publisher.fetched == 1
    publisher.is_up = True
    publisher.clock.advance(FAILURE_PAUSE + MOMENT)
    assert await publisher.keys.load() == "keys 2"


async def test_who_goes_away_while_the_keys_are_fetched_takes_nothing_from_the_others() -> None:
    publisher = Publisher()
    publisher.gate.clear()
    first, second = (asyncio.create_task(publisher.keys.load()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    publisher.gate.set()
    assert await second == "keys 2"
