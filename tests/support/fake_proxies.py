"""Proxies without sockets and TLS: the real desk at which tunnels arrive, and a balancer that deals out dials."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from prometheus_client import CollectorRegistry

from support.tunnels import PipeEnd
from support.x509 import CLUSTER, HOST_ID, build_authority, build_host_template
from teleport.agent.tunnels.dialing import Carrier, Dialed
from teleport.agent.tunnels.place import Place, TunnelAddress
from teleport.agent.tunnels.pool import Handlers, TunnelPool
from teleport.api.tunnels import render_proxies
from teleport.errors import ConnectionFailed
from teleport.proxy.tunnels.gossip import Gossip
from teleport.proxy.tunnels.registry import Tunnel, TunnelRegistry
from teleport.proxy.tunnels.service import Tunnels
from teleport.resources.address import Address
from teleport.resources.role import SystemRole
from teleport.web.call import Peer
from teleport.web.metrics import Metrics

AUTHORITY = build_authority()
ADDRESS = Address("proxies.example.com", 443)


def show_host(host_id: str = HOST_ID, role: SystemRole = SystemRole.APP, pod_uid: str = "") -> bytes:
    """Return the certificate of a service of a host."""
    return AUTHORITY.issue_der(build_host_template(role, host_id=host_id, pod_uid=pod_uid))


class LoopClock:
    """A clock that tells the loop's time."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class _Certificate:
    def __init__(self, der: bytes | None) -> None:
        self._der = der

    def getpeercert(self, *, binary_form: bool) -> bytes | None:
        assert binary_form
        return self._der


class TlsEnd(PipeEnd):
    """One end of a connection over whose other end a certificate has been shown, or none."""

    certificate: bytes | None = None

    def get_extra_info(self, name: str, default: object = None) -> object:
        return _Certificate(self.certificate) if name == "ssl_object" else super().get_extra_info(name, default)


class FakeGossip(Gossip):
    """Tells who there is, as a test says."""

    def __init__(self, *names: str) -> None:
        self._line = render_proxies(names)

    def tell(self, registry: TunnelRegistry, *names: str) -> None:
        self._line = render_proxies(names)
        for tunnel in registry:
            tunnel.control.send_proxies(self._line)


class FakeProxy:
    """One proxy."""

    def __init__(self, name: str, *known: str) -> None:
        self.name = name
        self.certificate = show_host(role=SystemRole.PROXY)
        self.metrics = CollectorRegistry()
        self.registry = TunnelRegistry(Metrics(self.metrics))
        self.gossip = FakeGossip(name, *known)
        self.tunnels = Tunnels(
            registry=self.registry, gossip=self.gossip, cluster_name=CLUSTER, context=lambda: None  # type: ignore[arg-type, return-value]  # no WebSocket comes here
        )  # fmt: skip
        self.closed = 0
        self.dials: list[float] = []
        self._ends: list[TlsEnd] = []

    def take(self, certificate: bytes | None, remote_addr: str = "192.0.2.1") -> PipeEnd:
        """Take a connection, and return the agent's end of it."""
        near, mine = TlsEnd("agent"), TlsEnd("proxy")
        mine.other, near.other = near, mine
        mine.certificate, near.certificate = certificate, self.certificate
        self.dials.append(asyncio.get_running_loop().time())
        self._ends.append(mine)
        mine.connect(self.tunnels.connect(Peer(remote_addr, certificate), self._count_closed))
        return near

    def tell(self, *names: str) -> None:
        """Tell all agents which proxies there are."""
        self.gossip.tell(self.registry, *names)

    def kill(self) -> None:
        """Cut all connections."""
        for end in self._ends:
            end.abort()
        self._ends.clear()

    def count(self, metric: str, **labels: str) -> float:
        """Return a metric."""
        return self.metrics.get_sample_value(metric, labels) or 0.0

    def list_tunnels(self) -> list[Tunnel]:
        """Return all tunnels."""
        return list(self.registry)

    def _count_closed(self) -> None:
        self.closed += 1


@dataclass(slots=True)
class FakeBalancer:
    """Deals out dials to proxies in turn, or always to the first."""

    proxies: list[FakeProxy]
    is_sticky: bool = False
    dials: int = 0
    carrier: Carrier = field(default=Carrier.DIRECT)

    def choose(self) -> FakeProxy:
        self.dials += 1
        if not self.proxies:
            raise ConnectionFailed("cannot reach proxies.example.com:443: connection refused")
        return self.proxies[0 if self.is_sticky else self.dials % len(self.proxies)]


class FakeDialer:
    """Dials as one host."""

    def __init__(self, balancer: FakeBalancer, certificate: bytes) -> None:
        self._balancer = balancer
        self._certificate = certificate
        self.carrier = Carrier.DIRECT

    async def dial(self, host: str, port: int) -> Dialed:
        assert (host, port) == ("192.0.2.9", ADDRESS.port)
        proxy = self._balancer.choose()
        near = proxy.take(self._certificate)
        await asyncio.sleep(0.01)
        return Dialed(near, proxy.name)


def build_pool(
    balancer: FakeBalancer,
    *,
    certificate: bytes | None = None,
    handlers: Handlers | None = None,
    report: Callable[[str | None], None] = lambda _: None,
    seed: int = 1,
) -> TunnelPool:
    """Return the tunnels of one agent."""
    dialer = FakeDialer(balancer, certificate or show_host())
    clock = LoopClock()

    async def resolve(_: Address) -> list[str]:
        return ["192.0.2.9"]

    return TunnelPool(
        address=TunnelAddress(Place(ADDRESS, is_told=True, is_insecure=False), clock),  # type: ignore[arg-type]  # it asks for monotonic time alone
        build_dialer=lambda _: dialer,  # type: ignore[arg-type, return-value]  # it is asked to dial alone
        handlers=handlers or {},
        report=report,
        clock=clock,  # type: ignore[arg-type]  # the same
        chance=random.Random(seed),  # noqa: S311 - no secret
        resolve=resolve,
    )


async def pass_time(period: timedelta) -> None:
    """Let time pass."""
    await asyncio.sleep(period.total_seconds())
