from datetime import UTC, datetime, timedelta

import pytest

from support.auth import SECRET, build_token
from support.backend import SteeredBackend, take
from support.clock import START, FakeClock
from support.interrupted_backend import InterruptedBackend
from teleport.auth.records import encode
from teleport.auth.stores import tokens as module
from teleport.auth.stores.tokens import PREFIX, Spent, TokenStore, keep_until, usage_key
from teleport.backend.protocol import Item, Put
from teleport.errors import AlreadyExists, CompareFailed, NotFound, SealError, Unavailable
from teleport.pki.seal import Sealer, SealKey
from teleport.resources.role import SystemRole
from teleport.resources.token import Token

NODE, APP, BOT = SystemRole.NODE, SystemRole.APP, SystemRole.BOT
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


class Stored:
    """A token store, and what is under it."""

    def __init__(self, seal_key: bytes = bytes(32)) -> None:
        self.clock = FakeClock()
        self.backend = SteeredBackend(clock=self.clock)
        self.sealer = Sealer(SealKey(seal_key))
        self.tokens = TokenStore(backend=self.backend, sealer=self.sealer, clock=self.clock)

    async def spend(self, name: str = SECRET) -> None:
        found = await self.tokens.find(name)
        assert found is not None
        tombstone = self.tokens.build_tombstone(found, Spent("key", {"host_id": "host"}), self.clock.now())
        await self.backend.commit(found.unchanged, [tombstone])


async def test_a_token_is_read_back_as_it_was_stored() -> None:
    stored = Stored()
    token = build_token(
        SECRET, NODE, APP, expires=START + HOUR, limits={"max_uses": 3, "allow_cidrs": ["10.0.0.0/8", "2001:db8::/32"]}
    )
    created = await stored.tokens.create(token)
    assert created == token.with_metadata(revision=created.metadata.revision)
    assert await stored.tokens.get(SECRET) == created
    again = TokenStore(backend=stored.backend, sealer=stored.sealer, clock=stored.clock)
    assert await again.get(SECRET) == created


async def test_nothing_stored_shows_the_name_or_the_roles() -> None:
    stored = Stored()
    await stored.tokens.create(build_token(SECRET, NODE))
    for item in await stored.backend.range(""):
        assert SECRET not in item.key
        assert SECRET.encode() not in item.value
        assert b"Node" not in item.value


async def test_where_a_token_is_filed_depends_on_the_seal_key() -> None:
    assert Stored().tokens.lookup_id(SECRET) != Stored(b"\x01" * 32).tokens.lookup_id(SECRET)
    assert Stored().tokens.lookup_id(SECRET) != Stored().tokens.lookup_id(SECRET + "x")


async def test_a_record_that_was_moved_does_not_open() -> None:
    stored = Stored()
    await stored.tokens.create(build_token(SECRET, NODE))
    (item,) = await stored.backend.range(PREFIX)
    await stored.backend.commit([], [Put(PREFIX + stored.tokens.lookup_id("another-token"), item.value)])
    with pytest.raises(SealError):
        await stored.tokens.get("another-token")


async def test_a_name_that_is_taken_is_refused_with_the_name_masked() -> None:
    stored = Stored()
    await stored.tokens.create(build_token())
    with pytest.raises(AlreadyExists) as caught:
        await stored.tokens.create(build_token())
    assert SECRET not in caught.value.message


async def test_a_missing_token_is_refused_with_the_name_masked() -> None:
    for attempt in (Stored().tokens.get(SECRET), Stored().tokens.delete(SECRET), Stored().tokens.update(build_token())):
        with pytest.raises(NotFound) as caught:
            await attempt
        assert SECRET not in caught.value.message


async def test_upsert_stores_whatever_was_there() -> None:
    stored = Stored()
    await stored.tokens.upsert(build_token(SECRET, NODE))
    await stored.tokens.upsert(build_token(SECRET, APP))
    assert (await stored.tokens.get(SECRET)).spec.roles == (APP,)


async def test_update_replaces_a_token_at_its_revision() -> None:
    stored = Stored()
    first = await stored.tokens.create(build_token(SECRET, NODE))
    second = await stored.tokens.update(build_token(SECRET, APP).with_metadata(revision=first.metadata.revision))
    assert (await stored.tokens.get(SECRET)).spec.roles == (APP,)
    assert second.metadata.revision != first.metadata.revision


