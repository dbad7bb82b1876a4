"""What every backend of the catalog must do."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone

import pytest

from support.backend import changes, delete, put, take
from support.clock import START, FakeClock
from teleport.backend.protocol import (
    MAX_COMMIT_CONDITIONS,
    MAX_COMMIT_WRITES,
    MAX_KEY_LENGTH,
    MAX_RANGE_LIMIT,
    MAX_VALUE_BYTES,
    Backend,
    Condition,
    Delete,
    Event,
    Item,
    Put,
    compare_and_delete,
    compare_and_swap,
    create,
)
from teleport.backend.watchers import MAX_BACKLOG
from teleport.errors import BadParameter, CompareFailed, TooLarge, Unavailable

MINUTE = timedelta(minutes=1)
INSTANT = timedelta(microseconds=1)


async def keys_of(backend: Backend, prefix: str, *, after: str = "", newest_first: bool = False) -> list[str]:
    return [item.key for item in await backend.range(prefix, after=after, newest_first=newest_first)]


# Reading what was written


async def test_a_key_that_was_never_written_is_absent(backend: Backend) -> None:
    assert await backend.get("/k/a") is None


async def test_a_written_item_is_read_back(backend: Backend) -> None:
    revision = await backend.commit([], [Put("/k/a", b"\x00\xff", START + MINUTE)])
    assert await backend.get("/k/a") == Item("/k/a", b"\x00\xff", revision, START + MINUTE)


async def test_an_expiry_keeps_its_microseconds_and_comes_back_in_utc(backend: Backend) -> None:
    expires = datetime(2038, 1, 19, 3, 14, 7, 999_999, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    await backend.commit([], [Put("/k/a", b"", expires)])
    item = await backend.get("/k/a")
    assert item is not None
    assert item.expires == expires
    assert item.expires.utcoffset() == timedelta()


async def test_a_put_replaces_value_and_expiry(backend: Backend, clock: FakeClock) -> None:
    await backend.commit([], [Put("/k/a", b"1", START + MINUTE)])
    await put(backend, a=b"2")
    clock.advance(2 * MINUTE)
    item = await backend.get("/k/a")
    assert item is not None
    assert (item.value, item.expires) == (b"2", None)


async def test_a_deleted_key_is_absent(backend: Backend) -> None:
    await put(backend, a=b"1")
    await delete(backend, "/k/a")
    assert await backend.get("/k/a") is None
    assert await backend.range("") == []


async def test_deleting_an_absent_key_changes_nothing(backend: Backend) -> None:
    async with backend.watch("") as events:
        await delete(backend, "/k/a")
        await put(backend, b=b"1")
        assert changes(await take(events, 1)) == [("/k/b", b"1", None)]


# Expiry


async def test_the_instant_of_expiry_itself_is_still_alive(backend: Backend, clock: FakeClock) -> None:
    revision = await backend.commit([], [Put("/k/a", b"1", START + MINUTE)])
    clock.advance(MINUTE)
    assert await backend.get("/k/a") is not None
    assert await keys_of(backend, "/k/") == ["/k/a"]
    await backend.commit([Condition("/k/a", revision)], [])


async def test_one_instant_later_it_is_gone_everywhere(backend: Backend, clock: FakeClock) -> None:
    revision = await backend.commit([], [Put("/k/a", b"1", START + MINUTE)])
    clock.advance(MINUTE + INSTANT)
    assert await backend.get("/k/a") is None
    assert await keys_of(backend, "/k/") == []
    with pytest.raises(CompareFailed):
        await backend.commit([Condition("/k/a", revision)], [])
    await backend.commit([Condition("/k/a", None)], [])


async def test_a_key_that_expired_can_be_created(backend: Backend, clock: FakeClock) -> None:
    await backend.commit([], [Put("/k/a", b"1", START + MINUTE)])
    clock.advance(2 * MINUTE)
    revision = await create(backend, "/k/a", b"2")
    assert await backend.get("/k/a") == Item("/k/a", b"2", revision)


async def test_an_item_whose_end_is_past_is_never_seen(backend: Backend) -> None:
    await backend.commit([], [Put("/k/a", b"1", START - MINUTE)])
    assert await backend.get("/k/a") is None


async def test_what_was_seen_to_be_gone_stays_gone_when_the_clock_goes_back(backend: Backend, clock: FakeClock) -> None:
    await backend.commit([], [Put("/k/a", b"1", START + MINUTE)])
    clock.advance(2 * MINUTE)
    assert await backend.get("/k/a") is None
    clock.advance(-2 * MINUTE)
    assert await backend.get("/k/a") is None


async def test_a_sweep_tells_watchers_of_each_expiry_once(sweeping_backend: Backend, clock: FakeClock) -> None:
    async with sweeping_backend.watch("/k/") as events:
        await sweeping_backend.commit([], [Put("/k/a", b"1", START + MINUTE), Put("/k/b", b"2", START + 2 * MINUTE)])
        clock.advance(MINUTE + INSTANT)
        first = await take(events, 3)
        assert changes(first[2:]) == [("/k/a", None, b"1")]
        clock.advance(MINUTE)
        second = await take(events, 1)
        assert changes(second) == [("/k/b", None, b"2")]
        assert second[0].revision > first[2].revision
        await put(sweeping_backend, end=b"")
        assert changes(await take(events, 1)) == [("/k/end", b"", None)]


async def test_a_sweep_leaves_what_was_written_anew(sweeping_backend: Backend, clock: FakeClock) -> None:
    await sweeping_backend.commit([], [Put("/k/a", b"1", START + MINUTE), Put("/k/b", b"", START + MINUTE)])
    async with sweeping_backend.watch("/k/b") as events:
        await sweeping_backend.commit([], [Put("/k/a", b"2", START + 3 * MINUTE)])
        clock.advance(2 * MINUTE)
        await take(events, 1)
    assert await keys_of(sweeping_backend, "") == ["/k/a"]


async def test_a_sweep_removes_more_than_one_batch(sweeping_backend: Backend, clock: FakeClock) -> None:
    for page in range(5):
        await sweeping_backend.commit([], [Put(f"/k/{page}/{n}", b"", START + MINUTE) for n in range(100)])
    async with sweeping_backend.watch("/k/") as events:
        clock.advance(2 * MINUTE)
        removed = await take(events, 500)
    assert len({event.key for event in removed}) == 500
    assert all(event.item is None for event in removed)


async def test_a_write_over_an_expired_item_tells_of_both(backend: Backend, clock: FakeClock) -> None:
    await backend.commit([], [Put("/k/a", b"1", START + MINUTE)])
    clock.advance(2 * MINUTE)
    async with backend.watch("/k/") as events:
        revision = await put(backend, a=b"2")
        seen = await take(events, 2)
    assert changes(seen) == [("/k/a", None, b"1"), ("/k/a", b"2", None)]
    assert seen[0].revision < seen[1].revision == revision


async def test_deleting_an_expired_item_tells_of_one_removal(backend: Backend, clock: FakeClock) -> None:
    await backend.commit([], [Put("/k/a", b"1", START + MINUTE)])
    clock.advance(2 * MINUTE)
    async with backend.watch("/k/") as events:
        await delete(backend, "/k/a")
        await put(backend, b=b"")
        assert changes(await take(events, 2)) == [("/k/a", None, b"1"), ("/k/b", b"", None)]


# Conditions


async def test_create_refuses_a_key_that_is_taken(backend: Backend) -> None:
    await create(backend, "/k/a", b"1")
    with pytest.raises(CompareFailed, match="/k/a"):
        await create(backend, "/k/a", b"2")
    item = await backend.get("/k/a")
    assert item is not None
    assert item.value == b"1"


async def test_compare_and_swap_replaces_the_revision_that_was_read(backend: Backend) -> None:
    first = await create(backend, "/k/a", b"1")
    second = await compare_and_swap(backend, "/k/a", first, b"2")
    assert await backend.get("/k/a") == Item("/k/a", b"2", second)
    with pytest.raises(CompareFailed):
        await compare_and_swap(backend, "/k/a", first, b"3")


async def test_compare_and_swap_refuses_a_key_that_is_gone(backend: Backend) -> None:
    revision = await create(backend, "/k/a", b"1")
    await delete(backend, "/k/a")
    with pytest.raises(CompareFailed):
        await compare_and_swap(backend, "/k/a", revision, b"2")
    assert await backend.get("/k/a") is None


async def test_compare_and_swap_refuses_a_key_that_was_made_anew(backend: Backend) -> None:
    revision = await create(backend, "/k/a", b"1")
    await delete(backend, "/k/a")
    await create(backend, "/k/a", b"1")
    with pytest.raises(CompareFailed):
        await compare_and_swap(backend, "/k/a", revision, b"2")


async def test_compare_and_delete_removes_the_revision_that_was_read(backend: Backend) -> None:
    first = await create(backend, "/k/a", b"1")
    second = await compare_and_swap(backend, "/k/a", first, b"2")
    with pytest.raises(CompareFailed):
        await compare_and_delete(backend, "/k/a", first)
    await compare_and_delete(backend, "/k/a", second)
    assert await backend.get("/k/a") is None


async def test_all_conditions_must_hold(backend: Backend) -> None:
    revision = await put(backend, a=b"1", b=b"1")
    await backend.commit([Condition("/k/a", revision), Condition("/k/b", revision), Condition("/k/c", None)], [])
    for wrong in (Condition("/k/b", None), Condition("/k/b", revision + 1), Condition("/k/c", revision)):
        with pytest.raises(CompareFailed):
            await backend.commit([Condition("/k/a", revision), wrong], [Put("/k/a", b"2"), Delete("/k/b")])
    assert [item.value for item in await backend.range("/k/")] == [b"1", b"1"]


async def test_a_refused_commit_tells_watchers_nothing(backend: Backend) -> None:
    async with backend.watch("") as events:
        with pytest.raises(CompareFailed):
            await backend.commit([Condition("/k/a", 7)], [Put("/k/a", b"1")])
        await put(backend, b=b"2")
        assert changes(await take(events, 1)) == [("/k/b", b"2", None)]


async def test_writes_of_one_commit_share_a_revision_and_revisions_grow(backend: Backend) -> None:
    revisions = [await put(backend, a=b"1", b=b"1"), await delete(backend, "/k/a"), await put(backend, a=b"2")]
    assert revisions == sorted(set(revisions))
    first = await put(backend, c=b"", d=b"")
    assert {item.revision for item in await backend.range("/k/c")} == {first}
    assert {item.revision for item in await backend.range("/k/d")} == {first}


# Ranges

ORDERED = ["a", "a/", "a/%", "a/_", "a/b", "a/b/c", "a/b0", "a/é", "a/ÿ", "a/\ud7ff", "a/\ue000", "a/😀", "a0", "b"]


async def fill(backend: Backend) -> None:
    await backend.commit([], [Put(key, key.encode()) for key in reversed(ORDERED)])


async def test_a_range_is_ordered_by_code_point(backend: Backend) -> None:
    await fill(backend)
    assert await keys_of(backend, "") == ORDERED
    assert await keys_of(backend, "", newest_first=True) == ORDERED[::-1]


@pytest.mark.parametrize(
    "prefix", ["a", "a/", "a/%", "a/_", "a/b", "a/b/", "a/ÿ", "a/\ud7ff", "a/\U0010ffff", "\U0010ffff", "é", "b", "bb"]
)
async def test_a_prefix_is_taken_literally(backend: Backend, prefix: str) -> None:
    await fill(backend)
    expected = [key for key in ORDERED if key.startswith(prefix)]
    assert await keys_of(backend, prefix) == expected
    assert await keys_of(backend, prefix, newest_first=True) == expected[::-1]


async def test_a_prefix_of_the_last_character_finds_its_keys(backend: Backend) -> None:
    await backend.commit([], [Put("\U0010ffff", b""), Put("\U0010ffff\U0010ffff", b""), Put("z", b"")])
    assert await keys_of(backend, "\U0010ffff") == ["\U0010ffff", "\U0010ffff\U0010ffff"]


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
async def test_pages_make_up_the_whole(backend: Backend, size: int, newest_first: bool) -> None:
    await fill(backend)
    expected = [key for key in ORDERED if key.startswith("a/")]
    found: list[str] = []
    while page := await backend.range("a/", after=found[-1] if found else "", limit=size, newest_first=newest_first):
        assert len(page) <= size
        found += [item.key for item in page]
    assert found == (expected[::-1] if newest_first else expected)


async def test_after_may_be_a_key_that_is_gone_or_outside(backend: Backend) -> None:
    await fill(backend)
    assert await keys_of(backend, "a/b", after="a/b/a") == ["a/b/c", "a/b0"]
    assert await keys_of(backend, "a/b", after="A") == ["a/b", "a/b/c", "a/b0"]
    assert await keys_of(backend, "a/b", after="z") == []
    assert await keys_of(backend, "a/b", after="z", newest_first=True) == ["a/b0", "a/b/c", "a/b"]
    assert await keys_of(backend, "a/b", after="A", newest_first=True) == []


async def test_a_page_is_full_although_expired_items_lie_between(backend: Backend, clock: FakeClock) -> None:
    await backend.commit([], [Put(f"/k/{n}", b"", START + MINUTE if n % 2 else None) for n in range(8)])
    clock.advance(2 * MINUTE)
    assert [item.key for item in await backend.range("/k/", limit=3)] == ["/k/0", "/k/2", "/k/4"]


# Bounds


async def test_a_key_of_the_greatest_length_is_stored_and_a_longer_one_refused(backend: Backend) -> None:
    longest = "é" * MAX_KEY_LENGTH
    await create(backend, longest, b"1")
    assert await keys_of(backend, longest) == [longest]
    with pytest.raises(TooLarge):
        await create(backend, longest + "e", b"1")
    with pytest.raises(TooLarge):
        await backend.get(longest + "e")


async def test_a_value_of_the_greatest_size_is_stored_and_a_larger_one_refused(backend: Backend) -> None:
    await create(backend, "/k/a", bytes(MAX_VALUE_BYTES))
    with pytest.raises(TooLarge):
        await create(backend, "/k/b", bytes(MAX_VALUE_BYTES + 1))
    item = await backend.get("/k/a")
    assert item is not None
    assert len(item.value) == MAX_VALUE_BYTES


async def test_a_commit_of_the_greatest_size_is_done_and_a_larger_one_refused(backend: Backend) -> None:
    conditions = [Condition(f"/k/{n}", None) for n in range(MAX_COMMIT_CONDITIONS)]
    writes = [Put(f"/k/{n}", b"") for n in range(MAX_COMMIT_WRITES)]
    await backend.commit(conditions, writes)
    with pytest.raises(TooLarge):
        await backend.commit([], [*writes, Put("/k/more", b"")])
    with pytest.raises(TooLarge):
        await backend.commit([*conditions, Condition("/k/more", None)], [])
    assert len(await backend.range("/k/")) == MAX_COMMIT_WRITES


@pytest.mark.parametrize("key", ["", "/k/\0", "/k/\n", "/k/\x1f", "/k/\x7f", "/k/\ud800"])
async def test_a_key_that_is_no_plain_text_is_refused(backend: Backend, key: str) -> None:
    with pytest.raises(BadParameter):
        await backend.get(key)
    for conditions, writes in ([Condition(key, None)], []), ([], [Put(key, b"")]), ([], [Delete(key)]):
        with pytest.raises(BadParameter):
            await backend.commit(conditions, writes)


async def test_ranges_and_watches_refuse_what_is_no_key(backend: Backend) -> None:
    with pytest.raises(BadParameter):
        await backend.range("/k/\n")
    with pytest.raises(BadParameter):
        await backend.range("/k/", after="\0")
    with pytest.raises(BadParameter):
        backend.watch("/k/\n")


async def test_a_page_has_at_least_one_item_and_at_most_the_limit(backend: Backend) -> None:
    await backend.range("", limit=MAX_RANGE_LIMIT)
    for limit in (0, -1, MAX_RANGE_LIMIT + 1):
        with pytest.raises(BadParameter):
            await backend.range("", limit=limit)


async def test_a_commit_that_writes_a_key_twice_is_refused(backend: Backend) -> None:
    with pytest.raises(BadParameter):
        await backend.commit([], [Put("/k/a", b"1"), Delete("/k/a")])


async def test_an_expiry_without_time_zone_is_refused(backend: Backend) -> None:
    with pytest.raises(BadParameter):
        await create(backend, "/k/a", b"1", START.replace(tzinfo=None))


# Watching


async def test_a_watch_delivers_changes_in_order_with_what_was_there_before(backend: Backend) -> None:
    async with backend.watch("/k/") as events:
        first = await put(backend, a=b"1")
        second = await put(backend, a=b"2")
        third = await delete(backend, "/k/a")
        assert await take(events, 3) == [
            Event("/k/a", first, Item("/k/a", b"1", first), None),
            Event("/k/a", second, Item("/k/a", b"2", second), Item("/k/a", b"1", first)),
            Event("/k/a", third, None, Item("/k/a", b"2", second)),
        ]


async def test_a_watch_delivers_only_what_lies_below_its_prefix(backend: Backend) -> None:
    async with backend.watch("/k/a") as events:
        await backend.commit([], [Put("/k/b", b""), Put("/k/a/1", b""), Put("/x/k/a", b""), Put("/k/ab", b"")])
        assert [event.key for event in await take(events, 2)] == ["/k/a/1", "/k/ab"]


async def test_a_watch_begins_when_it_is_entered(backend: Backend) -> None:
    watch = backend.watch("/k/")
    await put(backend, a=b"1")
    async with watch as events:
        await put(backend, b=b"2")
        assert changes(await take(events, 1)) == [("/k/b", b"2", None)]


async def test_events_of_a_commit_that_returned_are_there_already(backend: Backend) -> None:
    async with backend.watch("/k/") as events:
        await put(backend, a=b"1", b=b"2")
        async with asyncio.timeout(0):
            assert len([await anext(events), await anext(events)]) == 2


async def test_every_watcher_gets_every_change_of_many_writers_once_and_in_order(backend: Backend) -> None:
    async def write(writer: int) -> None:
        for n in range(20):
            await backend.commit([], [Put(f"/k/{writer}", b"%d" % n), Put(f"/k/{writer}/{n}", b"")])

    async with backend.watch("/k/") as one, backend.watch("") as two:
        await asyncio.gather(*(write(writer) for writer in range(16)))
        seen = await take(one, 640)
        assert await take(two, 640) == seen
        await put(backend, end=b"")
        assert [event.key for event in await take(one, 1)] == ["/k/end"]
    revisions = [event.revision for event in seen]
    assert revisions == sorted(revisions)
    assert len(set(revisions)) == 320
    for writer in range(16):
        history = [event for event in seen if event.key == f"/k/{writer}"]
        assert [event.item and event.item.value for event in history] == [b"%d" % n for n in range(20)]
        assert [event.previous for event in history[1:]] == [event.item for event in history[:-1]]


async def fill_backlog(backend: Backend) -> None:
    pages = [[Put(f"/k/{page}/{n}", b"") for n in range(128)] for page in range(MAX_BACKLOG // 128)]
    await asyncio.gather(*(backend.commit([], page) for page in pages))


async def test_a_watcher_may_be_as_far_behind_as_its_backlog(backend: Backend) -> None:
    async with backend.watch("/k/") as events:
        await fill_backlog(backend)
        assert len(await take(events, MAX_BACKLOG)) == MAX_BACKLOG


async def test_a_watcher_that_is_one_event_further_behind_must_read_anew(backend: Backend) -> None:
    async with backend.watch("/k/") as slow, backend.watch("/k/end") as other:
        await fill_backlog(backend)
        await put(backend, end=b"")
        for _ in range(2):
            with pytest.raises(Unavailable, match="read anew"):
                await take(slow, 1)
        assert [event.key for event in await take(other, 1)] == ["/k/end"]


async def test_a_watch_that_is_left_ends(backend: Backend) -> None:
    async def listen(events: AsyncIterator[Event]) -> list[str]:
        return [event.key async for event in events]

    async with backend.watch("/k/") as events:
        await put(backend, a=b"1")
        listening = asyncio.ensure_future(listen(events))
        await asyncio.sleep(0)
    assert await listening == ["/k/a"]
    assert await listen(events) == []


# Concurrency


async def test_one_of_64_concurrent_swaps_wins_at_each_revision(backend: Backend) -> None:
    revision = await create(backend, "/k/a", b"")
    for _ in range(5):
        attempts = [compare_and_swap(backend, "/k/a", revision, b"%d" % n) for n in range(64)]
        results = await asyncio.gather(*attempts, return_exceptions=True)
        won = [result for result in results if isinstance(result, int)]
        assert len(won) == 1
        assert [type(result) for result in results].count(CompareFailed) == 63
        item = await backend.get("/k/a")
        assert item is not None
        assert (item.revision, item.value) == (won[0], b"%d" % results.index(won[0]))
        revision = won[0]


async def test_one_of_64_concurrent_creates_wins(backend: Backend) -> None:
    results = await asyncio.gather(*(create(backend, "/k/a", b"%d" % n) for n in range(64)), return_exceptions=True)
    assert [type(result) for result in results].count(CompareFailed) == 63


async def test_64_counters_that_retry_lose_no_step(backend: Backend) -> None:
    async def count() -> None:
        while True:
            item = await backend.get("/k/a")
            assert item is not None
            try:
                await compare_and_swap(backend, "/k/a", item.revision, b"%d" % (int(item.value) + 1))
            except CompareFailed:
                continue
            return

    await create(backend, "/k/a", b"0")
    await asyncio.gather(*(count() for _ in range(64)))
    item = await backend.get("/k/a")
    assert item is not None
    assert item.value == b"64"


async def test_a_commit_is_seen_whole_or_not_at_all(backend: Backend) -> None:
    done = False

    async def write() -> None:
        nonlocal done
        for n in range(50):
            await put(backend, a=b"%d" % n, b=b"%d" % n)
        done = True

    async def read() -> None:
        latest = -1
        while not done:
            items = await backend.range("/k/")
            assert len({item.value for item in items}) <= 1
            if items:
                assert int(items[0].value) >= latest
                latest = int(items[0].value)
            await asyncio.sleep(0)

    await asyncio.gather(write(), read(), read())


async def test_a_read_after_a_commit_returned_sees_it(backend: Backend) -> None:
    async def write_and_read(writer: int) -> None:
        for n in range(20):
            revision = await backend.commit([], [Put(f"/k/{writer}", b"%d" % n)])
            assert await backend.get(f"/k/{writer}") == Item(f"/k/{writer}", b"%d" % n, revision)

    await asyncio.gather(*(write_and_read(writer) for writer in range(16)))


async def test_reads_never_go_back_whichever_way_they_are_made(backend: Backend) -> None:
    keys = [f"/k/{n}" for n in range(4)]
    done = False

    async def write(key: str) -> None:
        nonlocal done
        for n in range(100):
            await backend.commit([], [Put(key, b"%d" % n)])
        done = True

    async def read(key: str) -> None:
        latest = 0
        while not done:
            for item in (await backend.get(key), *await backend.range(key), await backend.get(key)):
                assert item is None or item.revision >= latest
                latest = item.revision if item else latest
            await asyncio.sleep(0)

    await asyncio.gather(*(write(key) for key in keys), *(read(key) for key in keys))


async def test_a_cancelled_caller_disturbs_nobody(backend: Backend) -> None:
    tasks = [asyncio.ensure_future(put(backend, **{f"n{n}": b""})) for n in range(10)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, int) for result in results[1::2])
    await put(backend, end=b"")


# Closing


async def test_a_closed_backend_is_unavailable(backend: Backend) -> None:
    await put(backend, a=b"1")
    await backend.close()
    with pytest.raises(Unavailable, match="closed"):
        await backend.get("/k/a")
    with pytest.raises(Unavailable, match="closed"):
        await backend.range("")
    with pytest.raises(Unavailable, match="closed"):
        await put(backend, b=b"1")
    with pytest.raises(Unavailable, match="closed"):
        async with backend.watch(""):
            pass


async def test_closing_twice_is_closing_once(backend: Backend) -> None:
    await asyncio.gather(backend.close(), backend.close())
    await backend.close()


async def test_closing_finishes_what_was_accepted(backend: Backend) -> None:
    tasks = [asyncio.ensure_future(put(backend, **{f"n{n}": b""})) for n in range(50)]
    await asyncio.sleep(0)
    await backend.close()
    assert len(set(await asyncio.gather(*tasks))) == 50


async def test_closing_ends_watches_after_their_last_event(backend: Backend) -> None:
    async with backend.watch("/k/") as events, backend.watch("/k/") as idle:
        waiting = asyncio.ensure_future(take(idle, 2))
        await put(backend, a=b"1")
        await backend.close()
        assert changes(await take(events, 1)) == [("/k/a", b"1", None)]
        for pending in take(events, 1), waiting:
            with pytest.raises(Unavailable, match="closed"):
                await pending
