import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.auth import InProcessAuth
from teleport.agent.memory import AgentState
from teleport.agent.state import FileState
from teleport.api.joined import build_joined, generate_keys
from teleport.errors import StorageError


def find_file(data_dir: Path) -> Path:
    return data_dir / "proc" / "state.json"


async def build_state() -> AgentState:
    auth = await InProcessAuth.start()
    await auth.add_token()
    keys = generate_keys()
    return AgentState(joined=build_joined(keys, await auth.join(keys=keys)))


async def test_an_agent_that_never_ran_remembers_nothing(tmp_path: Path) -> None:
    assert await FileState(tmp_path).load() == AgentState()
    assert not find_file(tmp_path).exists()


async def test_what_is_stored_is_loaded_by_the_next_process(tmp_path: Path) -> None:
    state = await build_state()
    await FileState(tmp_path).store(state)
    assert await FileState(tmp_path).load() == state


async def test_only_the_owner_reads_it_and_enters_the_folders_that_are_made_for_it(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    await FileState(data_dir).store(AgentState(pending_keys=generate_keys()))
    assert find_file(data_dir).stat().st_mode & 0o777 == 0o600
    assert {folder.stat().st_mode & 0o777 for folder in (data_dir, find_file(data_dir).parent)} == {0o700}


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    asyncio.run(FileState(tmp_path).store(AgentState()))
    assert tmp_path.stat().st_mode & 0o777 == 0o755


async def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = FileState(tmp_path)
    before = AgentState(pending_keys=generate_keys())
    await states.store(before)

    def fail(_descriptor: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="cannot write"):
        await states.store(AgentState())
    assert await states.load() == before
    assert list(find_file(tmp_path).parent.iterdir()) == [find_file(tmp_path)]


@given(st.binary(max_size=200).filter(lambda content: content.strip() != b"{}"))
def test_garbage_is_refused_with_what_to_do(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    data_dir = tmp_path_factory.mktemp("data")
    find_file(data_dir).parent.mkdir()
    find_file(data_dir).write_bytes(content)
    with pytest.raises(StorageError, match="remove it to join anew"):
        asyncio.run(FileState(data_dir).load())


async def test_a_file_that_was_cut_is_refused_without_telling_its_secrets(tmp_path: Path) -> None:
    await FileState(tmp_path).store(await build_state())
    content = find_file(tmp_path).read_bytes()
    find_file(tmp_path).write_bytes(content[: len(content) // 2])
    with pytest.raises(StorageError) as caught:
        await FileState(tmp_path).load()
    assert "PRIVATE" not in f"{caught.value} {caught.value.__cause__}"


async def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    find_file(tmp_path).mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot read"):
        await FileState(tmp_path).load()
