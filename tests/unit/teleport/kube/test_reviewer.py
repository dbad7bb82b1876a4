import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from support.clock import FakeClock
from support.virtual_time import run_in_virtual_time, seconds
from teleport.errors import Unavailable
from teleport.kube.errors import SOON, Forbidden, NoAnswer, TooBusy
from teleport.kube.review_cache import LIFE, REFUSAL_LIFE
from teleport.kube.reviewer import DEADLINE, MAX_PENDING, TokenReviewer, choose_return, compute_wait
from teleport.kube.token_review import ReviewStatus

AUDIENCES = ("example.com",)


class FakeApi:
    """Answers what it is told, when it is let."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failures: list[Unavailable] = []
        self.unknown: set[str] = set()
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
            return ReviewStatus(authenticated=token not in self.unknown, username=token, audiences=tuple(audiences))
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
    clock.advance(LIFE)
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
        with pytest.raises(NoAnswer) as failure:
            await reviewer.review("a", AUDIENCES)
        assert "in time" in failure.value.detail
        assert seconds() == pytest.approx(DEADLINE.total_seconds())
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


async def test_a_refusal_is_good_for_a_second() -> None:
    api = FakeApi()
    api.unknown = {"a"}
    reviewer, clock = build(api)
    await reviewer.review("a", AUDIENCES)
    clock.advance(REFUSAL_LIFE)
    await reviewer.review("a", AUDIENCES)
    assert len(api.asked) == 1
    clock.advance(timedelta(milliseconds=1))
    await reviewer.review("a", AUDIENCES)
    assert len(api.asked) == 2


async def test_failures_are_not_remembered() -> None:
    api = FakeApi()
    api.failures = [Forbidden("no right")]
    reviewer, _ = build(api)
    with pytest.raises(Forbidden):
        await reviewer.review("a", AUDIENCES)
    assert (await reviewer.review("a", AUDIENCES)).authenticated


def test_hostile_20_what_the_api_asks_for_is_waited_for_and_the_deadline_is_not_passed_for_it() -> None:
    async def scenario() -> None:
        api = FakeApi()
        api.failures = [NoAnswer("busy", timedelta(seconds=3)), NoAnswer("busy", timedelta(seconds=30))]
        reviewer, _ = build(api)
        with pytest.raises(NoAnswer) as failure:
            await reviewer.review("a", AUDIENCES)
        assert failure.value.retry_after == timedelta(seconds=30)
        assert 3 <= seconds() < 5

    run_in_virtual_time(scenario())


def test_hostile_20_who_cannot_wait_for_so_long_is_sent_away_at_once() -> None:
    async def scenario() -> None:
        api = FakeApi()
        away = timedelta(minutes=1)
        api.failures = [TooBusy("busy", away)]
        reviewer, _ = build(api)
        for token in ("a", "b"):
            with pytest.raises(TooBusy) as failure:
                await reviewer.review(token, AUDIENCES)
            assert failure.value.retry_after == away
        assert (api.asked, seconds()) == (["a"], 0)
        await asyncio.sleep(away.total_seconds())
        assert (await reviewer.review("b", AUDIENCES)).authenticated

    run_in_virtual_time(scenario())


def test_hostile_20_while_the_api_sends_everybody_away_nobody_else_asks() -> None:
    async def scenario() -> None:
        api = FakeApi()
        api.failures = [TooBusy("busy", timedelta(seconds=3))]
        reviewer, _ = build(api, max_in_flight=2)
        first = asyncio.create_task(reviewer.review("a", AUDIENCES))
        await asyncio.sleep(1)
        assert api.asked == ["a"]
        assert (await reviewer.review("b", AUDIENCES)).authenticated
        assert seconds() == pytest.approx(3)
        await first
        assert api.asked == ["a", "b", "a"]

    run_in_virtual_time(scenario())


def test_hostile_20_a_failure_of_one_question_holds_nobody_else_up() -> None:
    async def scenario() -> None:
        api = FakeApi()
        api.failures = [NoAnswer("down", timedelta(seconds=3))]
        reviewer, _ = build(api)
        first = asyncio.create_task(reviewer.review("a", AUDIENCES))
        await asyncio.sleep(1)
        assert (await reviewer.review("b", AUDIENCES)).authenticated
        assert seconds() == pytest.approx(1)
        await first

    run_in_virtual_time(scenario())


def test_hostile_24_those_who_waited_in_vain_do_not_come_back_together() -> None:
    returns = {choose_return() for _ in range(100)}
    assert SOON <= min(returns) < max(returns) <= DEADLINE


def test_hostile_20_nobody_waits_less_than_was_asked_for_and_not_all_wait_the_same() -> None:
    waits = {compute_wait(timedelta(milliseconds=100), timedelta(seconds=2)) for _ in range(100)}
    assert min(waits) >= 2
    assert max(waits) <= 3.1
    assert len(waits) > 1


async def test_hostile_24_beyond_the_bound_nobody_waits() -> None:
    api = FakeApi()
    api.gate.clear()
    reviewer, _ = build(api)
    waiting = [asyncio.create_task(reviewer.review(str(number), AUDIENCES)) for number in range(MAX_PENDING)]
    await asyncio.sleep(0)
    with pytest.raises(NoAnswer) as refusal:
        await reviewer.review("one too many", AUDIENCES)
    assert refusal.value.retry_after == DEADLINE
    same = asyncio.create_task(reviewer.review("0", AUDIENCES))
    api.gate.set()
    assert len(await asyncio.gather(same, *waiting)) == MAX_PENDING + 1


async def test_to_close_is_to_give_up_what_is_under_way() -> None:
    api = FakeApi()
    api.gate.clear()
    reviewer, _ = build(api)
    waiting = asyncio.create_task(reviewer.review("a", AUDIENCES))
    await asyncio.sleep(0)
    await reviewer.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert api.in_flight == 0
