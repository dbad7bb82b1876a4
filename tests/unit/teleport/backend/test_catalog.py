from pathlib import Path

import pytest

from support.clock import FakeClock
from teleport.backend.catalog import open_backend
from teleport.backend.memory import MemoryBackend
from teleport.backend.sqlite import SqliteBackend
from teleport.errors import BadParameter


async def test_a_backend_is_opened_by_its_name(tmp_path: Path) -> None:
    memory = await open_backend("memory", path=tmp_path / "store", clock=FakeClock())
    assert isinstance(memory, MemoryBackend)
    assert not (tmp_path / "store").exists()
    sqlite = await open_backend("sqlite", path=tmp_path / "store", clock=FakeClock())
    assert isinstance(sqlite, SqliteBackend)
    await memory.close()
    await sqlite.close()


async def test_an_unknown_name_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match="'dynamo'; the types are memory, sqlite"):
        await open_backend("dynamo", path=tmp_path, clock=FakeClock())
