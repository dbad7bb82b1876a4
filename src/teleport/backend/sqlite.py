"""The embedded backend: one SQLite file in WAL mode, every commit on disk before it returns.

One thread writes, in groups of transactions that share one flush to disk. Reads are made on the event loop, from
memory or from a connection of their own: they take microseconds and see every commit that has returned. One process
has the store open at a time, and nothing else may write to its file; backups may be taken meanwhile by any tool that
speaks SQLite (`sqlite3 FILE ".backup COPY"`).
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Any, Self, TypeVar

from teleport.backend.bounds import check_commit, check_key, check_range
from teleport.backend.expiry import SWEEP_BATCH, SWEEP_PERIOD, ExpiryClock, Sweeper, live
from teleport.backend.folder import LOCK_NAME, StoreFolder
from teleport.backend.group_writer import GroupWriter, Result
from teleport.backend.keyspace import find_stretch
from teleport.backend.protocol import Condition, Event, Item, Write
from teleport.backend.recent_items import RecentItems
from teleport.backend.transaction import Expire, Outcome, Transaction, judge
from teleport.backend.watchers import Watchers
from teleport.clock import Clock
from teleport.errors import CompareFailed, StorageError, TeleportError, Unavailable

FILE_NAME = "store.sqlite3"
SCHEMA_VERSION = 1
BUSY_TIMEOUT = timedelta(seconds=2)
"""How long a group waits for a foreign writer, a backup tool for example, before its callers are told to come again."""

_SCHEMA = (
    "CREATE TABLE items (key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL, expires INTEGER) STRICT",
    "CREATE INDEX items_by_end ON items (expires) WHERE expires IS NOT NULL",
    "CREATE TABLE latest (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL) STRICT",
    "INSERT INTO latest VALUES (1, 0)",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_GET = "SELECT key, value, revision, expires FROM items WHERE key = ?"
_RANGE = """
    SELECT key, value, revision, expires FROM items
    WHERE key >= ? AND key < ? AND (expires IS NULL OR expires >= ?) ORDER BY key {} LIMIT ?
"""
_OLDEST_FIRST, _NEWEST_FIRST = _RANGE.format("ASC"), _RANGE.format("DESC")
_FIND_EXPIRED = f"SELECT key FROM items WHERE expires < ? ORDER BY expires LIMIT {SWEEP_BATCH}"  # noqa: S608 - a constant
_FIND = "SELECT key, value, revision, expires FROM items WHERE key IN ({})"
_PUT = """
    INSERT INTO items VALUES {} ON CONFLICT (key)
    DO UPDATE SET value = excluded.value, revision = excluded.revision, expires = excluded.expires
