"""The open connections of one service, and their common end."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from teleport.web.call import Peer
from teleport.web.connection import HttpConnection, Service


class Connections:
    """All connections that were made and are still there."""

    def __init__(self) -> None:
        self._open: set[HttpConnection] = set()

    def connect(
        self,
        service: Service,
        *,
        peer: Peer,
        idle_timeout: timedelta,
        body_timeout: timedelta,
        on_closed: Callable[[], None],
    ) -> HttpConnection:
        """Return the protocol for a new connection."""

        def forget() -> None:
            self._open.discard(connection)
            on_closed()

        connection = HttpConnection(
            service, peer=peer, idle_timeout=idle_timeout, body_timeout=body_timeout, on_closed=forget
        )
        self._open.add(connection)
        return connection

    async def shutdown(self, grace: timedelta) -> None:
        """Close idle connections, let answers that are being made leave within the grace, and cut the rest."""
        for connection in list(self._open):
            connection.finish()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace.total_seconds()):
                await asyncio.gather(*(connection.wait_until_answered() for connection in self._open))
        for connection in [busy for busy in self._open if busy.is_busy]:
            connection.abort()
