import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from support.clock import FakeClock
from support.virtual_time import run_in_virtual_time
from teleport.errors import Unavailable
from teleport.kube.api import Forbidden
from teleport.kube.reviewer import CACHE_LIFE, TokenReviewer
from teleport.kube.token_review import ReviewStatus

AUDIENCES = ("example.com",)


class FakeApi:
    """Answers what it is told, when it is let."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failures: list[Unavailable] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.in_flight = self.most_in_flight = 0

    async def review_token(self, token: str, audiences: Sequence[str]) -> ReviewStatus:
        self.asked.append(token)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
            if self.failures:
                raise self.failures.pop(0)
            return ReviewStatus(authenticated=True, username=token, audiences=tuple(audiences))
        finally:
            self.in_flight -= 1


def build(api: FakeApi, *, max_in_flight: int = 50) -> tuple[TokenReviewer, FakeClock]:
    clock = FakeClock()
    return TokenReviewer(api=api, clock=clock, max_in_flight=max_in_flight), clock


async def test_identical_tokens_are_asked_about_once() -> None:
    api = FakeApi()
    reviewer, _ = build(api)
    answers = await asyncio.gather(*(reviewer.review("a", AUDIENCES) for _ in range(100)))
    assert api.asked == ["a"]
    assert {answer.username for answer in answers} == {"a"}


async def test_one_caller_that_goes_away_does_not_take_the_answer_from_the_others() -> None:
    api = FakeApi()
    api.gate.clear()
    reviewer, _ = build(api)
    first, second = (asyncio.create_task(reviewer.review("a", AUDIENCES)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    api.gate.set()
    assert (await second).username == "a"
    assert api.asked == ["a"]


async def test_an_answer_is_good_for_ten_seconds_and_for_its_audiences() -> None:
    api = FakeApi()
    reviewer, clock = build(api)
    await reviewer.review("a", AUDIENCES)
    clock.advance(CACHE_LIFE)
    await reviewer.review("a", AUDIENCES)
    assert len(api.asked) == 1
    await reviewer.review("a", ("other",))
    assert len(api.asked) == 2
    clock.advance(timedelta(milliseconds=1))
    await reviewer.review("a", AUDIENCES)
    assert len(api.asked) == 3


async def test_hostile_24_ten_thousand_tokens_are_asked_about_within_the_limit() -> None:
    api = FakeApi()
    reviewer, _ = build(api, max_in_flight=50)
    await asyncio.gather(*(reviewer.review(str(number), AUDIENCES) for number in range(10_000)))
    assert len(set(api.asked)) == 10_000
    assert api.most_in_flight == 50


def test_hostile_20_a_failure_is_tried_again() -> None:
    async def scenario() -> None:
        api = FakeApi()
        api.failures = [Unavailable("busy", timedelta(seconds=1)), Unavailable("down")]
        reviewer, _ = build(api)
        assert (await reviewer.review("a", AUDIENCES)).authenticated
        assert len(api.asked) == 3

    run_in_virtual_time(scenario())


def test_hostile_20_an_api_that_hangs_is_given_up_after_the_deadline_and_nobody_is_denied() -> None:
    async def scenario() -> None:
        api = FakeApi()
        api.gate.clear()
        reviewer, _ = build(api)
        with pytest.raises(Unavailable, match="in time"):
            await reviewer.review("a", AUDIENCES)
        api.gate.set()
        assert (await reviewer.review("a", AUDIENCES)).authenticated

    run_in_virtual_time(scenario())


async def test_hostile_23_what_is_forbidden_is_not_asked_again_and_again() -> None:
    api = FakeApi()
    api.failures = [Forbidden("no right")]
    reviewer, _ = build(api)
    with pytest.raises(Forbidden):
        await reviewer.review("a", AUDIENCES)
    assert api.asked == ["a"]
