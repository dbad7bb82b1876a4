"""A new connection to an application, by the first of the ways to it that opens."""

import asyncio
import logging
from collections.abc import Callable

from teleport.errors import ConnectionFailed, TeleportError
from teleport.web.forwarding.destination import Destination, Upstream
from teleport.web.forwarding.limits import ForwardingLimits
from teleport.web.forwarding.upstream import UpstreamConnection

_LOGGER = logging.getLogger(__name__)

OnLost = Callable[[UpstreamConnection], None]


async def open_upstream(destination: Destination, limits: ForwardingLimits, on_lost: OnLost) -> UpstreamConnection:
    """Return a connection over which nothing was sent yet.

    Raises:
        ConnectionFailed: none of the ways opens; the message says why the last one does not.
    """
    cause = "there is no way to it"
    for upstream in destination.upstreams:
        try:
            return await _open(upstream, limits, on_lost)
        except TeleportError as error:
            cause = error.message
        except OSError as error:  # a timeout is one, too
            cause = type(error).__name__
        _LOGGER.debug("%s cannot be reached: %s", upstream.key, cause)
    raise ConnectionFailed(cause)


async def _open(upstream: Upstream, limits: ForwardingLimits, on_lost: OnLost) -> UpstreamConnection:
    connection = UpstreamConnection(upstream.key, limits=limits, on_lost=on_lost)
    try:
        async with asyncio.timeout(limits.connect.total_seconds()):
            await upstream.open(lambda: connection)
    except BaseException:
        connection.abort()
        raise
    if not connection.is_open:
        raise ConnectionFailed("the connection broke at once")
    return connection