async def test_update_at_an_old_revision_is_refused() -> None:
    stored = Stored()
    first = await stored.tokens.create(build_token(SECRET, NODE))
    await stored.tokens.upsert(build_token(SECRET, NODE))
    with pytest.raises(CompareFailed, match="read it again"):
        await stored.tokens.update(first)
    with pytest.raises(CompareFailed):
        await stored.tokens.update(first.with_metadata(revision=""))


class Contended(Stored):
    """A token store into whose backend somebody else writes at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.interrupted = InterruptedBackend()
        self.backend = self.interrupted
        self.tokens = TokenStore(backend=self.backend, sealer=self.sealer, clock=self.clock)

    async def write_meanwhile(self, *items: Item) -> None:
        for item in items:
            self.interrupted.write_before_next_commit(Put(item.key, item.value, item.expires))


async def test_of_two_who_create_at_once_one_is_refused() -> None:
    stored = Contended()
    await stored.tokens.create(build_token())
    items = await stored.backend.range(PREFIX)
    await stored.tokens.delete(SECRET)
    await stored.write_meanwhile(*items)
    with pytest.raises(AlreadyExists):
        await stored.tokens.create(build_token(SECRET, APP))
    assert (await stored.tokens.get(SECRET)).spec.roles == (NODE,)


async def test_upsert_gets_through_a_change_meanwhile_and_gives_up_among_endless_ones() -> None:
    stored = Contended()
    await stored.tokens.create(build_token())
    items = await stored.backend.range(PREFIX)
    await stored.write_meanwhile(*items)
    assert (await stored.tokens.upsert(build_token(SECRET, APP))).spec.roles == (APP,)
    await stored.write_meanwhile(*items * module.MAX_ATTEMPTS)
    with pytest.raises(Unavailable, match="keeps changing"):
        await stored.tokens.upsert(build_token(SECRET, APP))


async def test_update_gets_through_uses_meanwhile_and_not_through_a_change() -> None:
    stored = Contended()
    created = await stored.tokens.create(build_token())
    (item,) = await stored.backend.range(PREFIX)
    counted = Item(usage_key(stored.tokens.lookup_id(SECRET)), b"{}", 0)
    await stored.write_meanwhile(counted)
    updated = await stored.tokens.update(created)
    await stored.write_meanwhile(*[counted] * module.MAX_ATTEMPTS)
    with pytest.raises(Unavailable, match="keeps changing"):
        await stored.tokens.update(updated)
    await stored.write_meanwhile(item)
    with pytest.raises(CompareFailed, match="read it again"):
        await stored.tokens.update(updated)


async def test_delete_at_an_old_revision_is_refused_and_without_one_done() -> None:
    stored = Stored()
    first = await stored.tokens.create(build_token())
    await stored.tokens.upsert(build_token())
    with pytest.raises(CompareFailed):
        await stored.tokens.delete(SECRET, first.metadata.revision)
    assert (await stored.tokens.delete(SECRET)).name == SECRET
    assert await stored.backend.range("") == []


async def test_delete_takes_the_count_of_uses_with_it() -> None:
    stored = Stored()
    await stored.tokens.create(build_token())
    await stored.backend.commit([], [Put(usage_key(stored.tokens.lookup_id(SECRET)), b"{}")])
    await stored.tokens.delete(SECRET)
    assert await stored.backend.range("") == []


async def test_the_event_of_a_deletion_carries_the_last_value() -> None:
    stored = Stored()
    await stored.tokens.create(build_token(SECRET, APP))
    async with stored.backend.watch(PREFIX) as events:
        await stored.tokens.delete(SECRET)
        (event,) = await take(events, 1)
    assert event.item is None
    assert event.previous is not None
    plain = stored.sealer.open(event.previous.value, key=event.key, kind=module.KIND)
    assert SECRET.encode() in plain


async def test_further_writes_are_in_the_same_commit() -> None:
    stored = Stored()
    audit = Put("audit/1", b"created")
    await stored.tokens.create(build_token(), [audit])
    item = await stored.backend.get("audit/1")
    (token,) = await stored.backend.range(PREFIX)
    assert item is not None
    assert item.revision == token.revision


async def test_an_expired_token_is_seen_by_nobody_but_the_judge() -> None:
    stored = Stored()
    await stored.tokens.create(build_token(expires=START))
    assert (await stored.tokens.get(SECRET)).name == SECRET
    stored.clock.advance(TICK)
    with pytest.raises(NotFound):
        await stored.tokens.get(SECRET)
    assert await stored.tokens.list_page(after="", limit=10) == ([], "")
    assert await stored.tokens.find(SECRET) is not None


async def test_an_expired_token_is_gone_a_day_later() -> None:
    stored = Stored()
    await stored.tokens.create(build_token(expires=START))
    stored.clock.advance(DAY)
    assert await stored.tokens.find(SECRET) is not None
    stored.clock.advance(TICK)
    assert await stored.tokens.find(SECRET) is None


async def test_an_expired_token_does_not_keep_its_name() -> None:
    stored = Stored()
    await stored.tokens.create(build_token(expires=START))
    stored.clock.advance(TICK)
    assert (await stored.tokens.create(build_token())).name == SECRET


async def test_a_token_without_an_end_stays() -> None:
    stored = Stored()
    await stored.tokens.create(build_token("delegated", NODE, method="kubernetes"))
    stored.clock.advance(timedelta(days=36500))
    assert (await stored.tokens.get("delegated")).name == "delegated"


async def test_a_tombstone_tells_who_spent_the_token_and_vanishes_after_two_minutes() -> None:
    stored = Stored()
    await stored.tokens.create(build_token(SECRET, BOT, bot_name="robot"))
    await stored.spend()
    found = await stored.tokens.find(SECRET)
    assert found is not None
    assert found.spent == Spent("key", {"host_id": "host"})
    stored.clock.advance(timedelta(minutes=2))
    assert await stored.tokens.find(SECRET) is not None
    stored.clock.advance(TICK)
    assert await stored.tokens.find(SECRET) is None


async def test_a_token_may_be_made_where_a_tombstone_is() -> None:
    stored = Stored()
    for make in (stored.tokens.create, stored.tokens.upsert):
        await make(build_token(SECRET, BOT, bot_name="robot"))
        await stored.spend()
        await make(build_token(SECRET, NODE))
        found = await stored.tokens.find(SECRET)
        assert found is not None
        assert found.spent is None
        await stored.tokens.delete(SECRET)


async def test_pages_cover_every_token_once() -> None:
    stored = Stored()
    names = {f"token-number-{number}" for number in range(7)}
    for name in names:
        await stored.tokens.create(build_token(name, NODE))
    found: list[Token] = []
    mark, pages = "", 0
    while True:
        page, mark = await stored.tokens.list_page(after=mark, limit=3)
        found, pages = [*found, *page], pages + 1
        if not mark:
            break
    assert (len(found), {token.name for token in found}, pages) == (7, names, 3)


async def test_the_memory_of_opened_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CACHED", 2)
    stored = Stored()
    for number in range(5):
        await stored.tokens.create(build_token(f"token-number-{number}", NODE))
        await stored.tokens.get(f"token-number-{number}")
    assert len(stored.tokens._opened) <= 2


async def test_what_is_no_token_is_a_fault_and_no_token() -> None:
    stored = Stored()
    key = PREFIX + stored.tokens.lookup_id("not-a-token")
    record = encode({"token": {"kind": "node", "metadata": {}, "spec": {}}})
    await stored.backend.commit([], [Put(key, stored.sealer.seal(record, key=key, kind=module.KIND))])
    with pytest.raises(TypeError):
        await stored.tokens.get("not-a-token")


def test_records_are_kept_a_day_longer_than_the_token_and_no_calendar_ends() -> None:
    assert keep_until(None) is None
    assert keep_until(START) == START + DAY
    assert keep_until(datetime.max.replace(tzinfo=UTC)) == datetime.max.replace(tzinfo=UTC)


async def test_neither_a_stored_token_nor_its_spending_shows_a_secret_in_its_repr() -> None:
    stored = Stored()
    await stored.tokens.create(build_token())
    assert SECRET not in repr(await stored.tokens.find(SECRET))
