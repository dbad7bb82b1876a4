"""Files that hold secrets: readable by their owner alone, and either whole or not there at all."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

MODE = 0o600


def write_private_file(path: Path, content: bytes, *, overwrite: bool = True) -> None:
    """Write a file so that a crash at any moment leaves the old one or the new one, durably.

    Args:
        path: where; the folder must exist.
        content: all of it.
        overwrite: whether an existing file may be replaced.

    Raises:
        FileExistsError: the file exists and must not be replaced.
        OSError: the folder cannot be written to.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), MODE)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            Path(temporary).replace(path)
        else:
            path.hardlink_to(temporary)
            Path(temporary).unlink()
    except BaseException:
        with suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
