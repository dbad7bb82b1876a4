"""The agent's end of the control stream: what the proxy says there."""

import asyncio
from collections.abc import Callable
from typing import cast

from teleport.api.tunnels import Goodbye, Message, MessageReader, Proxies
from teleport.errors import ConnectionFailed
from teleport.tunnel.errors import ProtocolViolation


class ControlProtocol(asyncio.Protocol):
    """Reads what the proxy writes; a proxy that writes anything else loses the tunnel.

    Args:
        on_proxies: told who there is, the first time when the proxy has taken the tunnel.
        on_goodbye: told that the proxy is about to leave.
        abort: cuts the tunnel.
    """

    __slots__ = ("_abort", "_greeted", "_on_goodbye", "_on_proxies", "_reader", "_stream")

    def __init__(
        self,
        *,
        on_proxies: Callable[[Proxies], None],
        on_goodbye: Callable[[Goodbye], None],
        abort: Callable[[], None],
    ) -> None:
        self._on_proxies = on_proxies
        self._on_goodbye = on_goodbye
        self._abort = abort
        self._reader = MessageReader()
        self._greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stream: asyncio.Transport | None = None

    async def greeted(self) -> None:
        """Return when the proxy has taken the tunnel.

        Raises:
            ConnectionFailed: it has not, and the stream is over.
        """
        await self._greeted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for messages."""
        self._stream = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        try:
            messages = self._reader.feed(data)
        except ProtocolViolation:
            self._abort()
            return
        for message in messages:
            self._take(message)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        if not self._greeted.done():
            self._greeted.set_exception(ConnectionFailed(f"the proxy did not take the tunnel: {exc or 'it closed it'}"))

    def _take(self, message: Message) -> None:
        match message:
            case Proxies():
                self._on_proxies(message)
                if not self._greeted.done():
                    self._greeted.set_result(None)
            case Goodbye():
                self._on_goodbye(message)
