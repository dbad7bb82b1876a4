"""The folder of an embedded store: private to its owner, used by one process at a time, and marked while it is open."""

import fcntl
import os
from pathlib import Path
from typing import Self

from teleport.errors import StorageError

LOCK_NAME = "lock"


class StoreFolder:
    """A folder that is locked for this process.

    The lock file names the process that has the store open. If it still does when nobody holds the lock, that process
    ended without closing the store.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock
        self.was_left_open = os.fstat(lock).st_size > 0

    @classmethod
    def acquire(cls, path: Path) -> Self:
        """Make the folder if need be, and lock it.

        Raises:
            StorageError: another process has it, others than the owner may enter it, or it cannot be made.
        """
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_private(path)
            lock = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StorageError(f"{path}: the store's folder cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise StorageError(f"{path}: the store is in use by another process; stop that one first") from error
        return cls(path, lock)

    def make_private_file(self, name: str) -> Path:
        """Make a file that only its owner may read, or take that right from others if it is there; return its path.

        Raises:
            StorageError: the file cannot be made.
        """
        path = self.path / name
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            os.fchmod(file, 0o600)
            os.close(file)
            self._sync()
        except OSError as error:
            raise StorageError(f"{path}: the store's file cannot be used: {error.strerror}") from error
        return path

    def mark_open(self) -> None:
        """Say durably that this process has the store open.

        Raises:
            StorageError: the mark cannot be written.
        """
        try:
            self._mark(f"{os.getpid()}\n")
        except OSError as error:
            raise StorageError(f"{self.path}: the lock file cannot be written: {error.strerror}") from error

    def mark_closed(self) -> None:
        """Say durably that the store is complete without its write-ahead log.

        Raises:
            StorageError: the mark cannot be written.
        """
        try:
            self._mark("")
        except OSError as error:
            raise StorageError(f"{self.path}: the lock file cannot be written: {error.strerror}") from error

    def release(self) -> None:
        """Let other processes have the folder."""
        os.close(self._lock)

    def _mark(self, text: str) -> None:
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, text.encode(), 0)
        os.fsync(self._lock)
        self._sync()

    def _sync(self) -> None:
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _check_private(path: Path) -> None:
    if path.stat().st_mode & 0o077:
        raise StorageError(f"{path}: others may enter the store's folder; run chmod 700 {path}")
