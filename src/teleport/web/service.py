"""What may run inside a connection, whoever hands the connection over: the listener, a Host, or an upgrade."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from teleport.web.call import Peer


class Service(Protocol):
    """A protocol for many connections.

    Whoever hands a connection over calls `connection_made` on what `connect` returns, and `data_received` with the
    bytes that were read already.
    """

    def connect(self, peer: Peer, on_closed: Callable[[], None]) -> asyncio.Protocol:
        """Return the protocol for a connection whose handshake is done; it calls `on_closed` when that is gone."""
        ...

    async def shutdown(self, grace: timedelta) -> None:
        """Finish what is in flight within the grace, then close every connection."""
        ...
