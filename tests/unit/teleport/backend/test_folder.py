from pathlib import Path

import pytest

from teleport.backend.folder import LOCK_NAME, StoreFolder
from teleport.errors import StorageError


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    folder = StoreFolder.acquire(tmp_path / "a" / "store")
    file = folder.make_private_file("file")
    folder.release()
    assert mode(tmp_path / "a" / "store") == 0o700
    assert mode(file) == mode(tmp_path / "a" / "store" / LOCK_NAME) == 0o600


def test_a_file_that_others_could_read_becomes_private(tmp_path: Path) -> None:
    folder = StoreFolder.acquire(tmp_path / "store")
    file = tmp_path / "store" / "file"
    file.write_bytes(b"kept")
    file.chmod(0o644)
    folder.make_private_file("file")
    folder.release()
    assert mode(file) == 0o600
    assert file.read_bytes() == b"kept"


def test_a_folder_that_others_may_enter_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "store"
    path.mkdir()
    path.chmod(0o750)
    with pytest.raises(StorageError, match=f"chmod 700 {path}"):
        StoreFolder.acquire(path)


def test_a_folder_in_use_is_refused_by_name_and_free_after_release(tmp_path: Path) -> None:
    path = tmp_path / "store"
    first = StoreFolder.acquire(path)
    with pytest.raises(StorageError, match=f"{path}: the store is in use by another process"):
        StoreFolder.acquire(path)
    first.release()
    StoreFolder.acquire(path).release()


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot be used"):
        StoreFolder.acquire(tmp_path / "store")


def test_a_link_in_a_files_place_is_refused(tmp_path: Path) -> None:
    folder = StoreFolder.acquire(tmp_path / "store")
    (tmp_path / "store" / "file").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="cannot be used"):
        folder.make_private_file("file")
    folder.release()
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_was_not_closed_says_so(tmp_path: Path) -> None:
    folder = StoreFolder.acquire(tmp_path / "store")
    assert not folder.was_left_open
    folder.mark_open()
    folder.release()
    folder = StoreFolder.acquire(tmp_path / "store")
    assert folder.was_left_open
    folder.mark_closed()
    folder.release()
    folder = StoreFolder.acquire(tmp_path / "store")
    assert not folder.was_left_open
    folder.release()
