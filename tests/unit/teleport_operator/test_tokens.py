from datetime import UTC, datetime, timedelta

import pytest

from support.declared import KUBERNETES, declare
from support.token_api import FakeTokenApi
from teleport.api import messages as m
from teleport.errors import CompareFailed, NotFound, Unavailable
from teleport.resources.codec import to_plain
from teleport.resources.token import Token
from teleport_operator.marks import Marks, mark, read_marks
from teleport_operator.tokens import Tokens

OPERATOR = "teleport-operator"
HOUR = timedelta(hours=1)


def build_token(uid: str, name: str | None = None, *, operator: str = OPERATOR, secret: str = "") -> Token:
    """Return a token of an object."""
    token = declare(KUBERNETES).token.with_metadata(name=name or f"token-of-{uid}")
    return mark(token, Marks(operator, uid, "teleport", "name", secret=secret))


@pytest.fixture
def auth() -> FakeTokenApi:
    return FakeTokenApi()


@pytest.fixture
def tokens(auth: FakeTokenApi) -> Tokens:
    return Tokens(auth, operator=OPERATOR)


def test_before_the_first_list_nobody_knows_what_is_there(tokens: Tokens) -> None:
    with pytest.raises(Unavailable):
        tokens.find("a")


async def test_a_list_tells_of_our_tokens_and_of_no_others(auth: FakeTokenApi, tokens: Tokens) -> None:
    auth.put(build_token("a"))
    auth.put(build_token("b", operator="another"))
    auth.put(declare(KUBERNETES).token)
    assert await tokens.refresh() == {"a"}
    assert set(tokens.find("a")) == {""}
    assert tokens.find("b") == {}
    assert await tokens.refresh() == set()


async def test_what_others_change_or_delete_is_told(auth: FakeTokenApi, tokens: Tokens) -> None:
    for uid in ("a", "b", "c"):
        auth.put(build_token(uid))
    await tokens.refresh()
    auth.put(auth.tokens["token-of-a"].with_metadata(description="edited"))
    del auth.tokens["token-of-b"]
    assert await tokens.refresh() == {"a", "b"}
    assert tokens.find("b") == {}


async def test_our_own_changes_are_no_news(auth: FakeTokenApi, tokens: Tokens) -> None:
    await tokens.refresh()
    await tokens.create(build_token("a"))
    await tokens.update(tokens.find("a")[""].with_metadata(description="edited"))
    assert await tokens.refresh() == set()
    assert tokens.find("a")[""].metadata.description == "edited"
    await tokens.delete("token-of-a", tokens.find("a")[""])
    assert await tokens.refresh() == set()
    assert auth.tokens == {}


async def test_a_change_of_ours_while_a_list_is_read_is_not_undone_by_it(auth: FakeTokenApi, tokens: Tokens) -> None:
    auth.put(build_token("old"))
    await tokens.refresh()

    async def change() -> None:
        await tokens.create(build_token("new"))
        await tokens.delete("token-of-old", tokens.find("old")[""])

    auth.between_pages = change
    assert await tokens.refresh() == set()
    assert set(tokens.find("new")) == {""}
    assert tokens.find("old") == {}


async def test_a_list_that_breaks_off_leaves_what_was_known(auth: FakeTokenApi, tokens: Tokens) -> None:
    auth.put(build_token("a"))
    await tokens.refresh()

    async def fail() -> None:
        raise Unavailable("auth is away")

    auth.between_pages = fail
    with pytest.raises(Unavailable):
        await tokens.refresh()
    assert set(tokens.find("a")) == {""}


async def test_what_is_gone_is_as_good_as_deleted_and_what_moved_on_is_not(auth: FakeTokenApi, tokens: Tokens) -> None:
    stored = auth.put(build_token("a"))
    await tokens.refresh()
    auth.put(stored)
    with pytest.raises(CompareFailed):
        await tokens.delete("token-of-a", stored)
    auth.tokens.clear()
    await tokens.delete("token-of-a", stored)
    assert tokens.find("a") == {}


async def test_names_are_asked_for_only_where_they_are_needed(auth: FakeTokenApi, tokens: Tokens) -> None:
    auth.put(build_token("a", "first-secret-value", secret="1"))
    auth.put(build_token("a", "other-secret-value", secret="2"))
    auth.put(build_token("b", "value-of-another", secret="1"))
    assert await tokens.find_names("a") == {"1": "first-secret-value", "2": "other-secret-value"}


async def test_a_token_that_changes_hands_is_known_by_its_new_marks_alone(auth: FakeTokenApi, tokens: Tokens) -> None:
    former = auth.put(build_token("former", "name"))
    await tokens.refresh()
    present = build_token("present", "name").with_metadata(revision=former.metadata.revision)
    await tokens.update(present, former)
    assert tokens.find("former") == {}
    assert read_marks(tokens.find("present")[""]).uid == "present"


async def test_only_newer_uses_are_returned_and_more_are_asked_for_where_all_are_new(
    auth: FakeTokenApi, tokens: Tokens
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
async def listening(auth: FakeTokenApi, tokens: Tokens) -> Tokens:
    """Tokens of which one is known, with auth that tells changes."""
    auth.put(build_token("a"))
    auth.changes = tell()
    await tokens.refresh()
    return tokens


async def test_what_others_create_change_or_delete_is_heard_of_without_a_list(
    auth: FakeTokenApi, listening: Tokens
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


async def test_a_token_that_lost_its_labels_is_gone_for_its_object(auth: FakeTokenApi, listening: Tokens) -> None:
    before = auth.tokens["token-of-a"]
    auth.changes = tell(auth.put(before.with_metadata(labels={})), gone=(before,), revision=9)
    assert await listening.wait_for_changes(HOUR) == {"a"}
    assert listening.find("a") == {}


async def test_our_own_changes_are_no_news_when_they_are_told(auth: FakeTokenApi, listening: Tokens) -> None:
    await listening.create(build_token("b"))
    created = auth.tokens["token-of-b"]
    await listening.update(created.with_metadata(description="edited"))
    auth.changes = tell(created, auth.tokens["token-of-b"])
    assert await listening.wait_for_changes(HOUR) == set()
    assert listening.find("b")[""].metadata.description == "edited"


async def test_a_token_that_is_older_than_what_is_known_is_not_gone(auth: FakeTokenApi, listening: Tokens) -> None:
    auth.changes = tell(gone=(auth.tokens["token-of-a"],), revision=1)
    assert await listening.wait_for_changes(HOUR) == set()
    assert set(listening.find("a")) == {""}


async def test_a_token_that_we_delete_while_it_is_told_of_stays_deleted(auth: FakeTokenApi, listening: Tokens) -> None:
    stored = auth.tokens["token-of-a"]
    auth.changes = tell(stored)

    async def delete() -> None:
        await listening.delete("token-of-a", stored)

    auth.while_waiting = delete
    assert await listening.wait_for_changes(HOUR) == set()
    assert listening.find("a") == {}


async def test_where_auth_does_not_know_what_was_missed_the_list_is_to_be_read(
    auth: FakeTokenApi, listening: Tokens
) -> None:
    auth.changes = m.TokenChangesResponse(mark="another", is_complete=False)
    assert await listening.wait_for_changes(HOUR) is None


async def test_an_auth_server_that_tells_no_changes_is_read_by_lists(auth: FakeTokenApi, tokens: Tokens) -> None:
    auth.put(build_token("a"))
    assert await tokens.refresh() == {"a"}
    with pytest.raises(NotFound):
        await tokens.wait_for_changes(HOUR)
