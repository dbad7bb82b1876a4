"""What is particular to the embedded backend: its files, its errors, its way to start and end."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from support.backend import delete, put
from support.clock import START, FakeClock
from teleport.backend.folder import LOCK_NAME
from teleport.backend.protocol import Condition, Delete, Put
from teleport.backend.sqlite import BATCH, FILE_NAME, SqliteBackend, _translate, open_sqlite
from teleport.errors import CompareFailed, StorageError, Unavailable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


async def opened(path: Path) -> SqliteBackend:
    return await open_sqlite(path, clock=FakeClock(), sweep_period=timedelta(hours=1))


def modes(path: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in [path, *path.iterdir()]}


def make_folder(path: Path) -> None:
    path.mkdir(mode=0o700)


async def test_folder_and_files_are_private(path: Path) -> None:
    backend = await opened(path)
    await put(backend, a=b"1")
    files = dict.fromkeys([LOCK_NAME, FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"], 0o600)
    assert modes(path) == {"store": 0o700, **files}
    await backend.close()


async def test_items_outlive_a_restart_and_revisions_never_return(path: Path) -> None:
    backend = await opened(path)
    await backend.commit([], [Put("/k/a", b"1", START + timedelta(seconds=1))])
    before = await backend.get("/k/a")
    highest = await delete(backend, "/k/none")
    await backend.close()
    backend = await opened(path)
    assert await backend.get("/k/a") == before
    assert await put(backend, b=b"") > highest
    await backend.close()


@pytest.mark.parametrize("count", [BATCH, BATCH + 1])
async def test_a_group_of_as_many_keys_as_a_statement_takes_and_of_one_more_is_written(path: Path, count: int) -> None:
    backend = await opened(path)
    for value in (b"1", b"2"):
        puts = [Put(f"/k/{number}", value) for number in range(count)]
        await asyncio.gather(*(backend.commit([], puts[at : at + 100]) for at in range(0, count, 100)))
        assert [item.value for item in await backend.range("/k/")] == [value] * count
    deletes = [Delete(f"/k/{number}") for number in range(count)]
    await asyncio.gather(*(backend.commit([], deletes[at : at + 100]) for at in range(0, count, 100)))
    assert await backend.range("/k/") == []
    await backend.close()


async def test_commits_of_one_group_see_each_other(path: Path) -> None:
    backend = await opened(path)
    first = await put(backend, a=b"0")
    key = "/k/a"
    results = await asyncio.gather(
        backend.commit([Condition(key, first)], [Put(key, b"1")]),
        backend.commit([Condition(key, first)], [Put(key, b"lost")]),
        backend.commit([Condition(key, first + 1)], [Delete(key)]),
        backend.commit([Condition(key, None)], [Put(key, b"3")]),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [int, CompareFailed, int, int]
    found = await backend.get(key)
    assert found is not None
    assert found.value == b"3"
    await backend.close()


async def test_a_closed_store_is_one_file(path: Path) -> None:
    backend = await opened(path)
    await put(backend, a=b"1")
    await backend.close()
    assert set(modes(path)) == {"store", LOCK_NAME, FILE_NAME}
    assert (path / LOCK_NAME).read_bytes() == b""


async def test_every_commit_is_flushed(path: Path) -> None:
    backend = await opened(path)
    assert backend._reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert backend._writer._write.__self__._connection.execute("PRAGMA synchronous").fetchone() == (2,)  # type: ignore[attr-defined]
    await backend.close()


async def test_a_second_process_is_refused_by_the_folders_name(path: Path) -> None:
    backend = await opened(path)
    with pytest.raises(StorageError, match=f"{path}: the store is in use"):
        await opened(path)
    await backend.close()
    await (await opened(path)).close()


async def test_a_store_of_another_format_is_left_alone(path: Path) -> None:
    await (await opened(path)).close()
    with closing(sqlite3.connect(path / FILE_NAME)) as connection:
        connection.execute("PRAGMA user_version = 2")
    before = (path / FILE_NAME).read_bytes()
    with pytest.raises(StorageError, match="has format 2, but this version knows 1 only"):
        await opened(path)
    assert (path / FILE_NAME).read_bytes() == before


async def test_a_foreign_database_is_left_alone(path: Path) -> None:
    make_folder(path)
    with closing(sqlite3.connect(path / FILE_NAME)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StorageError, match="has format 0"):
        await opened(path)


async def test_a_failed_start_frees_the_folder(path: Path) -> None:
    make_folder(path)
    (path / FILE_NAME).write_bytes(b"no database" * 1000)
    for _ in range(2):
        with pytest.raises(StorageError, match="restore a backup"):
            await opened(path)
    (path / FILE_NAME).unlink()
    await (await opened(path)).close()


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (sqlite3.SQLITE_BUSY, "is locked by another program"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "is locked by another program"),
        (sqlite3.SQLITE_LOCKED, "is locked by another program"),
        (sqlite3.SQLITE_FULL, "the disk is full"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "is read-only"),
        (sqlite3.SQLITE_IOERR_FSYNC, "the disk reports an error"),
        (sqlite3.SQLITE_CANTOPEN, "cannot be opened"),
        (sqlite3.SQLITE_NOMEM, "more memory"),
    ],
)
def test_an_error_that_may_pass_is_unavailable(code: int, text: str) -> None:
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    ours = _translate(error, Path("/data/store.sqlite3"))
    assert isinstance(ours, Unavailable)
    assert text in ours.message
    assert "/data/store.sqlite3" in ours.message
    assert ours.__cause__ is error


@pytest.mark.parametrize("code", [sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CORRUPT_INDEX, sqlite3.SQLITE_NOTADB])
def test_an_error_of_a_damaged_file_tells_what_to_do(code: int) -> None:
    error = sqlite3.DatabaseError("malformed")
    error.sqlite_errorcode = code
    ours = _translate(error, Path("/data/store.sqlite3"))
    assert isinstance(ours, StorageError)
    assert "restore a backup" in ours.message


def test_any_other_error_is_for_a_person() -> None:
    ours = _translate(sqlite3.ProgrammingError("cannot operate on a closed database"), Path("/data/store.sqlite3"))
    assert isinstance(ours, StorageError)
    assert "closed database" in ours.message


async def test_a_commit_that_the_disk_refuses_leaves_nothing_and_the_next_one_succeeds(path: Path) -> None:
    backend = await opened(path)
    first = await put(backend, a=b"1")
    with closing(sqlite3.connect(path / FILE_NAME, isolation_level=None)) as saboteur:
        saboteur.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON items WHEN new.key = '/k/c' BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        with pytest.raises(StorageError, match="no"):
            await put(backend, b=b"2", c=b"3")
        saboteur.execute("DROP TRIGGER refuse")
    assert await backend.get("/k/b") is None
    assert await put(backend, b=b"2", c=b"3") == first + 1
    await backend.close()
