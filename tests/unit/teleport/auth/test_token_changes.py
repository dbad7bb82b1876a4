import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

import pytest

from support.auth import SECRET, build_token
from support.backend import SteeredBackend
from support.clock import START, FakeClock
from teleport.api.messages import TokenChangesRequest, TokenChangesResponse
from teleport.auth import token_changes as module
from teleport.auth.access import Caller, CallerKind
from teleport.auth.stores.tokens import TokenStore
from teleport.auth.token_changes import MAX_REMEMBERED, MAX_TOLD, MAX_WAITERS, TokenChanges
from teleport.backend.watchers import Watchers
from teleport.errors import LimitExceeded
from teleport.pki.seal import Sealer, SealKey
from teleport.resources.role import SystemRole
from teleport.resources.token import Token

OPERATOR = Caller(CallerKind.BOT, "operator")
NAME = "a-token-with-a-public-name"


def build(name: str = SECRET, **metadata: str) -> Token:
    return build_token(name, SystemRole.NODE).with_metadata(labels=metadata)


class Story:
    """A store whose changes are told."""

    def __init__(self) -> None:
        self.backend = SteeredBackend(clock=FakeClock())
        self.tokens = TokenStore(backend=self.backend, sealer=Sealer(SealKey(bytes(32))), clock=FakeClock())
        self.changes = TokenChanges(tokens=self.tokens)
        self.mark = ""

    async def ask(self, mark: str | None = None, *, patience: int = 0) -> TokenChangesResponse:
        """Ask with the mark of the last answer, or another one."""
        request = TokenChangesRequest(mark=self.mark if mark is None else mark, wait_seconds=patience)
        answer = await self.changes.wait(request, OPERATOR)
        self.mark = answer.mark
        return answer

    async def settle(self) -> None:
        """Let what happened be told."""
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def story() -> AsyncIterator[Story]:
    made = Story()
    following = asyncio.create_task(made.changes.run())
    await made.settle()
    await made.ask()
    yield made
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following


def read_names(answer: TokenChangesResponse) -> list[str]:
    return [document["metadata"]["name"] for document in answer.tokens]


async def test_who_has_no_mark_gets_one_and_reads_the_list(story: Story) -> None:
    answer = await story.ask("")
    assert (answer.is_complete, answer.tokens, answer.gone) == (False, (), ())
    assert (await story.ask()).is_complete


async def test_who_waits_is_told_at_once_what_was_created_with_its_name_masked(story: Story) -> None:
    waiting = asyncio.create_task(story.ask(patience=25))
    await story.settle()
    assert not waiting.done()
    created = await story.tokens.create(build(team="a"))
    answer = await waiting
    (document,) = answer.tokens
    assert document["metadata"]["name"] == created.safe_name != SECRET
    assert document["metadata"]["revision"] == created.metadata.revision
    assert document["metadata"]["labels"] == {"team": "a"}
    assert SECRET not in answer.model_dump_json()


async def test_nothing_is_told_twice(story: Story) -> None:
    await story.tokens.create(build())
    await story.settle()
    assert len((await story.ask()).tokens) == 1
    assert (await story.ask()).tokens == ()


async def test_of_many_changes_of_a_token_its_present_state_is_told(story: Story) -> None:
    created = await story.tokens.create(build())
    await story.tokens.update(created.with_metadata(description="edited"))
    await story.settle()
    (document,) = (await story.ask()).tokens
    assert document["metadata"]["description"] == "edited"


async def test_a_token_that_is_deleted_is_told_by_its_labels_and_not_as_one_that_is_there(story: Story) -> None:
    await story.tokens.create(build(team="a"))
    await story.tokens.delete(SECRET)
    await story.settle()
    answer = await story.ask()
    assert answer.tokens == ()
    (gone,) = answer.gone
    assert gone.labels == {"team": "a"}
    assert SECRET not in answer.model_dump_json()


async def test_a_token_that_gets_other_labels_is_told_by_the_former_ones_as_well(story: Story) -> None:
    await story.tokens.create(build(NAME, team="a"))
    replaced = await story.tokens.upsert(build(NAME, team="b"))
    await story.settle()
    answer = await story.ask()
    assert [(gone.labels, gone.revision) for gone in answer.gone] == [({"team": "a"}, replaced.metadata.revision)]
    assert [document["metadata"]["labels"] for document in answer.tokens] == [{"team": "b"}]


async def test_a_token_that_was_over_when_it_was_stored_is_no_token(story: Story) -> None:
    await story.tokens.create(build().with_metadata(expires=START - timedelta(seconds=1)))
    await story.settle()
    answer = await story.ask()
    assert (answer.tokens, answer.gone) == ((), ())


async def test_nobody_waits_longer_than_asked_for(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "timedelta", lambda *, seconds: timedelta(milliseconds=seconds))
    answer = await story.ask(patience=5)
    assert (answer.is_complete, answer.tokens) == (True, ())


@pytest.mark.parametrize("mark", ["x", "x-0", "-0", "-", "-1", "²", "{watch}-", "{watch}-²", "{watch}-1", "{watch}--1"])
async def test_a_mark_that_nobody_gave_is_answered_by_the_advice_to_read_the_list(story: Story, mark: str) -> None:
    asked = mark.replace("{watch}", story.mark.partition("-")[0])
    assert not (await story.ask(asked, patience=25)).is_complete


async def test_as_many_changes_as_are_remembered_are_told_in_parts_and_with_one_more_the_list_must_be_read(
    story: Story,
) -> None:
    mark = story.mark
    token = await story.tokens.create(build())
    for _ in range(MAX_REMEMBERED - 1):
        token = await story.tokens.update(token)
    await story.settle()
    for _ in range(MAX_REMEMBERED // MAX_TOLD):
        assert len((await story.ask()).tokens) == 1
    assert (await story.ask()).tokens == ()
    assert (await story.ask(mark)).is_complete
    await story.tokens.update(token)
    await story.settle()
    assert not (await story.ask(mark)).is_complete


async def test_so_many_may_wait_and_no_more(story: Story) -> None:
    waiting = [asyncio.create_task(story.ask(patience=25)) for _ in range(MAX_WAITERS)]
    await story.settle()
    with pytest.raises(LimitExceeded):
        await story.ask(patience=25)
    assert (await story.ask()).is_complete
    waiting.pop().cancel()
    await story.settle()
    waiting.append(asyncio.create_task(story.ask(patience=25)))
    await story.settle()
    assert not any(each.done() for each in waiting)
    await story.tokens.create(build())
    assert all([len((await each).tokens) == 1 for each in waiting])


async def test_a_server_that_ends_keeps_nobody_waiting(story: Story) -> None:
    waiting = asyncio.create_task(story.ask(patience=25))
    await story.settle()
    story.changes.end()
    assert (await waiting).tokens == ()
    assert (await story.ask(patience=25)).tokens == ()


async def test_after_a_watch_that_broke_everybody_reads_the_list(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY", timedelta())
    waiting = asyncio.create_task(story.ask(patience=25))
    await story.settle()
    story.backend._watchers.close("the disk is full")
    story.backend._watchers = Watchers()
    assert not (await waiting).is_complete
    await story.tokens.create(build())
    await story.settle()
    assert len((await story.ask()).tokens) == 1
