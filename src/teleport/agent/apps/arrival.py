"""A stream arrives from a proxy: the application is connected to first, and the proxy told whether that went well.

So a proxy can try another agent while nothing is lost: it sends no byte of a request before this answer.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import cast

from teleport.errors import ConnectionFailed, TeleportError
from teleport.tunnel.preface import render_preface
from teleport.tunnel.stream import Stream
from teleport.web.forwarding.targets import Target

MAX_REASON = 200

logger = logging.getLogger(__name__)

Open = Callable[[Callable[[], asyncio.Protocol]], Awaitable[object]]


class Arrival(asyncio.Protocol):
    """A stream until the application is there.

    Args:
        name: of the application, for the log.
        prepare: connects to it, and returns the protocol that goes on; it may raise any error of ours.
    """

    def __init__(self, name: str, prepare: Callable[[], Awaitable[asyncio.Protocol]]) -> None:
        self._name = name
        self._prepare = prepare
        self._stream: Stream | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect."""
        self._stream = cast("Stream", transport)
        self._task = asyncio.get_running_loop().create_task(self._go_on(self._stream))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Connect no more: nobody waits for it."""
        self._stream = None
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - asyncio's signature
        """Cut a stream whose proxy does not wait for the answer."""
        if self._stream is not None:
            self._stream.abort()

    async def _go_on(self, stream: Stream) -> None:
        try:
            protocol = await self._prepare()
        except TeleportError as error:
            logger.warning("application %r is not opened: %s", self._name, error.message)
            stream.write(render_preface({"error": error.message[:MAX_REASON]}))
            stream.close()
            return
        self._stream = self._task = None
        stream.write(render_preface({"ok": True}))
        stream.set_protocol(protocol)
        protocol.connection_made(stream)


class EarlyConnection(asyncio.Protocol):
    """A connection to an application that is there before its first request.

    Args:
        target: where the application is.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._transport: asyncio.Transport | None = None

    async def establish(self) -> None:
        """Connect.

        Raises:
            TeleportError: that cannot be done.
        """
        try:
            await self._target.open(lambda: self)
        except OSError as error:
            raise ConnectionFailed(f"cannot connect: {type(error).__name__}") from error

    async def open(self, factory: Callable[[], asyncio.Protocol]) -> None:
        """Give the connection away, or make another one where it is used or gone."""
        transport, self._transport = self._transport, None
        if transport is None or transport.is_closing():
            await self._target.open(factory)
            return
        protocol = factory()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def close(self) -> None:
        """Close it if nobody has taken it."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait to be taken."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Note that it is gone."""
        self._transport = None

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - asyncio's signature
        """Cut it: an application that answers before it is asked speaks something else."""
        self.close()
