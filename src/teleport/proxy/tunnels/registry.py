"""The tunnels of this proxy, found by whom they lead to."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from teleport.api.tunnels import GoodbyeReason
from teleport.resources.role import SystemRole
from teleport.tunnel.session import Session
from teleport.web.metrics import Metrics

logger = logging.getLogger(__name__)

Key = tuple[str, SystemRole]


class Control(Protocol):
    """The proxy's end of a control stream."""

    def send_proxies(self, line: bytes) -> None:
        """Say which proxies there are, as a message that is written already."""
        ...

    def say_goodbye(self, reason: GoodbyeReason) -> None:
        """Say that the tunnel ends, and nothing after that."""
        ...


@dataclass(slots=True, eq=False)
class Tunnel:
    """A tunnel that has said for whom it is.

    Args:
        session: carries streams.
        control: tells the agent things.
        host_id: of the agent.
        role: which of its services it leads to.
        pod_uid: the pod to whose life its membership is bound, if it is bound to one.
        certificate_der: what the agent has shown.
        remote_addr: where the agent is.
        process: which process of those with this identity.
    """

    session: Session
    control: Control
    host_id: str
    role: SystemRole
    pod_uid: str
    certificate_der: bytes
    remote_addr: str
    process: str = ""

    @property
    def key(self) -> Key:
        """Return whom it leads to."""
        return self.host_id, self.role


class TunnelRegistry:
    """All tunnels; of one service of one host the newest.

    Args:
        metrics: counts them.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._tunnels: dict[Key, Tunnel] = {}
        self._replaced: dict[Key, str] = {}
        """Which process had the tunnel before the present one."""

    def __iter__(self) -> Iterator[Tunnel]:
        """Go through the tunnels that there are at this moment."""
        return iter(list(self._tunnels.values()))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._tunnels)

    def find(self, host_id: str, role: SystemRole = SystemRole.APP) -> Session | None:
        """Return the tunnel to a service of a host, or None if there is none that takes streams."""
        tunnel = self._tunnels.get((host_id, role))
        return tunnel.session if tunnel is not None and tunnel.session.is_usable else None

    def host_ids(self, role: SystemRole = SystemRole.APP) -> frozenset[str]:
        """Return the hosts of whose service there is a tunnel."""
        return frozenset(host_id for host_id, service in self._tunnels if service is role)

    def add(self, tunnel: Tunnel) -> Tunnel | None:
        """Take in a tunnel, and return an older one of the same service, which takes no streams any more.

        A process that comes back after another one has replaced it is a proof that two have one identity.
        """
        key = tunnel.key
        older = self._tunnels.pop(key, None)
        if older is not None:
            self._report(tunnel, older)
            self._replaced[key] = older.process
            older.control.say_goodbye(GoodbyeReason.REPLACED)
            older.session.go_away()
        else:
            self._count(key[1], 1)
        self._tunnels[key] = tunnel
        return older

    def remove(self, tunnel: Tunnel) -> None:
        """Forget a tunnel that is gone."""
        if self._tunnels.get(tunnel.key) is tunnel:
            del self._tunnels[tunnel.key]
            self._replaced.pop(tunnel.key, None)
            self._count(tunnel.key[1], -1)

    def _count(self, role: SystemRole, change: int) -> None:
        self._metrics.tunnels.labels(role.lower()).inc(change)

    def _report(self, tunnel: Tunnel, older: Tunnel) -> None:
        host_id, role = tunnel.key
        if tunnel.process == self._replaced.get(tunnel.key):
            self._metrics.tunnel_conflicts.inc()
            logger.error(
                "two processes have the identity of host %s (%s), at %s and at %s: stop one and remove its state; then "
                "it joins anew", host_id, role, older.remote_addr, tunnel.remote_addr,
            )  # fmt: skip
        else:
            logger.info("host %s (%s) has another tunnel, from %s", host_id, role, tunnel.remote_addr)
