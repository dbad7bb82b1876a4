import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.declared import KUBERNETES, declare
from teleport.api import messages as m
from teleport.api import operations as ops
from teleport.errors import AlreadyExists, CompareFailed, NotFound, Unavailable
from teleport.resources.codec import parse_resource, to_plain
from teleport.resources.token import Token
from teleport_operator.marks import Marks, mark, read_marks
from teleport_operator.tokens import Tokens

OPERATOR = "teleport-operator"
HOUR = timedelta(hours=1)


class FakeAuth:
    """Keeps tokens in memory, masks names, and lets a test do something between two pages of a list."""

    def __init__(self) -> None:
        self.tokens: dict[str, Token] = {}
        self.asked: list[str] = []
        self.uses: list[m.TokenUse] = []
        self.changes: m.TokenChangesResponse | None = None
        """What is told to who waits; they are not told where it is None."""
        self.while_waiting: Callable[[], Awaitable[None]] | None = None
        self.between_pages: Callable[[], Awaitable[None]] | None = None
        self._revision = 0

    def put(self, token: Token) -> Token:
        """Store a token as somebody else might."""
        self._revision += 1
        self.tokens[token.name] = token.with_metadata(revision=str(self._revision))
        return self.tokens[token.name]

    async def call(self, operation: ops.Operation[Any, Any], request: Any) -> Any:
        self.asked.append(operation.name)
        await asyncio.sleep(0)
        match operation:
            case ops.TOKEN_CHANGES:
                return await self._tell(request)
            case ops.RESOURCE_LIST:
                return await self._list(request)
            case ops.RESOURCE_GET:
                return m.ResourceResponse(resource=to_plain(self._find(request.name)))
            case ops.RESOURCE_DELETE:
                self._compare(request.name, request.revision)
                return m.DeleteResponse(name=self.tokens.pop(request.name).safe_name)
            case ops.TOKEN_USES:
                return m.TokenUsesResponse(name=request.name, uses=tuple(self.uses[: request.limit]))
        token = parse_resource(request.resource)
        assert isinstance(token, Token)
        if operation is ops.RESOURCE_CREATE and token.name in self.tokens:
            raise AlreadyExists("it is there")
        if operation is ops.RESOURCE_UPDATE:
            self._compare(token.name, token.metadata.revision)
        return m.ResourceResponse(resource=to_plain(self.put(token)))

    async def _tell(self, request: m.TokenChangesRequest) -> m.TokenChangesResponse:
        if self.changes is None:
            raise NotFound("there is no such page")
        if not request.mark:
            return m.TokenChangesResponse(mark="first", is_complete=False)
        if self.while_waiting is not None:
            await self.while_waiting()
        return self.changes

    async def _list(self, request: m.ListRequest) -> m.ListResponse:
        resources = tuple(
            to_plain(token if request.with_secrets else token.with_metadata(name=token.safe_name))
            for token in self.tokens.values()
        )
        if request.page_token == "" and self.between_pages is not None:
            await self.between_pages()
            return m.ListResponse(resources=resources, next_page_token="more")
        return m.ListResponse(resources=() if request.page_token else resources)

    def _find(self, name: str) -> Token:
        if name not in self.tokens:
            raise NotFound("it is not there")
        return self.tokens[name]

    def _compare(self, name: str, revision: str) -> None:
        if self._find(name).metadata.revision != revision:
            raise CompareFailed("it has moved on")


def build_token(uid: str, name: str | None = None, *, operator: str = OPERATOR, secret: str = "") -> Token:
    """Return a token of an object."""
    token = declare(KUBERNETES).token.with_metadata(name=name or f"token-of-{uid}")
    return mark(token, Marks(operator, uid, "teleport", "name", secret=secret))


@pytest.fixture
def auth() -> FakeAuth:
    return FakeAuth()


@pytest.fixture
def tokens(auth: FakeAuth) -> Tokens:
    return Tokens(auth, operator=OPERATOR)


