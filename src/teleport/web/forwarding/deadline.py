"""The one deadline of a connection: moved often, and cheap to move."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from math import inf


class Deadline:
    """Calls what is due when it passes; its timer is moved only where it would come too late."""

    __slots__ = ("_action", "_at", "_loop", "_timer")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._at = inf
        self._action: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def set(self, wait: timedelta, action: Callable[[], None]) -> None:
        """Let the action be taken after the wait, in place of what was due before."""
        self._at = self._loop.time() + wait.total_seconds()
        self._action = action
        if self._timer is not None:
            if self._timer.when() <= self._at:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(self._at, self._look)

    def is_for(self, action: Callable[[], None]) -> bool:
        """Return whether it is this action that is due."""
        return self._action == action

    def clear(self) -> None:
        """Let nothing be due."""
        self._at, self._action = inf, None

    def cancel(self) -> None:
        """Let nothing be due any more, and hold nothing."""
        self.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._action is None:
            return
        if self._loop.time() < self._at:
            self._timer = self._loop.call_at(self._at, self._look)
            return
        action = self._action
        self.clear()
        action()