"""
_DELETE = "DELETE FROM items WHERE key IN ({})"
BATCH = 256
"""Keys or rows of one statement, at most; SQLite takes 32,766 values."""

_END_OF_KEYS = b""
"""SQLite orders every blob after every text."""

_PASSING = {
    sqlite3.SQLITE_BUSY: "is locked by another program",
    sqlite3.SQLITE_LOCKED: "is locked by another program",
    sqlite3.SQLITE_FULL: "cannot grow, the disk is full",
    sqlite3.SQLITE_READONLY: "is read-only",
    sqlite3.SQLITE_IOERR: "cannot be read or written, the disk reports an error",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened",
    sqlite3.SQLITE_NOMEM: "needs more memory than there is",
}
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_Row = tuple[Any, ...]
T = TypeVar("T")

_log = logging.getLogger(__name__)


async def open_sqlite(path: Path, *, clock: Clock, sweep_period: timedelta = SWEEP_PERIOD) -> "SqliteBackend":
    """Open the store in a folder, or make one.

    Args:
        path: the folder; it is made with mode 0700 if it is not there.
        clock: by which items expire.
        sweep_period: how often expired items are removed.

    Raises:
        Unavailable: another program has the file locked, or the disk is full or fails.
        StorageError: the folder is in use or open to others, or the store is damaged, incomplete or of a newer version.
    """
    time = ExpiryClock(clock)
    database, reader = await asyncio.to_thread(_Database.open, path, time)
    return SqliteBackend(database, reader, time=time, sweep_period=sweep_period)


class SqliteBackend:
    """A store in one SQLite file; made by `open_sqlite`."""

    def __init__(
        self, database: "_Database", reader: sqlite3.Connection, *, time: ExpiryClock, sweep_period: timedelta
    ) -> None:
        self._time = time
        self._path = database.path
        self._recent = database.recent
        self._reader = reader
        self._watchers = Watchers()
        self._writer = GroupWriter(write=database.write, finish=database.close, publish=self._publish)
        self._sweeper = Sweeper(self._sweep, period=sweep_period)
        self._sweeper.start()
        self._is_open = True

    async def get(self, key: str) -> Item | None:
        """Return the item, or None if there is none or its time is over."""
        check_key(key)
        item = self._recent.get(key) if self._is_open else None
        if item is None:
            begun = self._recent.begin_read(key)
            rows = self._read(_GET, key)
            if not rows:
                return None
            item = _build_item(rows[0])
            self._recent.remember(item, begun)
        return live(item, self._time.now())

    async def range(self, prefix: str, *, after: str = "", limit: int = 1000, newest_first: bool = False) -> list[Item]:
        """Return live items whose keys start with the prefix, ordered by key."""
        check_range(prefix, after, limit)
        lower, upper = find_stretch(prefix, after, newest_first=newest_first)
        statement = _NEWEST_FIRST if newest_first else _OLDEST_FIRST
        end = _END_OF_KEYS if upper is None else upper
        return [_build_item(row) for row in self._read(statement, lower, end, _count(self._time.now()), limit)]

    async def commit(self, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
        """Do all the writes at once and durably, if all the conditions hold; return the revision."""
        check_commit(conditions, writes)
        outcome = await self._writer.submit(Transaction(tuple(conditions), tuple(writes)))
        return outcome.revision

    def watch(self, prefix: str) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Watch changes below the prefix."""
        return self._watchers.watch(prefix)

    async def close(self) -> None:
        """Finish what was accepted, fold the write-ahead log into the file and let the folder go."""
        self._is_open = False
        await self._sweeper.stop()
        self._reader.close()
        await self._writer.close()
        self._watchers.close("the store is closed")

    def _read(self, statement: str, *values: str | bytes | int) -> list[_Row]:
        if not self._is_open:
            raise Unavailable("the store is closed")
        with _translated(self._path):
            return self._reader.execute(statement, values).fetchall()

    def _publish(self, outcome: Outcome) -> None:
        self._watchers.publish(outcome.events)

    async def _sweep(self) -> int:
        keys = [row[0] for row in self._read(_FIND_EXPIRED, _count(self._time.now()))]
        if keys:
            await self._writer.submit(Transaction((), tuple(Expire(key) for key in keys)))
        return len(keys)


class _Database:
    """The writing half: lives on the writer's thread once it is open."""

    def __init__(self, folder: StoreFolder, path: Path, connection: sqlite3.Connection, time: ExpiryClock) -> None:
        self.path = path
        self.recent = RecentItems()
        self._folder = folder
        self._connection = connection
        self._time = time
        self._revision = 0

    @classmethod
    def open(cls, path: Path, time: ExpiryClock) -> tuple[Self, sqlite3.Connection]:
        """Lock the folder, check the file and bring it into use; return it with a connection for the reading half."""
        with contextlib.ExitStack() as undo, _translated(path / FILE_NAME):
            folder = StoreFolder.acquire(path)
            undo.callback(folder.release)
            _check_complete(folder)
            file = folder.make_private_file(FILE_NAME)
            database = cls(folder, file, _connect(file, busy_timeout=BUSY_TIMEOUT), time)
            undo.callback(database._disconnect)
            database._begin_use()
            folder.mark_open()
            reader = _connect(file, busy_timeout=timedelta())
            undo.pop_all()
        return database, reader

    def write(self, transactions: Sequence[Transaction]) -> Sequence[Result]:
        """Do a group of transactions with one flush to disk; one whose conditions fail leaves the others alone."""
        try:
            with self._transaction():
                items = self._load({key for transaction in transactions for key in transaction.keys})
                results = [self._judge(transaction, items) for transaction in transactions]
                done = [result for result in results if isinstance(result, Outcome)]
                changed = {event.key for outcome in done for event in outcome.events}
                self._store(changed, items)
                self.recent.begin_changes(changed)
        except sqlite3.Error as error:
            return [_translate(error, self.path) for _ in transactions]
        finally:
            self.recent.end_changes()
        return results

    def close(self) -> None:
        """Fold the write-ahead log into the file, and let the folder go."""
        self._disconnect()
        self._folder.release()

    def _disconnect(self) -> None:
        """Close the file; SQLite removes the log then, so the folder says beforehand that it is not needed."""
        try:
            _, logged, folded = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if logged == folded:
                self._folder.mark_closed()
        except (sqlite3.Error, StorageError) as error:
            _log.warning("%s is not closed cleanly, the next start recovers it: %s", self.path, error)
        finally:
            self._connection.close()

    def _begin_use(self) -> None:
        """Check the file, make the schema in a new one, and write once, so that a write-ahead log is there."""
        connection = self._connection
        problems = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
        if problems != ["ok"]:
            raise StorageError(_advise_restore(self.path, problems[0]))
        with self._transaction():
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                for statement in _SCHEMA:
                    connection.execute(statement)
            elif version != SCHEMA_VERSION:
                raise StorageError(f"{self.path} has format {version}, but this version knows {SCHEMA_VERSION} only")
            self._revision = connection.execute("SELECT revision FROM latest").fetchone()[0] + 1

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        before = self._revision
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            if self._revision != before:
                self._connection.execute("UPDATE latest SET revision = ?", (self._revision,))
            self._connection.execute("COMMIT")
        except BaseException:
            self._revision = before
            with contextlib.suppress(sqlite3.Error):  # what led here is the error to tell
                self._connection.rollback()
            raise

    def _judge(self, transaction: Transaction, items: dict[str, Item]) -> Result:
        """Judge a transaction by the items as those before it in the group left them, and change them likewise."""
        try:
            outcome = judge(transaction, read=items.get, now=self._time.now(), revision=self._revision)
        except CompareFailed as failure:
            return failure
        self._revision = outcome.revision
        for event in outcome.events:
            if event.item is None:
                items.pop(event.key, None)
            else:
                items[event.key] = event.item
        return outcome

    def _load(self, keys: Iterable[str]) -> dict[str, Item]:
        """Return what is stored, expired or not.

        One statement for many keys: this thread lets the others go on during each, and then has to wait for its turn.
        """
        items = (
            _build_item(row)
            for batch in _batches(keys)
            for row in self._connection.execute(_FIND.format(_join("?", len(batch))), batch)
        )
        return {item.key: item for item in items}

    def _store(self, keys: Iterable[str], items: Mapping[str, Item]) -> None:
        """Write the keys as they are among the items now, and remove those that are not."""
        rows = [_build_row(items[key]) for key in keys if key in items]
        for batch in _batches(rows):
            self._connection.execute(_PUT.format(_join("(?, ?, ?, ?)", len(batch))), [*chain.from_iterable(batch)])
        for gone in _batches(key for key in keys if key not in items):
            self._connection.execute(_DELETE.format(_join("?", len(gone))), gone)