def test_before_the_first_list_nobody_knows_what_is_there(tokens: Tokens) -> None:
    with pytest.raises(Unavailable):
        tokens.find("a")


async def test_a_list_tells_of_our_tokens_and_of_no_others(auth: FakeAuth, tokens: Tokens) -> None:
    auth.put(build_token("a"))
    auth.put(build_token("b", operator="another"))
    auth.put(declare(KUBERNETES).token)
    assert await tokens.refresh() == {"a"}
    assert set(tokens.find("a")) == {""}
    assert tokens.find("b") == {}
    assert await tokens.refresh() == set()


async def test_what_others_change_or_delete_is_told(auth: FakeAuth, tokens: Tokens) -> None:
    for uid in ("a", "b", "c"):
        auth.put(build_token(uid))
    await tokens.refresh()
    auth.put(auth.tokens["token-of-a"].with_metadata(description="edited"))
    del auth.tokens["token-of-b"]
    assert await tokens.refresh() == {"a", "b"}
    assert tokens.find("b") == {}


async def test_our_own_changes_are_no_news(auth: FakeAuth, tokens: Tokens) -> None:
    await tokens.refresh()
    await tokens.create(build_token("a"))
    await tokens.update(tokens.find("a")[""].with_metadata(description="edited"))
    assert await tokens.refresh() == set()
    assert tokens.find("a")[""].metadata.description == "edited"
    await tokens.delete("token-of-a", tokens.find("a")[""])
    assert await tokens.refresh() == set()
    assert auth.tokens == {}


async def test_a_change_of_ours_while_a_list_is_read_is_not_undone_by_it(auth: FakeAuth, tokens: Tokens) -> None:
    auth.put(build_token("old"))
    await tokens.refresh()

    async def change() -> None:
        await tokens.create(build_token("new"))
        await tokens.delete("token-of-old", tokens.find("old")[""])

    auth.between_pages = change
    assert await tokens.refresh() == set()
    assert set(tokens.find("new")) == {""}
    assert tokens.find("old") == {}


async def test_a_list_that_breaks_off_leaves_what_was_known(auth: FakeAuth, tokens: Tokens) -> None:
    auth.put(build_token("a"))
    await tokens.refresh()

    async def fail() -> None:
        raise Unavailable("auth is away")

    auth.between_pages = fail
    with pytest.raises(Unavailable):
        await tokens.refresh()
    assert set(tokens.find("a")) == {""}


async def test_what_is_gone_is_as_good_as_deleted_and_what_moved_on_is_not(auth: FakeAuth, tokens: Tokens) -> None:
    stored = auth.put(build_token("a"))
    await tokens.refresh()
    auth.put(stored)
    with pytest.raises(CompareFailed):
        await tokens.delete("token-of-a", stored)
    auth.tokens.clear()
    await tokens.delete("token-of-a", stored)
    assert tokens.find("a") == {}


async def test_names_are_asked_for_only_where_they_are_needed(auth: FakeAuth, tokens: Tokens) -> None:
    auth.put(build_token("a", "first-secret-value", secret="1"))
    auth.put(build_token("a", "other-secret-value", secret="2"))
    auth.put(build_token("b", "value-of-another", secret="1"))
    assert await tokens.find_names("a") == {"1": "first-secret-value", "2": "other-secret-value"}


async def test_a_token_that_changes_hands_is_known_by_its_new_marks_alone(auth: FakeAuth, tokens: Tokens) -> None:
    former = auth.put(build_token("former", "name"))
    await tokens.refresh()
    present = build_token("present", "name").with_metadata(revision=former.metadata.revision)
    await tokens.update(present, former)
    assert tokens.find("former") == {}
    assert read_marks(tokens.find("present")[""]).uid == "present"


