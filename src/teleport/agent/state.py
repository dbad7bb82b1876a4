"""What keeps an agent's state over restarts, and the simplest that does: a file in its data directory."""

from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from teleport.agent.memory import AgentState
from teleport.errors import StorageError
from teleport.private_file import write_private_file

FOLDER_MODE = 0o700
MAX_BYTES = 4 * 1024 * 1024


class StateStore(Protocol):
    """Keeps one document for an agent."""

    @property
    def place(self) -> str:
        """Return where that is, in words for the operator."""
        ...

    async def load(self) -> AgentState:
        """Return what is remembered; an agent that never ran remembers nothing.

        Raises:
            StorageError: what is there is not what an agent wrote, or cannot be read; a person must look.
            Unavailable: it cannot be read at present.
        """
        ...

    async def store(self, state: AgentState) -> None:
        """Remember the state, durably and as a whole.

        Raises:
            StorageError: it cannot be written, or somebody else writes there; what was there still is.
            Unavailable: it cannot be written at present.
        """
        ...


class FileState:
    """The state in `<data_dir>/proc/state.json`, for nobody's eyes but the owner's.

    Args:
        data_dir: the process's data directory; made if need be, for its owner only.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "proc" / "state.json"

    @property
    def place(self) -> str:
        """Return the path of the file."""
        return str(self._path)

    async def load(self) -> AgentState:
        """Return what is remembered.

        Raises:
            StorageError: the file cannot be read, or is not what an agent wrote.
        """
        return self._read()

    async def store(self, state: AgentState) -> None:
        """Remember the state.

        Raises:
            StorageError: the file cannot be written; the old one is still there.
        """
        self._write(state.model_dump_json().encode())

    def _read(self) -> AgentState:
        try:
            with self._path.open("rb") as file:
                return AgentState.model_validate_json(file.read(MAX_BYTES))
        except FileNotFoundError:
            return AgentState()
        except OSError as error:
            raise StorageError(f"cannot read the agent's state {self._path}: {error.strerror}") from error
        except ValidationError as error:
            raise StorageError(
                f"{self._path} does not hold an agent's state; remove it to join anew with a token"
            ) from error

    def _write(self, content: bytes) -> None:
        try:
            for folder in (self._path.parent.parent, self._path.parent):
                folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            write_private_file(self._path, content)
        except OSError as error:
            raise StorageError(f"cannot write the agent's state {self._path}: {error.strerror}") from error
