from pathlib import Path

import pytest

from support.backend import SteeredBackend
from support.clock import FakeClock
from teleport.auth.data_dir import load_host_id, load_seal_key, prepare_folder
from teleport.auth.stores.cluster import check_seal
from teleport.errors import SealError, StorageError
from teleport.pki.seal import Sealer


@pytest.fixture
def backend() -> SteeredBackend:
    return SteeredBackend(clock=FakeClock())


async def test_a_new_store_gets_a_seal_key_for_the_owners_eyes(tmp_path: Path, backend: SteeredBackend) -> None:
    path = tmp_path / "seal.key"
    key = await load_seal_key(path, backend)
    assert path.stat().st_mode & 0o777 == 0o600
    assert (await load_seal_key(path, backend)).to_text() == key.to_text()


async def test_a_missing_seal_key_of_a_used_store_is_not_made_anew(tmp_path: Path, backend: SteeredBackend) -> None:
    path = tmp_path / "seal.key"
    await check_seal(backend, Sealer(await load_seal_key(path, backend)))
    path.unlink()
    with pytest.raises(SealError, match="is missing"):
        await load_seal_key(path, backend)
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"no key", b"\xff" * 100, b"A" * 10_000])
async def test_a_file_that_holds_no_key_is_refused_and_not_overwritten(
    tmp_path: Path, backend: SteeredBackend, content: bytes
) -> None:
    path = tmp_path / "seal.key"
    path.write_bytes(content)
    with pytest.raises(SealError, match="does not hold a seal key"):
        await load_seal_key(path, backend)
    assert path.read_bytes() == content


async def test_a_key_that_cannot_be_read_or_made_is_said(tmp_path: Path, backend: SteeredBackend) -> None:
    with pytest.raises(SealError, match="cannot read"):
        await load_seal_key(tmp_path, backend)
    with pytest.raises(SealError, match="cannot write"):
        await load_seal_key(tmp_path / "missing" / "seal.key", backend)


def test_a_host_id_is_made_once(tmp_path: Path) -> None:
    host_id = load_host_id(tmp_path)
    assert len(host_id) == 36
    assert load_host_id(tmp_path) == host_id
    assert (tmp_path / "host_uuid").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"not a uuid", b"\xff\xfe"])
def test_a_file_that_holds_no_host_id_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "host_uuid").write_bytes(content)
    with pytest.raises(StorageError, match="does not hold a host id"):
        load_host_id(tmp_path)


def test_a_host_id_that_cannot_be_read_or_made_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot read or make"):
        load_host_id(tmp_path / "missing")
    (tmp_path / "host_uuid").mkdir()
    with pytest.raises(StorageError, match="cannot read or make"):
        load_host_id(tmp_path)


def test_a_new_folder_is_the_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    prepare_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    prepare_folder(folder)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot make folder"):
        prepare_folder(tmp_path / "file" / "folder")
