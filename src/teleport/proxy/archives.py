"""The self-contained archives of this version that a proxy gives to new hosts, and their checksums."""

import asyncio
import hashlib
import os
import stat
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from teleport.errors import NotFound, StorageError
from teleport.version import ARCHITECTURES, render_archive_name

MAX_BYTES = 512 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
NAMES = {render_archive_name(architecture): architecture for architecture in ARCHITECTURES.values()}

_Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive as it is at present.

    Args:
        path: of the file.
        size: in bytes.
    """

    path: Path
    size: int

    async def read(self) -> AsyncGenerator[bytes, None]:
        """Return the content piece by piece.

        Raises:
            StorageError: it cannot be read.
        """
        try:
            with await asyncio.to_thread(self.path.open, "rb", buffering=0) as file:
                while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                    yield chunk
        except OSError as error:
            raise StorageError(f"{self.path} cannot be read: {error.strerror}") from error


class Archives:
    """The archives in a folder; which are there is looked up with each question.

    Args:
        folder: where they are; it may be absent.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._checksums: dict[str, tuple[_Version, str]] = {}

    def find(self, name: str) -> Archive:
        """Return an archive of this version.

        Raises:
            NotFound: there is none of this name.
        """
        path = self._folder / name
        found = _look_at(path) if name in NAMES else None
        if found is None:
            raise NotFound("this proxy has no such archive")
        return Archive(path, found.st_size)

    async def list_checksums(self) -> dict[str, str]:
        """Return SHA-256 in hex by architecture, for those that are there.

        Raises:
            StorageError: one cannot be read.
        """
        return await asyncio.to_thread(self._compute_checksums)

    def _compute_checksums(self) -> dict[str, str]:
        checksums = {}
        for name, architecture in NAMES.items():
            found = _look_at(self._folder / name)
            if found is not None:
                checksums[architecture] = self._compute_checksum(name, found)
        return checksums

    def _compute_checksum(self, name: str, found: os.stat_result) -> str:
        """Return the checksum; it is computed again only when the file is another one."""
        version = (found.st_ino, found.st_size, found.st_mtime_ns)
        known = self._checksums.get(name)
        if known is None or known[0] != version:
            known = self._checksums[name] = version, _hash_file(self._folder / name)
        return known[1]


def _look_at(path: Path) -> os.stat_result | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found if stat.S_ISREG(found.st_mode) and found.st_size <= MAX_BYTES else None


def _hash_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
