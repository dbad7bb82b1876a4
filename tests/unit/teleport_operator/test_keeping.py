from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from support.clock import START
from support.declared import KUBERNETES, declare
from teleport.errors import AlreadyExists, BadParameter, CompareFailed, NotFound, TeleportError, Unavailable
from teleport.resources.token import Token
from teleport_operator.conditions import State
from teleport_operator.keeping import MAX_ATTEMPTS, TokenKeeping
from teleport_operator.metrics import OperatorMetrics
from teleport_operator.obstacles import Obstacle
from teleport_operator.reconcile.expiry import Expiry
from teleport_operator.reconcile.planning import Change, Situation, build_desired
from teleport_operator.tokens import Tokens

OTHER: dict[str, Any] = {**KUBERNETES, "roles": ["Node"]}


class FakeTokens:
    """One token in a store; the first writes fail as a test says."""

    def __init__(self) -> None:
        self.stored: Token | None = None
        self.failures: list[TeleportError] = []
        self.done: list[str] = []

    async def get(self, _: str) -> Token | None:
        self.done.append("get")
        return self.stored

    async def create(self, token: Token) -> None:
        self._write("create", token)

    async def update(self, token: Token, _: Token) -> None:
        self._write("update", token)

    def _write(self, what: str, token: Token) -> None:
        self.done.append(what)
        if self.failures:
            raise self.failures.pop(0)
        self.stored = token


class Story:
    """Somebody who keeps a token, and what it took."""

    def __init__(self) -> None:
        self.tokens = FakeTokens()
        self.registry = CollectorRegistry()
        self._keeping = TokenKeeping(tokens=cast("Tokens", self.tokens), metrics=OperatorMetrics(self.registry))

    async def keep(self, situation: Situation) -> Change:
        return (await self._keeping.keep(situation, self._protect)).change

    async def _protect(self) -> None:
        self.tokens.done.append("protect")

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0


def situate(spec: object = KUBERNETES, **facts: Any) -> Situation:
    """Return a situation in which nothing is in the store."""
    return Situation(declare(spec), Expiry(), "teleport-operator", START, **facts)


async def test_the_object_is_protected_before_anything_is_written() -> None:
    story = Story()
    assert await story.keep(situate()) is Change.CREATE
    assert story.tokens.done == ["protect", "create"]
    assert story.count("teleport_token_changes_total", change="Created") == 1


async def test_where_there_is_nothing_to_do_nothing_is_done() -> None:
    story = Story()
    assert await story.keep(situate(actual=build_desired(situate()))) is Change.NONE
    assert story.tokens.done == []


async def test_what_is_there_is_updated() -> None:
    story = Story()
    assert await story.keep(situate(OTHER, actual=build_desired(situate()))) is Change.UPDATE
    assert story.tokens.done == ["protect", "update"]
    assert story.count("teleport_token_drift_repairs_total") == 0


async def test_a_repair_is_counted_as_one() -> None:
    story = Story()
    assert await story.keep(situate(was_active=True)) is Change.REPAIR
    assert story.count("teleport_token_drift_repairs_total") == 1
    assert story.count("teleport_token_changes_total", change="DriftRepaired") == 1


async def test_whoever_made_the_token_meanwhile_is_looked_at_before_anything_else_is_done() -> None:
    story = Story()
    story.tokens.stored = build_desired(situate()).with_metadata(labels={})
    story.tokens.failures = [AlreadyExists("it is there")]
    assert await story.keep(situate()) is Change.NONE
    assert story.tokens.done == ["protect", "create", "get"]
    assert story.tokens.stored.metadata.labels == {}


async def test_a_token_that_went_meanwhile_is_created() -> None:
    story = Story()
    story.tokens.failures = [NotFound("it is gone")]
    assert await story.keep(situate(OTHER, actual=build_desired(situate()))) is Change.CREATE
    assert story.tokens.done == ["protect", "update", "get", "protect", "create"]


@pytest.mark.parametrize("races", [MAX_ATTEMPTS - 1, MAX_ATTEMPTS])
async def test_races_are_run_a_few_times_and_no_more(races: int) -> None:
    story = Story()
    actual = story.tokens.stored = build_desired(situate())
    story.tokens.failures = [CompareFailed("it moved on") for _ in range(races)]
    if races < MAX_ATTEMPTS:
        assert await story.keep(situate(OTHER, actual=actual)) is Change.UPDATE
    else:
        with pytest.raises(Obstacle, match="keeps changing") as caught:
            await story.keep(situate(OTHER, actual=actual))
        assert caught.value.state is State.AUTH_UNREACHABLE
    assert story.tokens.done.count("update") == MAX_ATTEMPTS
    assert story.count("teleport_token_changes_total", change="Updated") == (races < MAX_ATTEMPTS)


@pytest.mark.parametrize(
    ("failure", "state"), [(Unavailable("away"), State.AUTH_UNREACHABLE), (BadParameter("no"), State.AUTH_REJECTED)]
)
async def test_what_auth_says_of_a_write_is_an_obstacle_and_no_change(failure: TeleportError, state: State) -> None:
    story = Story()
    story.tokens.failures = [failure]
    with pytest.raises(Obstacle) as caught:
        await story.keep(situate())
    assert caught.value.state is state
    assert story.count("teleport_token_changes_total", change="Created") == 0
