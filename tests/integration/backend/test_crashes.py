"""The embedded backend under SIGKILL: what was acknowledged is there, and nothing is there by halves."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from support.numbered_writes import KEPT, run_and_kill
from teleport.backend.folder import LOCK_NAME
from teleport.backend.protocol import Backend, Delete, Item
from teleport.backend.sqlite import FILE_NAME, open_sqlite
from teleport.clock import SystemClock
from teleport.errors import StorageError

ROUNDS = 50


async def read_side(backend: Backend, side: str) -> dict[int, Item]:
    items = await backend.range(f"/{side}/", limit=10_000)
    return {int(item.key.rsplit("/", 1)[1]): item for item in items}


async def check(backend: Backend, acknowledged: dict[int, int]) -> int:
    """Assert that the store is whole and holds all that was acknowledged; return the highest number in it."""
    left, right = await read_side(backend, "left"), await read_side(backend, "right")
    assert {n: item.revision for n, item in left.items()} == {n: item.revision for n, item in right.items()}
    highest = max(left, default=0)
    for n, revision in acknowledged.items():
        if n > highest - KEPT:
            assert left[n].revision == revision
    return highest


async def test_hostile_52_a_store_killed_at_any_moment_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "store"
    highest, latest_revision, rounds_with_commits = 0, 0, 0
    for number in range(ROUNDS):
        acknowledged = run_and_kill(path, highest + 1, number * 0.004)
        rounds_with_commits += bool(acknowledged)
        latest_revision = max([latest_revision, *acknowledged.values()])
        backend = await open_sqlite(path, clock=SystemClock())
        highest = max(highest, await check(backend, acknowledged))
        revision = await backend.commit([], [Delete("/none")])
        await backend.close()
        assert revision > latest_revision
        latest_revision = revision
    assert rounds_with_commits > ROUNDS // 4


async def test_hostile_52_a_store_killed_again_before_it_was_ever_closed_keeps_what_it_acknowledged(
    tmp_path: Path,
) -> None:
    path = tmp_path / "store"
    acknowledged: dict[int, int] = {}
    for number in range(10):
        first = max(acknowledged, default=0) + 100
        acknowledged = {**acknowledged, **run_and_kill(path, first, 0.05 + number * 0.01)}
    assert sorted(acknowledged.values()) == sorted(set(acknowledged.values()))
    backend = await open_sqlite(path, clock=SystemClock())
    left = await read_side(backend, "left")
    right = await read_side(backend, "right")
    assert left.keys() == right.keys()
    assert {acknowledged[n] == item.revision for n, item in left.items() if n in acknowledged} == {True}
    await backend.close()


async def test_hostile_53_a_lost_write_ahead_log_is_noticed_and_named(tmp_path: Path) -> None:
    path = tmp_path / "store"
    assert run_and_kill(path, 1, 0.5)
    log = path / f"{FILE_NAME}-wal"
    log.unlink()
    for _ in range(2):
        with pytest.raises(StorageError, match=f"{log} is gone.*restore a backup.*or remove {path / LOCK_NAME}"):
            await open_sqlite(path, clock=SystemClock())
    (path / LOCK_NAME).unlink()
    backend = await open_sqlite(path, clock=SystemClock())
    await check(backend, {})
    await backend.close()


async def test_a_damaged_tail_of_the_log_loses_no_earlier_commit(tmp_path: Path) -> None:
    path = tmp_path / "store"
    acknowledged = run_and_kill(path, 1, 0.3)
    assert acknowledged
    with (path / f"{FILE_NAME}-wal").open("ab") as log:
        log.write(b"half a frame" * 100)
    backend = await open_sqlite(path, clock=SystemClock())
    await check(backend, acknowledged)
    await backend.close()


async def test_hostile_57_a_backup_taken_under_load_is_whole_elsewhere(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "store", tmp_path / "elsewhere"
    acknowledged = run_and_kill(path, 1, 0.3)
    backend = await open_sqlite(path, clock=SystemClock())
    elsewhere.mkdir(mode=0o700)
    with closing(sqlite3.connect(path / FILE_NAME)) as source, closing(sqlite3.connect(elsewhere / FILE_NAME)) as copy:
        source.backup(copy)
    revision = await backend.commit([], [Delete("/none")])
    await backend.close()
    restored = await open_sqlite(elsewhere, clock=SystemClock())
    await check(restored, acknowledged)
    assert await restored.commit([], [Delete("/none")]) >= revision
    await restored.close()
