"""What an auth server keeps beside its store: the seal key, its own id, the administrator's identity."""

import os
import uuid
from pathlib import Path

from teleport.auth.stores.cluster import is_new
from teleport.backend.protocol import Backend
from teleport.errors import BadParameter, SealError, StorageError
from teleport.pki.seal import SealKey, generate_seal_key, parse_seal_key
from teleport.private_file import write_private_file

MAX_KEY_FILE_BYTES = 4096
FOLDER_MODE = 0o700


def prepare_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter.

    Raises:
        StorageError: it cannot be made or written to.
    """
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise StorageError(f"no permission to write to {folder}; start as root or set teleport.data_dir")
    except OSError as error:
        raise StorageError(f"cannot make folder {folder}: {error.strerror}; set teleport.data_dir") from error


async def load_seal_key(path: Path, backend: Backend) -> SealKey:
    """Read the seal key; for a store that is new and has none, make one.

    Raises:
        SealError: the file is missing though the store's secrets are under a seal key, or it holds no key.
    """
    text = _read_key_file(path)
    if text is None:
        if await is_new(backend):
            return _create_seal_key(path)
        raise SealError(
            f"the seal key file {path} is missing, and without it nobody can read this store's secrets; "
            "put it back from where it is kept safe. Nothing was changed"
        )
    try:
        return parse_seal_key(text)
    except BadParameter as error:
        raise SealError(f"the seal key file {path} does not hold a seal key") from error


def _read_key_file(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(MAX_KEY_FILE_BYTES).decode("ascii", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SealError(f"cannot read the seal key file {path}: {error.strerror}") from error


def _create_seal_key(path: Path) -> SealKey:
    key = generate_seal_key()
    try:
        write_private_file(path, key.to_text().encode() + b"\n", overwrite=False)
    except OSError as error:
        raise SealError(f"cannot write a new seal key to {path}: {error.strerror}") from error
    return key


def load_host_id(data_dir: Path) -> str:
    """Return the id of this host, which is made at the first start.

    Raises:
        StorageError: the file holds something else, or cannot be read or made.
    """
    path = data_dir / "host_uuid"
    try:
        if not path.exists():
            write_private_file(path, f"{uuid.uuid4()}\n".encode())
        return str(uuid.UUID(path.read_text(encoding="ascii").strip()))
    except OSError as error:
        raise StorageError(f"cannot read or make the host id in {path}: {error.strerror}") from error
    except ValueError as error:
        raise StorageError(f"{path} does not hold a host id; remove it to get a new one") from error
