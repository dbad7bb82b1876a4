"""Which proxies there are: asked of auth, and told to every agent that has a tunnel here."""

import asyncio
import logging
from collections.abc import Iterable
from datetime import timedelta

from teleport.api.client import Client
from teleport.api.messages import ListRequest
from teleport.api.operations import RESOURCE_LIST
from teleport.api.tunnels import MAX_PROXIES, render_proxies
from teleport.clock import Clock
from teleport.errors import TeleportError
from teleport.proxy.tunnels.registry import Tunnel, TunnelRegistry

ASK_EVERY = timedelta(seconds=5)
TELL_EVERY = timedelta(minutes=1)
"""Also without news: agents forget a proxy three minutes after its last mention."""
TOLD_AT_ONCE = 100
"""So many agents are told before others get their turn."""

logger = logging.getLogger(__name__)


class Gossip:
    """Knows the proxies of the cluster.

    Args:
        client: to auth.
        host_id: of this proxy, which there is in any case.
        registry: who is to be told.
        clock: the present.
    """

    def __init__(self, *, client: Client, host_id: str, registry: TunnelRegistry, clock: Clock) -> None:
        self._client = client
        self._host_id = host_id
        self._registry = registry
        self._clock = clock
        self._proxies = frozenset({host_id})
        self._line = render_proxies(self._proxies)
        self._told = clock.monotonic()
        self._failed = False

    def greet(self, tunnel: Tunnel) -> None:
        """Tell a new tunnel's agent who there is."""
        tunnel.control.send_proxies(self._line)

    async def run(self) -> None:
        """Ask and tell until cancelled."""
        while True:
            await self._look()
            await asyncio.sleep(ASK_EVERY.total_seconds())

    async def _look(self) -> None:
        """Ask once; what was known counts while auth does not answer."""
        proxies = self._proxies
        try:
            proxies = frozenset({self._host_id, *await self._ask()})
            self._failed = False
        except TeleportError as error:
            if not self._failed:
                logger.warning("auth does not say which proxies there are: %s", error.message)
            self._failed = True
        now = self._clock.monotonic()
        if proxies != self._proxies or now - self._told >= TELL_EVERY.total_seconds():
            self._proxies, self._told = proxies, now
            self._line = render_proxies(proxies)
            await self._tell(self._registry)

    async def _ask(self) -> list[str]:
        names: list[str] = []
        token = ""
        while len(names) < MAX_PROXIES:
            page = await self._client.call(RESOURCE_LIST, ListRequest(kind="proxy", page_token=token))
            names += [str(document["metadata"]["name"]) for document in page.resources]
            token = page.next_page_token
            if not token:
                break
        return names

    async def _tell(self, tunnels: Iterable[Tunnel]) -> None:
        for number, tunnel in enumerate(tunnels, start=1):
            tunnel.control.send_proxies(self._line)
            if number % TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)
