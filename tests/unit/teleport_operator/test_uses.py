import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import cast

from support.clock import START
from support.declared import KUBERNETES, build_object
from support.virtual_time import run_in_virtual_time, seconds
from teleport.api.messages import TokenUse
from teleport.errors import Unavailable
from teleport_operator.head import parse_head
from teleport_operator.status import Uses
from teleport_operator.tokens import Tokens
from teleport_operator.uses import MAX_NEWS, PAUSE, SHORTEST_ROUND, UsesPoll

HEAD = replace(parse_head(build_object(KUBERNETES)), uid="uid-1", created=START)


def build_use(minute: float, outcome: str = "success") -> TokenUse:
    """Return a use so many minutes after the object was made."""
    time = START + timedelta(minutes=minute)
    return TokenUse(time=time, host_id="host", remote_addr="192.0.2.1", role="App", outcome=outcome)


class FakeTokens:
    """Ledgers, newest first; those of some names cannot be read."""

    def __init__(self) -> None:
        self.ledgers: dict[str, list[TokenUse]] = {}
        self.broken: set[str] = set()
        self.asked: list[tuple[str, float]] = []
        self.while_asked: Callable[[], None] = lambda: None

    async def list_uses(self, name: str, since: datetime) -> tuple[TokenUse, ...]:
        self.asked.append((name, seconds()))
        self.while_asked()
        if name in self.broken:
            raise Unavailable("auth is away")
        return tuple(use for use in self.ledgers.get(name, ()) if use.time > since)


class Story:
    """A poll, and of which objects it had news."""

    def __init__(self) -> None:
        self.tokens = FakeTokens()
        self.poll = UsesPoll(tokens=cast("Tokens", self.tokens))
        self.news: list[str] = []

    def run(self, rounds: int = 1) -> None:
        """Let it go round for a while of virtual time."""

        async def go() -> None:
            task = asyncio.create_task(self.poll.run(self.news.append))
            await asyncio.sleep(SHORTEST_ROUND.total_seconds() * (rounds - 0.5))
            task.cancel()

        run_in_virtual_time(go())


def test_a_use_is_news_once() -> None:
    story = Story()
    story.poll.follow("uid-1", "a")
    story.tokens.ledgers["a"] = [build_use(1)]
    story.run(rounds=3)
    assert story.news == ["uid-1"]


def test_joins_and_refusals_are_counted_upon_what_is_known() -> None:
    story = Story()
    story.poll.follow("uid-1", "a")
    story.tokens.ledgers["a"] = [build_use(3, "no_rule_matched"), build_use(2), build_use(1)]
    story.run()
    uses = story.poll.count(HEAD, Uses())
    assert uses.joins == 2
    assert uses.last_join is not None
    assert uses.last_refusal is not None
    assert uses.last_refusal["reason"] == "no_rule_matched"


def test_what_was_counted_already_is_not_counted_again() -> None:
    story = Story()
    story.poll.follow("uid-1", "a")
    story.tokens.ledgers["a"] = [build_use(1)]
    story.run()
    written = story.poll.count(HEAD, Uses())
    assert story.poll.count(HEAD, Uses()) == written, "until it is written it is news"
    assert story.poll.count(HEAD, written) == written
    story.tokens.ledgers["a"] = [build_use(2), build_use(1)]
    story.run()
    assert story.poll.count(HEAD, written).joins == 2


def test_what_happened_before_the_object_was_made_is_anothers() -> None:
    story = Story()
    story.poll.follow("uid-1", "a")
    story.tokens.ledgers["a"] = [build_use(1), build_use(-1)]
    story.run()
    assert story.poll.count(HEAD, Uses()).joins == 1


def test_no_more_news_are_kept_than_there_is_room_for() -> None:
    story = Story()
    story.poll.follow("uid-1", "a")
    story.tokens.ledgers["a"] = [build_use(number) for number in range(MAX_NEWS + 1, 0, -1)]
    story.run()
    assert story.poll.count(HEAD, Uses()).joins == MAX_NEWS


def test_a_ledger_that_cannot_be_read_keeps_nobody_from_the_others() -> None:
    story = Story()
    story.tokens.broken = {"a"}
    for uid, name in (("uid-1", "a"), ("uid-2", "b")):
        story.poll.follow(uid, name)
        story.tokens.ledgers[name] = [build_use(1)]
    story.run()
    assert story.news == ["uid-2"]
    story.tokens.broken = set()
    story.run()
    assert story.news == ["uid-2", "uid-1"]


def test_auth_is_asked_bit_by_bit() -> None:
    story = Story()
    for number in range(10):
        story.poll.follow(f"uid-{number}", f"name-{number}")
    story.run()
    moments = [moment for _, moment in story.tokens.asked]
    assert len(moments) == 10
    assert all(later - earlier >= PAUSE.total_seconds() - 1e-6 for earlier, later in pairwise(moments))


def test_a_round_takes_its_time_however_few_there_are() -> None:
    story = Story()
    story.poll.follow("uid-1", "a")
    story.run(rounds=4)
    assert len(story.tokens.asked) == 4


def test_nobody_asks_for_the_ledger_of_an_object_that_is_gone() -> None:
    story = Story()
    story.poll.follow("uid-1", "a")
    story.poll.forget("uid-1")
    story.poll.forget("nobody")
    story.run()
    assert story.tokens.asked == []


def test_an_object_that_goes_while_its_ledger_is_read_leaves_nothing_behind() -> None:
    story = Story()
    story.poll.follow("uid-1", "a")
    story.tokens.ledgers["a"] = [build_use(1)]
    story.tokens.while_asked = lambda: story.poll.forget("uid-1")
    story.run()
    assert story.news == []
    assert story.poll.count(HEAD, Uses()) == Uses()


def test_where_the_token_has_no_name_any_more_its_last_one_is_asked_for() -> None:
    story = Story()
    story.poll.follow("uid-1", "a")
    story.poll.follow("uid-1", "")
    story.run()
    assert [name for name, _ in story.tokens.asked] == ["a"]
