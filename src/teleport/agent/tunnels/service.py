"""A service that proxies reach through tunnels, as a runner of the process."""

import asyncio
import logging
import random
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime

from teleport.agent.tunnels.dialing import Dialer
from teleport.agent.tunnels.place import Place, TunnelAddress
from teleport.agent.tunnels.pool import Handlers, TunnelPool
from teleport.api.host import Host
from teleport.clock import Clock
from teleport.errors import AccessDenied
from teleport.pki.leaf import TrustSet
from teleport.resources.address import Address
from teleport.resources.authority import AuthorityType
from teleport.resources.role import SystemRole
from teleport.tunnel.session import Session
from teleport.web.readiness import Readiness

logger = logging.getLogger(__name__)

Serve = Callable[[Host], AbstractAsyncContextManager[Handlers]]
"""Makes what takes the streams of proxies, for as long as the process is the same member."""


def cut_distrusted(sessions: Iterable[Session], trusted: TrustSet, now: datetime) -> None:
    """Cut tunnels to proxies whose certificates no trusted authority has signed."""
    for session in sessions:
        tls: ssl.SSLObject | None = session.get_extra_info("ssl_object")
        try:
            trusted.check_issued((tls and tls.getpeercert(binary_form=True)) or b"", now)
        except AccessDenied as error:
            logger.warning("a tunnel to a proxy is cut: %s", error.message)
            session.abort()


@asynccontextmanager
async def serve_nothing(_: Host) -> AsyncIterator[Handlers]:
    """Refuse every stream."""
    yield {}


class TunnelService:
    """Keeps tunnels to all proxies, and hands on the streams that they open.

    Args:
        place: where proxies are.
        role: which service it is; its certificate is shown to proxies.
        clock: the present.
        readiness: told how the service fares.
        serve: makes what takes the streams.
    """

    def __init__(
        self, place: Place, *, role: SystemRole, clock: Clock, readiness: Readiness, serve: Serve = serve_nothing
    ) -> None:
        self.role = role
        self._place = place
        self._clock = clock
        self._readiness = readiness
        self._serve = serve

    async def run(self, host: Host) -> None:
        """Keep tunnels until cancelled."""
        async with self._serve(host) as handlers:
            pool = TunnelPool(
                address=TunnelAddress(self._place, self._clock),
                build_dialer=lambda address: self._build_dialer(address, host),
                handlers=handlers,
                report=self._report,
                clock=self._clock,
                chance=random.Random(),  # noqa: S311 - jitter, no secret
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(pool.run())
                group.create_task(self._follow_trust(host, pool))

    def _build_dialer(self, address: Address, host: Host) -> Dialer:
        return Dialer(
            public=address,
            identity=lambda: host.identity(self.role),
            cluster_name=host.cluster_name,
            is_insecure=self._place.is_insecure,
        )

    async def _follow_trust(self, host: Host, pool: TunnelPool) -> None:
        """Cut tunnels to proxies that are not trusted any more."""
        while True:
            await host.wait_for_change()
            cut_distrusted(pool.sessions, TrustSet(host.trust.tls[AuthorityType.HOST]), self._clock.now())

    def _report(self, problem: str | None) -> None:
        component = self.role.lower()
        if problem is None:
            self._readiness.succeed(component)
            return
        logger.warning("%s", problem)
        self._readiness.fail(component, problem)
