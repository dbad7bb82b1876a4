"""A server of somebody else's: takes connections one after another on a port of its own, in a thread."""

import socket
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Self

from teleport.resources.address import Address


class RogueListener(ABC):
    """Listens for the time of a block."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self.connections = 0
        self.received = b""

    @property
    def address(self) -> Address:
        """Return where it listens."""
        return Address(*self._socket.getsockname())

    @abstractmethod
    def talk(self, accepted: socket.socket) -> None:
        """Do what is done to a client."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                accepted, _ = self._socket.accept()
                self.connections += 1
                with accepted, suppress(OSError):
                    accepted.settimeout(10)
                    self.talk(accepted)
