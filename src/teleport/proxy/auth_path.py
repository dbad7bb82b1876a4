"""The way through the public port to auth: bytes are passed on as they are, with the address that they come from.

Anybody may go it, for joining has to be possible before one has a certificate; who it is, auth finds out, in TLS that
ends there. Nothing of what passes is kept or understood here.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from teleport.api.forwarding import AUTH_ALPN, CONNECT_AUTH_PATH
from teleport.api.host import Host
from teleport.errors import TeleportError
from teleport.proxy.auth_link import AuthLink, open_auth_link
from teleport.proxy.offer import Offer, with_and_without_version
from teleport.tunnel.relay import Relay
from teleport.tunnel.upgraded import UpgradedWebSocket
from teleport.web.call import Peer, RequestHead, Upgrade
from teleport.web.limits import RateLimiter

IDLE_TIMEOUT = timedelta(minutes=5)
"""Longer than either end keeps a connection without a request; it cuts those whose ends are gone."""
QUIET = timedelta(milliseconds=200)
"""When nothing has passed for so long, no answer is on its way any more."""

_LOGGER = logging.getLogger(__name__)


class AuthPath:
    """The service of connections to auth.

    Args:
        link: opens streams to auth.
        limiter: the rate of strangers, per address.
    """

    def __init__(self, link: AuthLink, limiter: RateLimiter) -> None:
        self._link = link
        self._limiter = limiter
        self._relays: set[Relay] = set()
        self._openings: set[asyncio.Task[None]] = set()

    def connect(self, peer: Peer, on_closed: Callable[[], None]) -> asyncio.Protocol:
        """Return the protocol for a connection that is auth's from its first byte; one too many is cut."""
        relay = self._build_relay(on_closed)
        if self._limiter.charge(peer.remote_addr):
            self._begin(relay, peer)
        else:
            _LOGGER.debug("%s connects too often", peer.remote_addr)
            relay.abort()
        return relay.left

    def connect_websocket(self, _: RequestHead, peer: Peer, on_closed: Callable[[], None]) -> asyncio.Protocol:
        """Return the protocol for a connection that has become a WebSocket's; its request was charged as such."""
        relay = self._build_relay(on_closed)
        self._begin(relay, peer)
        return UpgradedWebSocket(lambda: relay.left)

    async def shutdown(self, grace: timedelta) -> None:
        """Let answers that are on their way arrive within the grace, and cut every connection."""
        with suppress(TimeoutError):
            async with asyncio.timeout(grace.total_seconds()):
                while await self._has_moved():
                    pass
        for relay in list(self._relays):
            relay.abort()

    async def _has_moved(self) -> bool:
        """Return whether anything passes for a while."""
        before = self._count_bytes()
        await asyncio.sleep(QUIET.total_seconds() if self._relays else 0)
        return bool(self._relays) and self._count_bytes() != before

    def _count_bytes(self) -> dict[Relay, int]:
        return {relay: relay.bytes_from_left + relay.bytes_from_right for relay in self._relays}

    def _build_relay(self, on_closed: Callable[[], None]) -> Relay:
        def forget() -> None:
            self._relays.discard(relay)
            on_closed()

        relay = Relay(idle_timeout=IDLE_TIMEOUT, on_ended=forget)
        self._relays.add(relay)
        return relay

    def _begin(self, relay: Relay, peer: Peer) -> None:
        task = asyncio.get_running_loop().create_task(self._open(relay, peer))
        self._openings.add(task)
        task.add_done_callback(self._openings.discard)

    async def _open(self, relay: Relay, peer: Peer) -> None:
        try:
            await self._link.open(peer.remote_addr, lambda: relay.right)
        except TeleportError as error:
            _LOGGER.info("%s is not passed on: %s", peer.remote_addr, error.message)
            relay.abort()


@asynccontextmanager
async def open_auth_path(
    host: Host, *, limiter: RateLimiter, report: Callable[[str | None], None]
) -> AsyncIterator[Offer]:
    """Keep the way to auth for the time of a block, and return where the public port has it.

    Args:
        host: the process, which has joined.
        limiter: the rate of strangers, per address.
        report: told what is wrong with the connection to auth, or None when all is well.

    Raises:
        Unavailable: the process reaches auth through a proxy itself.
    """
    async with open_auth_link(host, host.client.way, report) as link:
        path = AuthPath(link, limiter)
        upgrade = Upgrade(CONNECT_AUTH_PATH, path.connect_websocket, anonymous=True)
        yield Offer(upgrades=with_and_without_version(upgrade), protocols={AUTH_ALPN: path})
