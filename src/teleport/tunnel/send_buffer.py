"""What a stream has still to send: pieces as they were written, cut only where a frame ends."""

from collections import deque


class SendBuffer:
    """A queue of bytes that copies none of them."""

    __slots__ = ("_pieces", "size")

    def __init__(self) -> None:
        self._pieces: deque[bytes | memoryview] = deque()
        self.size = 0

    def append(self, data: bytes | memoryview) -> None:
        """Add bytes that nobody changes any more."""
        self._pieces.append(data)
        self.size += len(data)

    def take(self, count: int) -> list[bytes | memoryview]:
        """Take `count` bytes, which must be there."""
        self.size -= count
        taken = []
        while count:
            piece = self._pieces.popleft()
            if len(piece) > count:
                view = memoryview(piece)
                self._pieces.appendleft(view[count:])
                piece = view[:count]
            taken.append(piece)
            count -= len(piece)
        return taken
