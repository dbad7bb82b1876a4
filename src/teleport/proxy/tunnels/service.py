"""The part of the proxy that takes tunnels, over TLS or through whatever ends TLS before the proxy."""

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from teleport.api.host import Host
from teleport.api.tunnels import CONNECT_TUNNEL_PATH, TUNNEL_ALPN, GoodbyeReason
from teleport.background import running
from teleport.clock import Clock
from teleport.errors import AccessDenied
from teleport.proxy.offer import Offer, with_and_without_version
from teleport.proxy.tunnels.arrival import Arrival
from teleport.proxy.tunnels.endings import Endings
from teleport.proxy.tunnels.gossip import Gossip
from teleport.proxy.tunnels.registry import Key, Tunnel, TunnelRegistry
from teleport.tunnel.inner_tls import InnerTls
from teleport.tunnel.upgraded import UpgradedWebSocket
from teleport.web.call import Peer, RequestHead, Upgrade
from teleport.web.metrics import Metrics

MAX_TUNNELS = 16_384
MAX_ARRIVALS = 4
"""So many connections of one service of one host may not have said yet what they are for."""
REPLACED_GRACE = timedelta(seconds=30)
"""For so long streams of a tunnel that was replaced may go on."""

logger = logging.getLogger(__name__)


class Tunnels:
    """All tunnels of this proxy: a service of the listener, and the desk at which they arrive.

    Args:
        registry: where they are found.
        gossip: what their agents are told.
        cluster_name: of the cluster.
        context: returns the TLS context for tunnels that come through a WebSocket.
    """

    def __init__(
        self,
        *,
        registry: TunnelRegistry,
        gossip: Gossip,
        cluster_name: str,
        context: Callable[[], ssl.SSLContext],
    ) -> None:
        self.registry = registry
        self._gossip = gossip
        self._cluster_name = cluster_name
        self._context = context
        self._arrivals: Counter[Key] = Counter()
        self._replaced: set[asyncio.Task[None]] = set()
        self._is_ending = False

    @property
    def offer(self) -> Offer:
        """Return what of the public port is for tunnels."""
        upgrade = Upgrade(CONNECT_TUNNEL_PATH, self.connect_websocket, anonymous=True)
        return Offer(upgrades=with_and_without_version(upgrade), carriers={TUNNEL_ALPN: self})

    def connect(self, peer: Peer, on_closed: Callable[[], None]) -> asyncio.Protocol:
        """Return the protocol of a connection that is a tunnel's."""
        return Arrival(self, cluster_name=self._cluster_name, remote_addr=peer.remote_addr, on_closed=on_closed)

    def connect_websocket(self, _: RequestHead, peer: Peer, on_closed: Callable[[], None]) -> asyncio.Protocol:
        """Return the protocol of a WebSocket with TLS inside, which tells who the agent is."""
        return _Through(self._context(), lambda: self.connect(peer, _nobody), on_closed)

    def let_in(self, key: Key, remote_addr: str) -> None:
        """Count a connection that has not opened its control stream yet.

        Args:
            key: to whom it will lead.
            remote_addr: where it comes from.

        Raises:
            AccessDenied: there are too many, or the proxy is about to end.
        """
        if self._is_ending:
            raise AccessDenied("the proxy takes no tunnels any more")
        if len(self.registry) + self._arrivals.total() >= MAX_TUNNELS:
            logger.warning("the tunnel of host %s at %s is one too many", key[0], remote_addr)
            raise AccessDenied(f"there are {MAX_TUNNELS} tunnels, which is the limit")
        if self._arrivals[key] >= MAX_ARRIVALS:
            raise AccessDenied(f"host {key[0]} opens tunnels and says nothing")
        self._arrivals[key] += 1

    def let_out(self, key: Key) -> None:
        """Count such a connection no longer."""
        self._arrivals[key] -= 1
        if not self._arrivals[key]:
            del self._arrivals[key]

    def add(self, tunnel: Tunnel) -> None:
        """Take in a tunnel whose control stream is open; what is in flight in an older one may end."""
        older = self.registry.add(tunnel)
        if older is not None:
            task = asyncio.create_task(_end(older, REPLACED_GRACE))
            self._replaced.add(task)
            task.add_done_callback(self._replaced.discard)
        self._gossip.greet(tunnel)

    def remove(self, tunnel: Tunnel) -> None:
        """Forget a tunnel that is gone."""
        self.registry.remove(tunnel)

    def announce_end(self) -> None:
        """Say goodbye to all, and take no tunnels any more; streams may be opened for what is in flight."""
        self._is_ending = True
        for tunnel in self.registry:
            tunnel.control.say_goodbye(GoodbyeReason.DRAIN)

    async def shutdown(self, grace: timedelta) -> None:
        """Let streams in flight end within the grace, then close every tunnel."""
        self.announce_end()
        for tunnel in self.registry:
            tunnel.session.go_away()
        await asyncio.gather(*(_end(tunnel, grace) for tunnel in self.registry))


class _Through(UpgradedWebSocket):
    """A WebSocket with TLS inside.

    Args:
        context: of the TLS.
        protocol_factory: makes what runs inside that.
        on_closed: is called once, when the connection is gone.
    """

    def __init__(
        self, context: ssl.SSLContext, protocol_factory: Callable[[], asyncio.Protocol], on_closed: Callable[[], None]
    ) -> None:
        super().__init__(lambda: InnerTls(context=context, server_side=True, protocol_factory=protocol_factory))
        self._on_closed = on_closed

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody."""
        super().connection_lost(exc)
        self._on_closed()


def _nobody() -> None:
    """Have nothing to do: the connection outside is what is counted."""


async def _end(tunnel: Tunnel, grace: timedelta) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(grace.total_seconds()):
            await tunnel.session.drained()
    tunnel.session.close()


@asynccontextmanager
async def open_tunnels(
    host: Host,
    *,
    context: Callable[[], ssl.SSLContext],
    metrics: Metrics,
    clock: Clock,
    on_crash: Callable[[str], None],
) -> AsyncIterator[Tunnels]:
    """Take tunnels for the time of a block.

    Args:
        host: the process.
        context: returns the TLS context that shows the proxy's certificate of the cluster.
        metrics: counts tunnels.
        clock: the present.
        on_crash: told when work beside taking tunnels ended by an error that nobody expected.
    """
    registry = TunnelRegistry(metrics)
    gossip = Gossip(client=host.client, host_id=host.host_id, registry=registry, clock=clock)
    endings = Endings(host=host, registry=registry, clock=clock)
    async with running([gossip.run(), endings.run()], on_crash):
        yield Tunnels(registry=registry, gossip=gossip, cluster_name=host.cluster_name, context=context)
