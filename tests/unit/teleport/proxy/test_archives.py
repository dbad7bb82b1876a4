import hashlib
import os
from pathlib import Path

import pytest

from teleport.errors import NotFound, StorageError
from teleport.proxy.archives import CHUNK_BYTES, Archives
from teleport.version import render_archive_name

NAME = render_archive_name("amd64")
CONTENT = b"x" * (2 * CHUNK_BYTES + 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / NAME).write_bytes(CONTENT)
    return tmp_path


async def test_an_archive_is_read_piece_by_piece(folder: Path) -> None:
    archive = Archives(folder).find(NAME)
    parts = [part async for part in archive.read()]
    assert (archive.size, b"".join(parts)) == (len(CONTENT), CONTENT)
    assert max(map(len, parts)) == CHUNK_BYTES


async def test_checksums_are_those_of_what_is_there(folder: Path) -> None:
    archives = Archives(folder)
    assert await archives.list_checksums() == {"amd64": hashlib.sha256(CONTENT).hexdigest()}
    replacement = folder / "new"
    replacement.write_bytes(b"other")
    replacement.replace(folder / NAME)
    assert await archives.list_checksums() == {"amd64": hashlib.sha256(b"other").hexdigest()}


async def test_without_a_folder_there_is_no_archive(tmp_path: Path) -> None:
    assert await Archives(tmp_path / "absent").list_checksums() == {}


@pytest.mark.parametrize("name", ["secret", "../secret", f"{NAME}.sha256", render_archive_name("arm64"), ""])
def test_hostile_31_nothing_but_archives_of_this_version_is_given(folder: Path, name: str) -> None:
    (folder / "secret").write_text("secret")
    with pytest.raises(NotFound):
        Archives(folder).find(name)


def test_what_is_no_regular_file_is_not_there(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / NAME)
    with pytest.raises(NotFound):
        Archives(tmp_path).find(NAME)


async def test_an_archive_that_goes_away_is_a_failure_of_storage(folder: Path) -> None:
    archive = Archives(folder).find(NAME)
    (folder / NAME).unlink()
    with pytest.raises(StorageError):
        await anext(archive.read())
