from typing import Any

import pytest

from support.declared import KUBERNETES, build_object
from teleport.errors import CompareFailed, ConnectionFailed, TeleportError
from teleport.resources.token import Token
from teleport_operator.conditions import State
from teleport_operator.declaration import Head
from teleport_operator.deletion import Deletion, Farewell
from teleport_operator.head import parse_head
from teleport_operator.marks import ORIGIN, Marks, mark
from teleport_operator.obstacles import Obstacle

KEEP = {"teleport.dev/keep": "true"}
IGNORE = {"teleport.dev/ignore": "true"}


def build_head(**attributes: Any) -> Head:
    """Return the head of an object that is being deleted."""
    return parse_head(build_object(KUBERNETES, deletionTimestamp="2026-01-01T01:00:00Z", **attributes))


def build_token(uid: str = "", secret: str = "") -> Token:
    """Return a token of an object, by default of the one that is being deleted."""
    head = build_head()
    return mark(
        Token().with_metadata(name=head.name, revision="1"),
        Marks("teleport-operator", uid or head.uid, head.namespace, head.name, secret=secret),
    )


class FakeTokens:
    """The tokens of one object; changes fail as a test says."""

    def __init__(self, *tokens: Token, failures: tuple[TeleportError, ...] = ()) -> None:
        self._tokens = {each.metadata.labels.get("resources.teleport.dev/secret", ""): each for each in tokens}
        self._failures = list(failures)
        self.now: Token | None = None
        """What is there when a change has failed."""
        self.deleted: list[str] = []
        self.updated: list[Token] = []

    def find(self, _: str) -> dict[str, Token]:
        return self._tokens

    async def find_names(self, _: str) -> dict[str, str]:
        return {label: f"value-{label}" for label in self._tokens}

    async def get(self, _: str) -> Token | None:
        return self.now

    async def delete(self, name: str, _: Token) -> None:
        self._fail()
        self.deleted.append(name)

    async def update(self, token: Token, _: Token) -> None:
        self._fail()
        self.updated.append(token)

    def _fail(self) -> None:
        if self._failures:
            raise self._failures.pop(0)


async def finish(tokens: Any, head: Head | None = None) -> Farewell:
    return await Deletion(tokens=tokens).finish(head or build_head())


async def test_the_token_goes_by_the_object_s_name() -> None:
    tokens = FakeTokens(build_token())
    assert await finish(tokens) is Farewell.DELETED
    assert tokens.deleted == [build_head().name]


async def test_the_tokens_of_secrets_go_by_their_values() -> None:
    tokens = FakeTokens(build_token(secret="1"), build_token(secret="2"))
    assert await finish(tokens) is Farewell.DELETED
    assert tokens.deleted == ["value-1", "value-2"]


async def test_where_there_is_none_nothing_is_done() -> None:
    assert await finish(FakeTokens()) is Farewell.NOTHING


async def test_a_token_that_is_kept_becomes_nobody_s() -> None:
    tokens = FakeTokens(build_token())
    assert await finish(tokens, build_head(annotations=KEEP)) is Farewell.ORPHANED
    assert tokens.deleted == []
    assert ORIGIN not in tokens.updated[0].metadata.labels


async def test_an_ignored_object_goes_and_changes_nothing() -> None:
    tokens = FakeTokens(build_token())
    assert await finish(tokens, build_head(annotations=IGNORE)) is Farewell.ORPHANED
    assert (tokens.deleted, tokens.updated) == ([], [])


async def test_a_token_that_was_edited_meanwhile_goes_all_the_same() -> None:
    tokens = FakeTokens(build_token(), failures=(CompareFailed("moved on"),))
    tokens.now = build_token()
    assert await finish(tokens) is Farewell.DELETED
    assert tokens.deleted == [build_head().name]


async def test_a_token_that_is_somebody_else_s_by_now_is_left_alone() -> None:
    tokens = FakeTokens(build_token(), failures=(CompareFailed("moved on"),))
    tokens.now = build_token(uid="another")
    await finish(tokens)
    assert tokens.deleted == []


async def test_a_token_that_never_holds_still_keeps_the_object() -> None:
    tokens = FakeTokens(build_token(), failures=(CompareFailed("moved on"),) * 9)
    tokens.now = build_token()
    with pytest.raises(Obstacle, match="keeps changing"):
        await finish(tokens)


async def test_while_auth_is_away_the_object_stays() -> None:
    with pytest.raises(Obstacle) as obstacle:
        await finish(FakeTokens(build_token(), failures=(ConnectionFailed("no route"),)))
    assert obstacle.value.state is State.AUTH_UNREACHABLE
