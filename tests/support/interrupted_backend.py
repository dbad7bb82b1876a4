"""A store in which something happens between what its user reads and what it writes."""

from collections.abc import Sequence

from support.backend import SteeredBackend
from support.clock import FakeClock
from teleport.backend.protocol import Condition, Write
from teleport.errors import TeleportError


class InterruptedBackend(SteeredBackend):
    """A store that lets a test do something just before a commit."""

    def __init__(self) -> None:
        super().__init__(clock=FakeClock())
        self.commits: list[tuple[Sequence[Condition], Sequence[Write]]] = []
        self._before_commit: list[list[Write]] = []
        self._failures_of_commits: list[TeleportError] = []

    def write_before_next_commit(self, *writes: Write) -> None:
        """Let somebody else write just before the next commit."""
        self._before_commit.append(list(writes))

    def fail_next_commit(self, error: TeleportError) -> None:
        """Let the next commit end with this error."""
        self._failures_of_commits.append(error)

    async def commit(self, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
        if self._failures_of_commits:
            raise self._failures_of_commits.pop(0)
        if self._before_commit:
            await super().commit([], self._before_commit.pop(0))
        self.commits.append((conditions, writes))
        return await super().commit(conditions, writes)
