"""Tests of giving memory back."""

import resource
from pathlib import Path

from teleport.web.spare_memory import give_back_spare_memory

PIECE = 2_000
"""Bytes; more than Python's own allocator keeps for itself."""
PIECES = 60_000


def resident_bytes() -> int:
    """Return how much memory this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def test_what_is_free_between_what_lives_goes_back_to_the_system() -> None:
    pieces = [bytes(PIECE) for _ in range(PIECES)]
    living = pieces[::100]
    del pieces
    held = resident_bytes()
    await give_back_spare_memory()
    assert held - resident_bytes() > PIECES * PIECE / 2
    assert len(living) == PIECES / 100
