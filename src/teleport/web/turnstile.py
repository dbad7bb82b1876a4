"""Callers who take turns, so that a crowd of them does not keep the event loop from everybody else."""

import asyncio
from collections import deque


class Turnstile:
    """Lets so many pass in each turn of the event loop; the others wait, first come, first served.

    Args:
        per_turn: at least one.
    """

    def __init__(self, per_turn: int) -> None:
        self._per_turn = per_turn
        self._passed = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Wait until it is one's turn."""
        loop = asyncio.get_running_loop()
        if not self._passed:
            loop.call_soon(self._begin_turn)
        if self._passed < self._per_turn:
            self._passed += 1
            return
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _begin_turn(self) -> None:
        self._passed = 0
        while self._waiting and self._passed < self._per_turn:
            turn = self._waiting.popleft()
            if not turn.done():  # its caller was cancelled
                turn.set_result(None)
                self._passed += 1
        if self._passed:
            asyncio.get_running_loop().call_soon(self._begin_turn)