async def test_only_newer_uses_are_returned_and_more_are_asked_for_where_all_are_new(
    auth: FakeAuth, tokens: Tokens
) -> None:
    moments = [datetime(2026, 1, 1, 0, minute, tzinfo=UTC) for minute in range(50, 0, -1)]
    auth.uses = [
        m.TokenUse(time=moment, host_id="h", remote_addr="192.0.2.7", role="Node", outcome="success")
        for moment in moments
    ]
    assert len(await tokens.list_uses("name", moments[3])) == 3
    assert auth.asked == ["token_uses"]
    assert len(await tokens.list_uses("name", moments[45])) == 45


def tell(*tokens: Token, gone: tuple[Token, ...] = (), revision: int = 0) -> m.TokenChangesResponse:
    """Return what auth tells of tokens, and of others that went at a revision."""
    former = [m.GoneToken(name=token.safe_name, labels=token.metadata.labels, revision=str(revision)) for token in gone]
    return m.TokenChangesResponse(mark="next", tokens=tuple(map(to_plain, tokens)), gone=tuple(former))


@pytest.fixture
async def listening(auth: FakeAuth, tokens: Tokens) -> Tokens:
    """Tokens of which one is known, with auth that tells changes."""
    auth.put(build_token("a"))
    auth.changes = tell()
    await tokens.refresh()
    return tokens


async def test_what_others_create_change_or_delete_is_heard_of_without_a_list(
    auth: FakeAuth, listening: Tokens
) -> None:
    edited = auth.put(auth.tokens["token-of-a"].with_metadata(description="edited"))
    auth.changes = tell(edited, auth.put(build_token("b")), auth.put(build_token("c", operator="another")))
    auth.asked.clear()
    assert await listening.wait_for_changes(HOUR) == {"a", "b"}
    assert listening.find("a")[""].metadata.description == "edited"
    auth.changes = tell(gone=(edited,), revision=9)
    assert await listening.wait_for_changes(HOUR) == {"a"}
    assert listening.find("a") == {}
    assert set(auth.asked) == {"token_changes"}


async def test_a_token_that_lost_its_labels_is_gone_for_its_object(auth: FakeAuth, listening: Tokens) -> None:
    before = auth.tokens["token-of-a"]
    auth.changes = tell(auth.put(before.with_metadata(labels={})), gone=(before,), revision=9)
    assert await listening.wait_for_changes(HOUR) == {"a"}
    assert listening.find("a") == {}


async def test_our_own_changes_are_no_news_when_they_are_told(auth: FakeAuth, listening: Tokens) -> None:
    await listening.create(build_token("b"))
    created = auth.tokens["token-of-b"]
    await listening.update(created.with_metadata(description="edited"))
    auth.changes = tell(created, auth.tokens["token-of-b"])
    assert await listening.wait_for_changes(HOUR) == set()
    assert listening.find("b")[""].metadata.description == "edited"


async def test_a_token_that_is_older_than_what_is_known_is_not_gone(auth: FakeAuth, listening: Tokens) -> None:
    auth.changes = tell(gone=(auth.tokens["token-of-a"],), revision=1)
    assert await listening.wait_for_changes(HOUR) == set()
    assert set(listening.find("a")) == {""}


async def test_a_token_that_we_delete_while_it_is_told_of_stays_deleted(auth: FakeAuth, listening: Tokens) -> None:
    stored = auth.tokens["token-of-a"]
    auth.changes = tell(stored)

    async def delete() -> None:
        await listening.delete("token-of-a", stored)

    auth.while_waiting = delete
    assert await listening.wait_for_changes(HOUR) == set()
    assert listening.find("a") == {}


async def test_where_auth_does_not_know_what_was_missed_the_list_is_to_be_read(
    auth: FakeAuth, listening: Tokens
) -> None:
    auth.changes = m.TokenChangesResponse(mark="another", is_complete=False)
    assert await listening.wait_for_changes(HOUR) is None


async def test_an_auth_server_that_tells_no_changes_is_read_by_lists(auth: FakeAuth, tokens: Tokens) -> None:
    auth.put(build_token("a"))
    assert await tokens.refresh() == {"a"}
    with pytest.raises(NotFound):
        await tokens.wait_for_changes(HOUR)
