"""Memory that nobody uses any more, and that the C allocator keeps: it goes back to the system after a storm."""

import asyncio
import ctypes
from collections.abc import Callable


async def give_back_spare_memory() -> None:
    """Give the system what is free within the allocator's arenas; nothing happens where the C library has no way to.

    Thousands of joins at once leave pieces free between what lives, and glibc returns by itself only what is free at
    the end of an arena (malloc_trim(3)). The call runs in a thread, without the interpreter's lock.
    """
    trim = _find_trim()
    if trim is not None:
        await asyncio.to_thread(trim, 0)


def _find_trim() -> Callable[[int], int] | None:
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