def _connect(path: Path, *, busy_timeout: timedelta) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=busy_timeout.total_seconds(), isolation_level=None, check_same_thread=False
    )
    try:
        for setting in ("journal_mode = WAL", "synchronous = FULL", "cell_size_check = ON", "trusted_schema = OFF"):
            connection.execute(f"PRAGMA {setting}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _check_complete(folder: StoreFolder) -> None:
    """Refuse a store whose last user died and whose log is gone: changes that were acknowledged would be missing.

    Raises:
        StorageError: the file or its write-ahead log is not there.
    """
    names = (FILE_NAME, f"{FILE_NAME}-wal")
    missing = [name for name in names if not (folder.path / name).exists()]
    if folder.was_left_open and missing:
        raise StorageError(
            f"{folder.path / missing[0]} is gone, but the store was not closed, so its last changes are lost: "
            f"restore a backup into an empty folder, or remove {folder.path / LOCK_NAME} to go on with what is there"
        )


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _translate(error, path) from error


def _translate(error: sqlite3.Error, path: Path) -> TeleportError:
    """Turn SQLite's error into ours: one that may pass, or one that a person must look at."""
    primary = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if primary in _PASSING:
        ours: TeleportError = Unavailable(f"the store {path} {_PASSING[primary]}")
    elif primary in _DAMAGED:
        ours = StorageError(_advise_restore(path, str(error)))
    else:
        ours = StorageError(f"the store {path} failed: {error}")
    ours.__cause__ = error
    return ours


def _advise_restore(path: Path, problem: str) -> str:
    problem = " ".join(problem.split())
    return f"the store {path} is damaged ({problem}): stop, move the folder aside and restore a backup of the file"


def _build_item(row: _Row) -> Item:
    key, value, revision, expires = row
    return Item(key, value, revision, None if expires is None else _EPOCH + timedelta(microseconds=expires))


def _build_row(item: Item) -> _Row:
    return item.key, item.value, item.revision, None if item.expires is None else _count(item.expires)


def _batches(values: Iterable[T]) -> Iterator[list[T]]:
    left = iter(values)
    while batch := list(islice(left, BATCH)):
        yield batch


def _join(part: str, count: int) -> str:
    return ", ".join([part] * count)


def _count(time: datetime) -> int:
    """Return microseconds since 1970, without the rounding of a float."""
    return (time - _EPOCH) // _MICROSECOND
