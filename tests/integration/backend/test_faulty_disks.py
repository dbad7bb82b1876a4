"""The embedded backend on disks and among programs that do not behave: each case has its stated outcome."""

import itertools
import os
import sqlite3
import subprocess
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from support.backend import put
from teleport.backend import sqlite as module
from teleport.backend.protocol import Put
from teleport.backend.sqlite import FILE_NAME, SqliteBackend, open_sqlite
from teleport.clock import SystemClock
from teleport.errors import StorageError, TeleportError, Unavailable

PAGE = 4096


async def opened(path: Path) -> SqliteBackend:
    return await open_sqlite(path, clock=SystemClock())


def damage(file: Path, pages: range) -> None:
    """Write over some pages in place, as a failing disk does."""
    with file.open("r+b") as disk:
        for page in pages:
            disk.seek(page * PAGE)
            disk.write(b"\xa5" * PAGE)
        disk.flush()
        os.fsync(disk.fileno())


async def fill(backend: SqliteBackend, count: int) -> None:
    for first in range(0, count, 100):
        await backend.commit([], [Put(f"/k/{n:06}", bytes(700)) for n in range(first, first + 100)])


async def count_commits_until_refused(backend: SqliteBackend) -> int:
    for count in itertools.count():
        try:
            await backend.commit([], [Put(f"/{side}/{count}", bytes(20_000)) for side in ("left", "right")])
        except Unavailable as error:
            assert "the disk is full" in error.message  # noqa: PT017 - which of the commits is refused is what is asked
            break
    return count


def remount(path: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(path)], check=True)


def write_bytes(path: Path, count: int) -> None:
    path.write_bytes(bytes(count))


async def test_hostile_53_a_store_locked_by_another_writer_is_unavailable_and_still_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_TIMEOUT", timedelta(milliseconds=50))
    backend = await opened(tmp_path / "store")
    await put(backend, a=b"1")
    with closing(sqlite3.connect(tmp_path / "store" / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="is locked by another program"):
            await put(backend, b=b"2", c=b"3")
        assert [item.value for item in await backend.range("/k/")] == [b"1"]
        other.execute("ROLLBACK")
        await put(backend, b=b"2", c=b"3")
    assert len(await backend.range("/k/")) == 3
    await backend.close()


async def test_hostile_53_a_store_that_is_locked_at_the_start_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_TIMEOUT", timedelta(milliseconds=50))
    await (await opened(tmp_path / "store")).close()
    with closing(sqlite3.connect(tmp_path / "store" / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unavailable, match="is locked by another program"):
            await opened(tmp_path / "store")
    await (await opened(tmp_path / "store")).close()


async def test_hostile_53_a_full_disk_is_unavailable_and_leaves_no_half_commit(small_disk: Path) -> None:
    path = small_disk / "store"
    backend = await opened(path)
    count = await count_commits_until_refused(backend)
    for side in ("left", "right"):
        assert len(await backend.range(f"/{side}/")) == count
    await backend.close()
    remount(small_disk, "size=8m")
    backend = await opened(path)
    assert len(await backend.range("/left/")) == len(await backend.range("/right/")) == count
    await put(backend, a=b"1")
    await backend.close()


async def test_hostile_53_a_full_disk_that_gets_room_takes_commits_again(small_disk: Path) -> None:
    backend = await opened(small_disk / "store")
    await put(backend, a=b"1")
    ballast = small_disk / "ballast"
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize
    write_bytes(ballast, free)
    with pytest.raises(Unavailable, match="the disk is full"):
        await backend.commit([], [Put("/k/b", bytes(200_000))])
    write_bytes(ballast, 0)
    await backend.commit([], [Put("/k/b", bytes(200_000))])
    assert len(await backend.range("/k/")) == 2
    await backend.close()


async def test_hostile_53_a_read_only_disk_is_named_at_the_start(small_disk: Path) -> None:
    await (await opened(small_disk / "store")).close()
    remount(small_disk, "ro")
    with pytest.raises(StorageError, match=f"{small_disk / 'store'}: .*[Rr]ead-only"):
        await opened(small_disk / "store")


async def test_hostile_53_a_corrupted_page_is_found_at_the_start_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "store"
    backend = await opened(path)
    await fill(backend, 1000)
    await backend.close()
    damage(path / FILE_NAME, range(20, 22))
    for _ in range(2):
        with pytest.raises(StorageError, match=f"{path / FILE_NAME} is damaged.*restore a backup"):
            await opened(path)


async def test_hostile_53_pages_that_go_bad_under_a_running_store_are_told_and_not_served(tmp_path: Path) -> None:
    path = tmp_path / "store"
    backend = await opened(path)
    await fill(backend, 10_000)
    with closing(sqlite3.connect(path / FILE_NAME)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage(path / FILE_NAME, range(5, 1500))
    failures: list[TeleportError] = []
    for n in range(0, 10_000, 500):
        try:
            item = await backend.get(f"/k/{n:06}")
        except StorageError as error:
            failures.append(error)
        else:
            assert item is not None
            assert item.value == bytes(700)
    assert failures
    assert "restore a backup" in failures[0].message
    await backend.close()
