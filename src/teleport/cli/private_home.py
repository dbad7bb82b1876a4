"""A folder of a user's secrets, in which nobody else may read, and nobody else can have put anything."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from teleport.errors import AccessDenied, StorageError
from teleport.resources.address import Address

MAX_FILE_BYTES = 512 * 1024

_MODE = 0o700
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class PrivateHome:
    """The folder; it is made when something is put into it.

    Args:
        path: where it is, or will be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self) -> None:
        """Refuse a folder into which others may put what they like.

        Raises:
            AccessDenied: it belongs to somebody else, or others may write there.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return
        if found.st_uid != os.geteuid() or found.st_mode & _OTHERS_WRITE:
            raise AccessDenied(f"{self.path} must belong to you, and nobody else may write there: chmod 700 it")

    def make(self, *names: str) -> Path:
        """Return a folder in it, which is there then.

        Raises:
            AccessDenied: the home is not this user's alone.
            OSError: it cannot be made.
        """
        self.path.mkdir(mode=_MODE, parents=True, exist_ok=True)
        self.check()
        folder = self.path
        for name in names:
            folder = folder / name
            folder.mkdir(mode=_MODE, exist_ok=True)
        return folder

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Turn what the system says about changes into an error of ours.

        Raises:
            StorageError: a file cannot be written or removed.
        """
        try:
            yield
        except OSError as error:
            raise StorageError(f"cannot keep logins in {self.path}: {error.strerror}") from error


def name_files(proxy: Address) -> str:
    """Return the name of a proxy's files: a colon would be the border of a password for `curl --cert`."""
    return str(proxy).replace(":", "_")


def read_file(path: Path) -> str | None:
    """Return a file's text, or None if there is no such file.

    Raises:
        StorageError: it cannot be read, or is no file of ours.
    """
    try:
        with path.open("rb") as file:
            is_file = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            raw = file.read(MAX_FILE_BYTES + 1) if is_file else b""
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    if not is_file or len(raw) > MAX_FILE_BYTES:
        raise StorageError(f"{path} is no regular file of at most {MAX_FILE_BYTES} bytes")
    return raw.decode(errors="replace")
